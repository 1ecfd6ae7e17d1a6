import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gzipSync } from 'node:zlib';
import { addMember, createUser } from '../../src/access/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { hostileRequests, targetsOf, type Target } from '../helpers/hostile-client.ts';
import { NASTY_BYTES } from '../helpers/nasty.ts';
import { createApiWorld, PUBLIC_URL, type ApiWorld } from './api-world.ts';
import { createEverything, type Everything } from './everything.ts';

const PASSWORD = 'correct horse battery staple';

let world: ApiWorld;
let everything: Everything;
let cookie: string;

beforeAll(async () => {
  world = await createApiWorld();
  everything = await createEverything(world);
  await inTransaction(world.pool, async (tx) => {
    const user = await createUser(tx, { email: 'owner@example.com', name: 'Olga', password: PASSWORD });
    const { workspaceId } = world.ours;
    await addMember(tx, { workspaceId, userId: user.id, role: 'workspace_owner', actor: SYSTEM_ACTOR });
  });
  const signedIn = await world.app.request('/sign-in', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', origin: PUBLIC_URL },
    body: new URLSearchParams({ email: 'owner@example.com', password: PASSWORD }).toString(),
  });
  cookie = signedIn.headers.getSetCookie()[0]?.split(';')[0] ?? '';
});
afterAll(async () => await world.close());

const MESSAGE = {
  userId: 'u-1',
  event: 'Seen',
  groupId: 'g-1',
  previousId: 'p-1',
  traits: { a: 'b' },
  messageId: 'm-1',
};

async function targets(): Promise<Target[]> {
  const document = (await (await world.app.request('/openapi.json')).json()) as Parameters<typeof targetsOf>[0];
  const { ids, bodies } = everything;
  return targetsOf(document, (method, path) => {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
    const trait = path.includes('computed-traits');
    const params = Object.fromEntries(
      names.map((name) => [name, (name === 'id' && trait ? ids['traitId'] : ids[name]) ?? 'none']),
    );
    if (path.startsWith('/v1/')) {
      const body = /batch|import/.test(path) ? { batch: [{ type: 'track', ...MESSAGE }] } : MESSAGE;
      const key = Buffer.from(`${ids['writeKey']}:`).toString('base64');
      return { params, body, headers: { authorization: `Basic ${key}` } };
    }
    const body = bodies[`${method} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`];
    return { params, body, headers: { authorization: `Bearer ${world.ours.owner}` } };
  });
}

