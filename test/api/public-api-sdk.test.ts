import {
  AudiencesApi,
  AuditTrailApi,
  ComputedTraitsApi,
  SpacesApi,
  WorkspacesApi,
  SourcesApi,
  CatalogApi,
  DestinationsApi,
} from '@segment/public-api-sdk-typescript/dist/api.js';
import { AudienceSummary } from '@segment/public-api-sdk-typescript/dist/model/audienceSummary.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serve, type Served } from '../helpers/serve.ts';
import { audienceBody, createApiWorld, type ApiWorld } from './api-world.ts';

let world: ApiWorld;
let server: Served;

/** One of the official SDK's clients, pointed at a real server on loopback. */
function client<Api extends { accessToken: string | (() => string) }>(
  make: new (basePath: string) => Api,
  token: string,
): Api {
  const api = new make(server.address);
  api.accessToken = token;
  return api;
}

beforeAll(async () => {
  world = await createApiWorld();
  server = await serve(world.app.fetch);
});
afterAll(async () => {
  await server.close();
  await world.close();
});

async function createAudience(key: string): Promise<string> {
  const made = await world.send('POST', `/spaces/${world.ours.spaceId}/audiences`, {
    token: world.ours.owner,
    body: audienceBody({ key }),
  });
  return (made.body.data as unknown as { audience: { id: string } }).audience.id;
}

