import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
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
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { audienceBody, createApiWorld, type ApiWorld } from './api-world.ts';

let world: ApiWorld;
let server: ReturnType<typeof createAdaptorServer>;
let address: string;

/** One of the official SDK's clients, pointed at a real server on loopback. */
function client<Api extends { accessToken: string | (() => string) }>(
  make: new (basePath: string) => Api,
  token: string,
): Api {
  const api = new make(address);
  api.accessToken = token;
  return api;
}

beforeAll(async () => {
  world = await createApiWorld();
  server = createAdaptorServer({ fetch: world.app.fetch });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await once(server, 'close');
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
    expect(error).toMatchObject({ statusCode: 403, body: { errors: [{ type: 'not_workspace_owner' }] } });
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

    const got = await audiences.getAudience(spaceId, id);
    expect(got.body.data?.audience).toMatchObject({ id, spaceId, key: 'by_sdk', enabled: true, status: 'Backfilling' });
    const patched = await audiences.updateAudienceForSpace(spaceId, id, { enabled: false });
    expect(patched.body.data?.audience).toMatchObject({ enabled: false, status: 'Disabled' });
    const removed = await audiences.removeAudienceFromSpace(spaceId, id);
    expect(removed.body.data?.status).toBe('SUCCESS');
    await expect(audiences.getAudience(spaceId, id)).rejects.toMatchObject({ statusCode: 404 });
  });

  it('reads computed traits, spaces, the workspace, sources and destinations', async () => {
    const { spaceId, workspaceId, owner } = world.ours;
    const traits = await client(ComputedTraitsApi, owner).listComputedTraits(spaceId, { count: 5 });
    expect(traits.body.data?.computedTraits).toEqual([]);
    const spaces = await client(SpacesApi, owner).listSpaces({ count: 5 });
    expect(spaces.body.data?.spaces.map((space) => space.id)).toEqual([spaceId]);
    const workspace = await client(WorkspacesApi, owner).getWorkspace();
    expect(workspace.body.data?.workspace.id).toBe(workspaceId);
    const catalog = await client(CatalogApi, owner).getDestinationsCatalog({ count: 5 });
    expect(catalog.body.data?.destinationsCatalog).toHaveLength(5);
    const destinations = await client(DestinationsApi, owner).listDestinations({ count: 5 });
    expect(destinations.body.data?.destinations).toEqual([]);
    const sources = client(SourcesApi, owner);
    const made = await sources.createSource({ slug: 'by-sdk', enabled: true, metadataId: 'http-api' });
    const source = made.body.data?.source;
    expect(source?.writeKeys).toHaveLength(1);
    const more = await sources.createWriteKeyForSource(source?.id ?? '');
    expect(more.body.data?.source.writeKeys).toHaveLength(2);
    const fewer = await sources.removeWriteKeyFromSource(source?.id ?? '', source?.writeKeys[0] ?? '');
    expect(fewer.body.data?.status).toBe('SUCCESS');
    const listed = await sources.listSources({ count: 5 });
    expect(listed.body.data?.sources.map((one) => one.slug)).toEqual(['by-sdk']);
  });
});