describe('a hostile client', () => {
  test('gets a refusal that says what is wrong from every route, and never a 5xx', { timeout: 300_000 }, async () => {
    const wrong: string[] = [];
    const notRefused: string[] = [];
    let sent = 0;
    for (const { route, what, method, path, headers, body, unstorable } of hostileRequests(await targets())) {
      const response = await world.app.request(path, { method, headers, ...(body === undefined ? {} : { body }) });
      sent += 1;
      const text = await response.text();
      if (response.status >= 500) wrong.push(`${route}: ${what}: ${response.status} ${text.slice(0, 200)}`);
      // Ingest keeps NUL and replaces halves of pairs (decision 4), and reads no query string.
      const bytes = NASTY_BYTES.some(({ name }) => what.startsWith(`${name} in `)) && !what.endsWith(' in unknown');
      const taken = route.includes('/v1/') && !bytes;
      if (unstorable && !taken && response.status < 400) notRefused.push(`${route}: ${what}: ${response.status}`);
      if (response.status >= 400 && !/"message":"(?:[^"\\]|\\.){10}/.test(text))
        wrong.push(`${route}: ${what}: ${text.slice(0, 200)}`);
    }
    expect(sent).toBeGreaterThan(1_500);
    expect(wrong).toEqual([]);
    expect(notRefused).toEqual([]);
    // Nobody else has noticed.
    const theirs = await world.send('GET', `/spaces/${world.stranger.spaceId}/audiences`, {
      token: world.stranger.owner,
    });
    expect([theirs.status, theirs.body.data]).toEqual([200, expect.objectContaining({ audiences: [] })]);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('sees a page that says what is wrong and has a way out, on every page', async () => {
    const { ids } = everything;
    const pages = ['/', `/computations/${ids['id']}`, `/tasks/${ids['taskId']}`, '/sign-in', '/docs'];
    const tries = [
      ...pages.flatMap((page) =>
        ['?workspace=%00', '?history=%00', '?history=%ff', '?%00=a'].map((query) => [page + query, cookie]),
      ),
      ...['%00', '%ff', 'a%00', '%c0%80'].map((workspace) => ['/', `${cookie}; trailmark_workspace=${workspace}`]),
      ['/', 'trailmark_session=%00'],
      ['/tasks/%00', cookie],
      ['/tasks/%ff', cookie],
      ['/computations/a%00', cookie],
    ];
    for (const [path = '', cookies = ''] of tries) {
      const response = await world.app.request(path, { headers: { accept: 'text/html', cookie: cookies } });
      const text = await response.text();
      expect([path, cookies, response.status]).toEqual([path, cookies, 400]);
      expect(response.headers.get('content-type')).toContain('text/html');
      expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(text).toContain('href="/"');
      // A cookie that is refused is gone: the way out is one.
      const gone = response.headers.getSetCookie().map((one) => one.split('=')[0]);
      if (/trailmark_workspace/.test(cookies)) expect(gone).toEqual(['trailmark_workspace']);
    }
    expect((await world.app.request('/', { headers: { accept: 'text/html', cookie } })).status).toBe(200);
  });

  test('is told which field of a form can not be read', async () => {
    const post = async (path: string, body: string, type = 'application/x-www-form-urlencoded') =>
      await world.app.request(path, {
        method: 'POST',
        headers: { 'content-type': type, origin: PUBLIC_URL, cookie, accept: 'text/html' },
        body,
      });
    const taskPath = `/tasks/${everything.ids['taskId']}/actions/cancel`;
    for (const [path, body] of [
      ['/sign-in', 'email=a%00&password=b'],
      ['/sign-in', 'email=%ff&password=b'],
      ['/sign-in', 'email=a&password=%00'],
      [taskPath, 'reason=a%00b'],
    ] as const) {
      const response = await post(path, body);
      const text = await response.text();
      expect([path, body, response.status]).toEqual([path, body, 400]);
      expect(text).toMatch(/The field (email|password|reason) /);
    }
    expect((await post('/sign-in', 'nonsense', 'multipart/form-data')).status).toBe(415);
  });

  test('names the field of a body that can not be kept', async () => {
    const patch = async (body: string) => {
      const response = await world.app.request(`/spaces/${world.ours.spaceId}`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${world.ours.owner}`, 'content-type': 'application/json' },
        body,
      });
      const { errors } = (await response.json()) as { errors: { type: string; field?: string }[] };
      return [response.status, errors[0]?.type, errors[0]?.field];
    };
    expect(await patch('{"name":"a\\u0000"}')).toEqual([400, 'text_unreadable', 'name']);
    expect(await patch('{"name":"a\\ud800"}')).toEqual([400, 'text_unreadable', 'name']);
    expect(await patch('{"a":[{"b":"\\u0000"}]}')).toEqual([400, 'text_unreadable', 'a.0.b']);
    expect(await patch('{"a":{"b\\u0000":1}}')).toEqual([400, 'text_unreadable', 'a']);
    expect(await patch('{"name":1e400}')).toEqual([400, 'number_not_kept', 'name']);
    expect(await patch('{"__proto__":{}}')).toEqual([400, 'text_unreadable', '__proto__']);
    expect(await patch(`{"a":${'['.repeat(200)}${']'.repeat(200)}}`)).toEqual([400, 'text_unreadable', 'a']);
  });
});

describe('a body that is not UTF-8', () => {
  test.each(NASTY_BYTES)('is refused by ingest and by the API: $name', async ({ bytes }) => {
    const body = (before: string, after: string) =>
      new Uint8Array(Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)]));
    const event = body('{"event":"Seen","userId":"', '"}');
    const key = Buffer.from(`${everything.ids['writeKey']}:`).toString('base64');
    const ingest = { authorization: `Basic ${key}`, 'content-type': 'application/json' };
    const chunked = new ReadableStream({
      start: (controller) => {
        controller.enqueue(event);
        controller.close();
      },
    });
    const requests: [string, RequestInit & { duplex?: 'half' }][] = [
      ['/v1/track', { headers: { ...ingest, 'content-length': String(event.length) }, body: event }],
      ['/v1/track', { headers: ingest, body: chunked, duplex: 'half' }],
      ['/v1/track', { headers: { ...ingest, 'content-encoding': 'gzip' }, body: new Uint8Array(gzipSync(event)) }],
      ['/v1/batch', { headers: ingest, body: body('{"batch":[{"type":"track","event":"', '","userId":"u"}]}') }],
      [
        '/access-tokens',
        {
          headers: { authorization: `Bearer ${world.ours.owner}`, 'content-type': 'application/json' },
          body: body('{"role":"workspace_member","name":"', '"}'),
        },
      ],
    ];
    for (const [path, init] of requests) {
      const response = await world.app.request(path, { method: 'POST', ...init });
      const text = await response.text();
      expect([path, response.status, text]).toEqual([path, 400, expect.stringContaining('The body is not UTF-8')]);
    }
    expect((await world.pool.query(`select from event_log where event::text like '%\ufffd%'`)).rowCount).toBe(0);
  });

  test('a byte order mark before the JSON is none of it', async () => {
    const key = Buffer.from(`${everything.ids['writeKey']}:`).toString('base64');
    const body = Buffer.from('\ufeff{"event":"Seen","userId":"with-mark"}');
    for (const [encoding, bytes] of [
      ['identity', body],
      ['gzip', gzipSync(body)],
    ] as const) {
      const response = await world.app.request('/v1/track', {
        method: 'POST',
        headers: { authorization: `Basic ${key}`, 'content-encoding': encoding, 'content-type': 'application/json' },
        body: new Uint8Array(bytes),
      });
      expect([encoding, response.status]).toEqual([encoding, 200]);
    }
  });
});
