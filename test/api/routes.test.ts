import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { validate as validateDocument } from './openapi-validity.ts';
import { audienceBody, createApiWorld, type ApiWorld } from './api-world.ts';
import { createEverything, type Everything } from './everything.ts';

let world: ApiWorld;
let everything: Everything;

beforeAll(async () => {
  world = await createApiWorld();
  everything = await createEverything(world);
});
afterAll(async () => await world.close());

/** Pages for people: not in the document, and each says for itself what it does without a session. */
const PAGES = new Set([
  'GET /',
  'GET /computations/:id',
  'POST /computations/:id/:action',
  'POST /computations/:id/destinations/:destinationId/resume',
  'GET /tasks/:id',
  'POST /tasks/:id/actions/:action',
  'GET /sign-in',
  'POST /sign-in',
  'POST /sign-out',
  'GET /docs',
  'GET /openapi.json',
]);

/** The letters that browser clients use for the calls of the tracking API: the same handlers as their long names. */
const SHORT_NAME = /^\/v1\/[a-z]$/;

/** Every route that was registered, method and path. Middleware is registered for all methods and is none. */
function routes(): { method: string; path: string }[] {
  const seen = new Map(
    world.app.routes
      .filter((route) => route.method !== 'ALL' && !route.path.includes('*'))
      .map((route) => [`${route.method} ${route.path}`, { method: route.method, path: route.path }]),
  );
  return [...seen.entries()].flatMap(([key, route]) =>
    PAGES.has(key) || route.path.startsWith('/assets/') || SHORT_NAME.test(route.path) ? [] : [route],
  );
}

interface Operation {
  security?: unknown[];
  operationId?: string;
}

async function readDocument(): Promise<{ paths: Record<string, Record<string, Operation>> }> {
  return (await (await world.app.request('/openapi.json')).json()) as {
    paths: Record<string, Record<string, Operation>>;
  };
}