describe("Segment's official SDK", () => {
  it('lists audit events, page by page and filtered', async () => {
    const trail = client(AuditTrailApi, world.ours.owner);
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const { body } = await trail.listAuditEvents(cursor === undefined ? { count: 2 } : { cursor, count: 2 });
      expect(body.data?.events.length).toBeLessThanOrEqual(2);
      ids.push(...(body.data?.events ?? []).map((event) => event.id));
      cursor = body.data?.pagination?.next ?? undefined;
    } while (cursor !== undefined);
    expect(new Set(ids).size).toBe(ids.length);
    // As many as PaginationInput allows, and where a cursor of any kind leads. Reading the trail was an event of its own.
    const whole = await trail.listAuditEvents({ count: 1000 });
    expect(whole.body.data?.pagination?.next).toBeUndefined();
    const all = (whole.body.data?.events ?? []).map((event) => event.id);
    const second = await trail.listAuditEvents({
      cursor: (await trail.listAuditEvents({ count: 2 })).body.data?.pagination?.next ?? '',
      count: 2,
    });
    for (const [at, of] of [
      [second.body.data?.pagination?.current, all.slice(2, 4)],
      [second.body.data?.pagination?.previous, all.slice(0, 2)],
    ] as const) {
      const page = await trail.listAuditEvents({ cursor: at ?? '', count: 2 });
      expect(page.body.data?.events.map((event) => event.id)).toEqual(of);
    }
    expect(ids.length).toBeGreaterThanOrEqual(5);
    const { body } = await trail.listAuditEvents(
      { count: 10 },
      '2020-01-01T00:00:00.000Z',
      '2100-01-01T00:00:00.000Z',
      world.ours.spaceId,
      'space',
    );
    expect(body.data?.events.map((event) => [event.type, event.resourceName])).toEqual([['Space Created', 'Main']]);
  });

  it('gets its refusals as it expects them', async () => {
    const error = await client(AuditTrailApi, world.ours.member)
      .listAuditEvents({ count: 2 })
      .catch((thrown: unknown) => thrown);
    // Told by its name: CommonJS and ESM each have the class once.
    expect(error).toMatchObject({ name: 'HttpError' });
    expect(error).toMatchObject({ statusCode: 403, body: { errors: [{ type: 'not_workspace_owner', status: 403 }] } });
    const audiences = client(AudiencesApi, world.ours.owner);
    const refusal = async (call: Promise<unknown>): Promise<unknown> => await call.catch((thrown: unknown) => thrown);
    expect(await refusal(audiences.getAudience(world.ours.spaceId, 'aud_none'))).toMatchObject({
      statusCode: 404,
      body: { errors: [{ type: 'computation_not_found', message: expect.any(String), status: 404 }] },
    });
    expect(await refusal(audiences.listAudiences(world.ours.spaceId, { count: 1001 }))).toMatchObject({
      statusCode: 400,
      body: { errors: [{ field: 'pagination[count]', status: 400 }] },
    });
    expect(await refusal(client(SpacesApi, 'tm_token_wrong').listSpaces({ count: 1 }))).toMatchObject({
      statusCode: 401,
      body: { errors: [{ type: 'token_invalid', status: 401 }] },
    });
  });

  it('is told in headers how much is left, and gets a 429 when nothing is', async () => {
    const limited = await createApiWorld({ rateLimit: { perSecond: 1, burst: 1 } });
    const other = await serve(limited.app.fetch);
    try {
      const spaces = new SpacesApi(other.address);
      spaces.accessToken = limited.ours.owner;
      const { response } = await spaces.listSpaces({ count: 1 });
      expect(response.headers).toMatchObject({ 'x-ratelimit-limit': '1', 'x-ratelimit-remaining': '0' });
      const error = await spaces.listSpaces({ count: 1 }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        statusCode: 429,
        response: { headers: { 'retry-after': '1' } },
        body: { errors: [{ type: 'rate_limited', status: 429 }] },
      });
    } finally {
      await other.close();
      await limited.close();
    }
  });

  it('lists, gets, patches and deletes audiences', async () => {
    const audiences = client(AudiencesApi, world.ours.owner);
    const { spaceId } = world.ours;
    const id = await createAudience('by_sdk');
    await createAudience('by_sdk_too');
    const first = await audiences.listAudiences(spaceId, { count: 1 });
    expect(first.body.data?.audiences.map((audience) => audience.id)).toEqual([id]);
    const next = first.body.data?.pagination.next;
    const second = await audiences.listAudiences(spaceId, { cursor: next ?? '', count: 1 });
    expect(second.body.data?.audiences.map((audience) => audience.key)).toEqual(['by_sdk_too']);
    const back = second.body.data?.pagination.previous;
    const again = await audiences.listAudiences(spaceId, { cursor: back ?? '', count: 1 });
    expect(again.body.data?.audiences.map((audience) => audience.id)).toEqual([id]);
    expect(again.body.data?.pagination.previous).toBeUndefined();
    expect((await audiences.listAudiences(spaceId, { count: 1000 })).body.data?.pagination.totalEntries).toBe(2);

    const got = await audiences.getAudience(spaceId, id);
    expect(got.body.data?.audience).toMatchObject({ id, spaceId, key: 'by_sdk', enabled: true, status: 'Backfilling' });
    // Every field that AudienceSummary requires.
    for (const { name } of AudienceSummary.getAttributeTypeMap()) {
      expect([name, got.body.data?.audience[name as keyof AudienceSummary]]).not.toEqual([name, undefined]);
    }
    const patched = await audiences.updateAudienceForSpace(spaceId, id, { enabled: false });
    expect(patched.body.data?.audience).toMatchObject({ enabled: false, status: 'Disabled' });
    const removed = await audiences.removeAudienceFromSpace(spaceId, id);
    expect(removed.body.data?.status).toBe('SUCCESS');
    await expect(audiences.getAudience(spaceId, id)).rejects.toMatchObject({ statusCode: 404 });
  });

  it('lists, gets, patches and deletes computed traits', async () => {
    const traits = client(ComputedTraitsApi, world.ours.owner);
    const { spaceId } = world.ours;
    const made = await world.send('POST', `/spaces/${spaceId}/computed-traits`, {
      token: world.ours.owner,
      body: audienceBody({ key: 'orders', definition: { type: 'USERS', query: "event('A').count()" } }),
    });
    const { id } = (made.body.data as unknown as { computedTrait: { id: string } }).computedTrait;
    const listed = await traits.listComputedTraits(spaceId, { count: 5 });
    expect(listed.body.data?.computedTraits.map((trait) => trait.id)).toEqual([id]);
    expect((await traits.getComputedTrait(spaceId, id)).body.data?.computedTrait.key).toBe('orders');
    const patched = await traits.updateComputedTraitForSpace(spaceId, id, { enabled: false });
    expect(patched.body.data?.computedTrait).toMatchObject({ enabled: false, status: 'Disabled' });
    expect((await traits.removeComputedTraitFromSpace(spaceId, id)).body.data?.status).toBe('SUCCESS');
    // An audience is not a computed trait, whatever its id.
    const audience = await createAudience('no_trait');
    await expect(traits.getComputedTrait(spaceId, audience)).rejects.toMatchObject({ statusCode: 404 });
  });

  it('reads spaces, the workspace, sources and destinations', async () => {
    const { spaceId, workspaceId, owner } = world.ours;
    const spaces = await client(SpacesApi, owner).listSpaces({ count: 5 });
    expect(spaces.body.data?.spaces.map((space) => space.id)).toEqual([spaceId]);
    const workspace = await client(WorkspacesApi, owner).getWorkspace();
    expect(workspace.body.data?.workspace.id).toBe(workspaceId);
    const catalog = await client(CatalogApi, owner).getDestinationsCatalog({ count: 5 });
    expect(catalog.body.data?.destinationsCatalog).toHaveLength(5);
    const destinations = await client(DestinationsApi, owner).listDestinations({ count: 5 });
    expect(destinations.body.data?.destinations).toEqual([]);
    const sources = client(SourcesApi, owner);
    const made = await sources.createSource({ slug: 'by-sdk', enabled: true, metadataId: 'http-api', settings: {} });
    const source = made.body.data?.source;
    expect(source?.writeKeys).toHaveLength(1);
    const more = await sources.createWriteKeyForSource(source?.id ?? '');
    expect(more.body.data?.source.writeKeys).toHaveLength(2);
    const fewer = await sources.removeWriteKeyFromSource(source?.id ?? '', source?.writeKeys[0] ?? '');
    expect(fewer.body.data?.status).toBe('SUCCESS');
    const changed = await sources.updateSource(source?.id ?? '', { name: 'By SDK', enabled: false });
    expect(changed.body.data?.source).toMatchObject({ name: 'By SDK', enabled: false });
    const listed = await sources.listSources({ count: 5 });
    expect(listed.body.data?.sources.map((one) => one.slug)).toEqual(['by-sdk']);
  });
});