describe('the document', () => {
  it('is valid OpenAPI 3.1', async () => {
    expect(await validateDocument(await readDocument())).toEqual([]);
  });

  it('has every route, and no other', async () => {
    const { paths } = await readDocument();
    const documented = Object.entries(paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
    );
    expect(documented.sort()).toEqual(
      routes()
        .map(({ method, path }) => `${method} ${path}`)
        .sort(),
    );
  });

  it('names each operation once', async () => {
    const { paths } = await readDocument();
    const ids = Object.values(paths).flatMap((item) => Object.values(item).map((operation) => operation.operationId));
    expect(ids).not.toContain(undefined);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('is a page for people too, whole and without a script', async () => {
    const response = await world.app.request('/docs');
    const page = await response.text();
    expect(response.status).toBe(200);
    for (const { path } of routes()) expect(page).toContain(path.replaceAll(/:(\w+)/g, '{$1}'));
    expect(page).not.toContain('<script');
    expect(page).not.toMatch(/(src|href)="https?:/);
  });
});

describe('a stranger', () => {
  it('gets nowhere with a token of another workspace, on any route', async () => {
    const before = await fingerprint();
    const refused: string[] = [];
    for (const { method, path } of guarded(await readDocument())) {
      const target = exampleOf(path);
      expect(target).not.toContain('no-example-for');
      const response = await world.app.request(target, {
        method,
        headers: { authorization: `Bearer ${world.stranger.owner}`, 'content-type': 'application/json' },
        ...(method === 'GET' || method === 'DELETE'
          ? {}
          : { body: JSON.stringify(everything.bodies[`${method} ${path}`] ?? {}) }),
      });
      const text = await response.text();
      if (path.includes(':') && !path.startsWith('/catalog/')) {
        expect([`${method} ${path}`, response.status]).toEqual([`${method} ${path}`, expect.toBeOneOf([403, 404])]);
        refused.push(path);
      }
      // Where there is no id in the path the answer is their own workspace's: nothing of ours is in it.
      for (const [name, id] of Object.entries(everything.ids)) {
        // What they typed themselves may come back in the refusal, and the catalog is everybody's.
        if (name === 'destinationMetadataId') continue;
        if (target.includes(id) || JSON.stringify(everything.bodies[`${method} ${path}`] ?? {}).includes(id)) continue;
        expect([path, name, text.includes(id)]).toEqual([path, name, false]);
      }
    }
    expect(refused.length).toBeGreaterThan(20);
    expect(await fingerprint()).toEqual(before);
  });

  it('can not use a thing of ours for a thing of their own', async () => {
    const { ids } = everything;
    const { owner: token, spaceId } = world.stranger;
    const made = await world.send('POST', `/spaces/${spaceId}/audiences`, { token, body: audienceBody() });
    const own = (made.body.data as unknown as { audience: { id: string } }).audience.id;
    const before = await fingerprint();
    for (const [path, body] of [
      [`/spaces/${spaceId}/audiences/${own}/destinations`, { destinationId: ids.destinationId }],
      [
        `/spaces/${spaceId}/audiences`,
        audienceBody({ key: 'x', destinations: [{ destinationId: ids.destinationId }] }),
      ],
      [`/spaces/${spaceId}/sources`, { sourceId: ids.sourceId }],
      ['/sources', { slug: 'theirs', spaceIds: [ids.spaceId] }],
      ['/destinations', { ...(everything.bodies['POST /destinations'] as object), spaceId: ids.spaceId }],
    ] as const) {
      const answer = await world.send('POST', path, { token, body });
      expect([path, answer.status]).toEqual([path, expect.toBeOneOf([400, 404])]);
    }
    expect(await fingerprint()).toEqual(before);
  });

  it('gets a 401 without a token, with a wrong one, and with a revoked one, on any route', async () => {
    for (const { method, path } of guarded(await readDocument())) {
      for (const authorization of [
        undefined,
        'Bearer tm_token_wrong',
        'Bearer',
        'Basic abc',
        `Bearer ${everything.revokedToken}`,
      ]) {
        const response = await world.app.request(path.replaceAll(/:(\w+)/g, 'x'), {
          method,
          headers: authorization === undefined ? {} : { authorization },
        });
        expect([method, path, response.status]).toEqual([method, path, 401]);
        expect(response.headers.get('www-authenticate')).toContain('Bearer');
      }
    }
    expect((await world.app.request('/no/such/route')).status).toBe(401);
  });
});

describe('a role', () => {
  // In the order of the document, so that what a route takes away is not missed by those before it.
  async function refusedOf(token: string, methods: readonly string[]): Promise<string[]> {
    const refused: string[] = [];
    for (const { method, path } of guarded(await readDocument())) {
      if (!methods.includes(method)) continue;
      const body = everything.bodies[`${method} ${path}`];
      const response = await world.app.request(exampleOf(path), {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (response.status === 403) refused.push(`${method} ${path}`);
    }
    return refused.sort();
  }
  const CHANGING = ['POST', 'PATCH', 'PUT', 'DELETE'];
  const OWNERS = [
    'DELETE /access-tokens/:tokenId',
    'DELETE /alert-channels/:channelId',
    'DELETE /sources/:sourceId/writekey/:writeKey',
    'PATCH /alert-channels/:channelId',
    'PATCH /settings/notifications',
    'PATCH /settings/tasks',
    'PATCH /spaces/:spaceId',
    'POST /access-tokens',
    'POST /alert-channels',
    'POST /alert-channels/:channelId/tests',
    'POST /sources/:sourceId/writekey',
    'PUT /spaces/:spaceId/blocked-ids',
  ];
  const READ_BY_OWNERS = ['GET /access-tokens', 'GET /alert-channels', 'GET /audit-events'];

  it('of support reads what members read, and changes nothing but the notifications', async () => {
    // That it has entered is in the trail, once.
    await world.app.request('/spaces', { headers: { authorization: `Bearer ${world.ours.support}` } });
    const before = await fingerprint();
    const all = guarded(await readDocument()).map(({ method, path }) => `${method} ${path}`);
    expect(await refusedOf(world.ours.support, ['GET'])).toEqual(READ_BY_OWNERS);
    expect(await refusedOf(world.ours.support, CHANGING)).toEqual(
      all.filter((route) => !route.startsWith('GET ') && route !== 'PATCH /settings/notifications').sort(),
    );
    expect(await fingerprint()).toEqual(before);
  });

  it('of a member is kept from what is the owners’, and from nothing else', async () => {
    expect(await refusedOf(world.ours.member, ['GET'])).toEqual(READ_BY_OWNERS);
    expect(await refusedOf(world.ours.member, CHANGING)).toEqual(OWNERS);
  });
});

/** The path with the ids of our things in it. */
function exampleOf(path: string): string {
  return path.replaceAll(/:(\w+)/g, (_whole, name: string) => {
    const kindly = name === 'id' && path.includes('/computed-traits/') ? 'traitId' : name;
    return everything.ids[kindly] ?? `no-example-for-${name}`;
  });
}

function guarded(document: { paths: Record<string, Record<string, Operation>> }): { method: string; path: string }[] {
  const found = routes().filter(({ method, path }) => {
    const operation = document.paths[path.replaceAll(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()];
    return operation?.security !== undefined && JSON.stringify(operation.security).includes('accessToken');
  });
  expect(found.length).toBeGreaterThan(35);
  return found;
}

/** What a change of anything in our workspace would change. */
async function fingerprint(): Promise<unknown> {
  const { rows } = await world.pool.query(
    `select
       (select count(*) from audit_events where workspace_id = $1) as events,
       (select count(*) from tasks where workspace_id = $1) as tasks,
       (select json_agg(c.* order by id) from computations c where workspace_id = $1) as computations,
       (select json_agg(json_build_array(id, name, enabled, deleted_at) order by id) from destinations where workspace_id = $1) as destinations,
       (select json_agg(json_build_array(id, name, enabled, deleted_at) order by id) from sources where workspace_id = $1) as sources,
       (select json_agg(json_build_array(id, name, url_box, enabled, deleted_at) order by id) from channels where workspace_id = $1) as channels,
       (select json_agg(json_build_array(id, revoked_at) order by id) from access_tokens where workspace_id = $1) as tokens,
       (select json_agg(p.* order by id) from spaces p where workspace_id = $1) as spaces,
       (select json_agg(s.*) from workspace_settings s where workspace_id = $1) as settings`,
    [world.ours.workspaceId],
  );
  return rows[0];
}
