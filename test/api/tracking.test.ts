import { serve } from '@hono/node-server';
import { Analytics } from '@segment/analytics-node';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_ACTOR, type Actor } from '../../src/audit/index.ts';
import { trackingRoutes } from '../../src/api/routes/tracking/tracking.ts';
import { deleteSource, listWriteKeys, revokeWriteKey, updateSource } from '../../src/pipeline/index.ts';
import { selectRows, type PostgresPool } from '../../src/store/index.ts';
import {
  createPipelineWorld,
  loadAll,
  secretBox,
  silent,
  testLoader,
  type PipelineWorld,
} from '../db/pipeline-world.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';

const UNKNOWN_KEY = `tm_write_${'A'.repeat(32)}`;

let stores: TestStores;
let world: PipelineWorld;
let app: ReturnType<typeof trackingRoutes>;
let server: ReturnType<typeof serve>;
let host: string;
beforeAll(async () => {
  stores = await createTestStores();
  app = trackingRoutes({ pool: stores.pool, logger: silent });
  await new Promise<void>((listening) => {
    server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => listening());
  });
  host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await new Promise((closed) => server.close(closed));
  await stores.close();
});
beforeEach(async () => {
  world = await createPipelineWorld(stores.pool);
});

const basic = (key: string) => `Basic ${Buffer.from(`${key}:`).toString('base64')}`;

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await app.request(path, {
    method: 'POST',
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
    headers: { authorization: basic(world.writeKey), 'content-type': 'application/json', ...headers },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function readEvents(): Promise<Record<string, unknown>[]> {
  const { rows } = await stores.pool.query<{ event: Record<string, unknown> }>(
    'select event from event_log where source_id = $1 order by event_log.xid, position',
    [world.sourceId],
  );
  return rows.map(({ event }) => event);
}

const track = { type: 'track', event: 'Bought', userId: 'ann' };

describe('the official client', () => {
  test('sends every call, and they are in ClickHouse, once', async () => {
    const analytics = new Analytics({ writeKey: world.writeKey, host, flushAt: 7, maxRetries: 0 });
    const problems: unknown[] = [];
    analytics.on('error', (error) => problems.push(error));
    const timestamp = new Date('2026-01-02T03:04:05.678Z');
    analytics.track({ event: 'Signed Up', anonymousId: 'a1', properties: { plan: 'free' }, timestamp });
    analytics.identify({ userId: 'ann', anonymousId: 'a1', traits: { email: 'ann@example.com' } });
    analytics.page({ userId: 'ann', name: 'Home', properties: { url: '/' } });
    analytics.screen({ userId: 'ann', name: 'Start' });
    analytics.group({ userId: 'ann', groupId: 'acme', traits: { size: 3 } });
    analytics.alias({ userId: 'ann', previousId: 'old-ann' });
    for (let n = 0; n < 50; n += 1) analytics.track({ event: 'Bought', userId: `user-${n}`, properties: { n } });
    await analytics.flush({ close: true });
    expect(problems).toEqual([]);

    await loadAll(stores.pool, testLoader(stores));
    const counts = await selectRows(
      stores.clickhouse,
      `SELECT type, event, count() AS rows, uniqExact(message_id) AS messages, uniqExact(profile) AS profiles
       FROM events WHERE space_id = {space:String} GROUP BY type, event ORDER BY type, event`,
      { space: world.spaceId },
    );
    const one = { rows: 1, messages: 1, profiles: 1 };
    expect(counts).toEqual([
      { type: 'alias', event: '', ...one },
      { type: 'group', event: '', ...one },
      { type: 'identify', event: '', ...one },
      { type: 'page', event: 'Page Viewed', ...one },
      { type: 'screen', event: 'Screen Viewed', ...one },
      { type: 'track', event: 'Bought', rows: 50, messages: 50, profiles: 50 },
      { type: 'track', event: 'Signed Up', ...one },
    ]);
    const ann = await stores.pool.query(
      `select count(distinct profile) as profiles, count(*) as ids from external_ids
       where space_id = $1 and value in ('ann', 'a1', 'old-ann')`,
      [world.spaceId],
    );
    expect(ann.rows).toEqual([{ profiles: 1, ids: 3 }]);
  });

  test('hears of a batch that is refused as a whole, and of an unknown key', async () => {
    for (const [writeKey, event, reason] of [
      [world.writeKey, '', '[400] Bad Request'],
      ['unknown', 'Bought', '[401] Unauthorized'],
    ] as const) {
      const analytics = new Analytics({ writeKey, host, maxRetries: 0 });
      const outcome = new Promise((resolve) => analytics.on('error', ({ reason: why }) => resolve(String(why))));
      analytics.track({ event, userId: 'ann' });
      await analytics.flush({ close: true });
      expect(await outcome).toContain(reason);
    }
  });
});

describe('what is taken', () => {
  test.each([
    ['track', 't', { event: 'E', userId: 'u' }],
    ['identify', 'i', { anonymousId: 'a' }],
    ['page', 'p', { userId: 'u' }],
    ['screen', 's', { userId: 'u' }],
    ['group', 'g', { userId: 'u', groupId: 'g' }],
    ['alias', 'a', { userId: 'u', previousId: 'p' }],
  ])('/v1/%s and /v1/%s', async (type, letter, message) => {
    expect(await post(`/v1/${type}`, message)).toEqual({ status: 200, body: { success: true } });
    // As a browser sends it: the key in the body, no header that needs a preflight. The path says the type.
    const { status } = await post(
      `/v1/${letter}`,
      JSON.stringify({ ...message, writeKey: world.writeKey, type: 'x' }),
      {
        authorization: '',
        'content-type': 'text/plain',
      },
    );
    expect(status).toBe(200);
    const events = await readEvents();
    expect(events).toMatchObject([
      { ...message, type },
      { ...message, type },
    ]);
    expect(JSON.stringify(events)).not.toContain(world.writeKey);
  });

  test.each(['batch', 'b', 'import'])('/v1/%s, gzip or not', async (name) => {
    const batch = { batch: [track, track], writeKey: world.writeKey, sentAt: new Date().toISOString() };
    const packed = gzipSync(JSON.stringify(batch));
    expect((await post(`/v1/${name}`, batch, { authorization: '' })).status).toBe(200);
    expect((await post(`/v1/${name}`, packed, { 'content-encoding': 'gzip' })).status).toBe(200);
    expect(await readEvents()).toHaveLength(4);
  });

  test('a message once, however often it comes', async () => {
    const message = { ...track, messageId: 'm1' };
    await post('/v1/batch', { batch: [message, message] });
    await Promise.all([post('/v1/track', message), post('/v1/track', message), post('/v1/track', message)]);
    expect(await readEvents()).toHaveLength(1);
  });

  test('many requests at once, each whole and in its order', async () => {
    const batches = Array.from({ length: 40 }, (_, batch) =>
      Array.from({ length: 25 }, (__, at) => ({ ...track, messageId: `${batch}-${at}`, properties: { batch, at } })),
    );
    const answers = await Promise.all(batches.map(async (batch) => await post('/v1/batch', { batch })));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    const places = new Map<number, number[]>();
    for (const event of await readEvents()) {
      const { batch, at } = event['properties'] as { batch: number; at: number };
      places.set(batch, [...(places.get(batch) ?? []), at]);
    }
    const inOrder = Array.from({ length: 25 }, (_, at) => at);
    expect([...places.values()]).toEqual(batches.map(() => inOrder));
  });

  test('NUL, half a surrogate pair, and names of every kind', async () => {
    const properties = { '\0': '\0', half: '\ud83d', __proto__x: 1, 'a"b\\': [null, { '': '' }] };
    const text = JSON.stringify({ ...track, properties }).replace('__proto__x', '__proto__');
    expect((await post('/v1/track', text)).status).toBe(200);
    const { rows } = await stores.pool.query<{ event: string }>(
      'select event::text from event_log where source_id = $1',
      [world.sourceId],
    );
    expect(JSON.stringify((JSON.parse(rows[0]?.event ?? '') as { properties: unknown }).properties)).toBe(
      JSON.stringify({ ...properties, half: '\ufffd' }).replace('__proto__x', '__proto__'),
    );
  });
});

describe('what is refused', () => {
  test('a message of a batch is named, and takes no other with it', async () => {
    const { status, body } = await post('/v1/batch', {
      batch: [
        track,
        { ...track, messageId: 'm1', event: '' },
        7,
        { ...track, properties: { text: 'x'.repeat(40_000) } },
      ],
    });
    expect(status).toBe(200);
    expect(body).toEqual({
      success: true,
      refused: [
        { index: 1, messageId: 'm1', field: 'event', message: 'event is required' },
        { index: 2, messageId: null, field: '', message: 'a message is a JSON object' },
        { index: 3, messageId: null, field: '', message: 'an event has at most 32 KB' },
      ],
    });
    expect(await readEvents()).toHaveLength(1);
  });

  test.each<[string, string, unknown, Record<string, string>, number, string]>([
    ['a single invalid message', '/v1/track', { userId: 'u' }, {}, 400, 'event is required'],
    ['a batch of none that is valid', '/v1/batch', { batch: [7, 8] }, {}, 400, 'batch[0]: a message is a JSON object'],
    ['no batch', '/v1/batch', { batch: track }, {}, 400, 'batch is a list of messages.'],
    ['a list', '/v1/batch', [track], {}, 400, 'The body is a JSON object.'],
    ['no JSON', '/v1/track', '{"event": ', {}, 400, 'The body is not well-formed JSON.'],
    ['an empty body', '/v1/track', '', {}, 400, 'The body is not well-formed JSON.'],
    ['no gzip', '/v1/track', 'plain', { 'content-encoding': 'gzip' }, 400, 'The body is not gzip'],
    ['another encoding', '/v1/track', '{}', { 'content-encoding': 'br' }, 400, 'Content-Encoding is gzip, or none.'],
    ['a wrong sentAt', '/v1/batch', { batch: [track], sentAt: 'now' }, {}, 400, 'sentAt is an ISO 8601 date'],
    ['a wrong context', '/v1/batch', { batch: [track], context: [] }, {}, 400, 'context is an object.'],
    ['no key', '/v1/track', track, { authorization: '' }, 401, 'A write key is needed'],
    ['an empty key', '/v1/track', track, { authorization: basic('') }, 401, 'A write key is needed'],
    ['an unknown key', '/v1/track', track, { authorization: basic(UNKNOWN_KEY) }, 401, 'There is no such write key.'],
    ['what is no key', '/v1/track', track, { authorization: basic(`${UNKNOWN_KEY}A`) }, 401, 'is no write key: one is'],
    ['a key of another kind', '/v1/t', { ...track, writeKey: 7 }, { authorization: '' }, 401, 'A write key is needed'],
    [
      'a text in the body that is no key',
      '/v1/t',
      { ...track, writeKey: UNKNOWN_KEY.repeat(9) },
      { authorization: '' },
      401,
      'is no write key: one is',
    ],
    [
      'an unknown key in the body',
      '/v1/t',
      { ...track, writeKey: UNKNOWN_KEY },
      { authorization: '' },
      401,
      'no such write key',
    ],
  ])('%s', async (_, path, sent, headers, status, message) => {
    const answer = await post(path, sent, headers);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ success: false, message: expect.stringContaining(message) as string });
    expect(await readEvents()).toHaveLength(0);
  });

  describe.each(['the header', 'the body'])('with the key in %s, what it was just taken under', (place) => {
    const sent = async () => {
      if (place === 'the header') return await post('/v1/track', track);
      return await post('/v1/track', { ...track, writeKey: world.writeKey }, { authorization: '' });
    };

    test.each<[string, number, (by: PipelineWorld & { actor: Actor }) => Promise<unknown>]>([
      ['a source that was disabled', 403, async (by) => await updateSource(stores.pool, { ...by, enabled: false })],
      ['a source that was deleted', 401, async (by) => await deleteSource(stores.pool, by)],
      [
        'a key that was revoked',
        401,
        async (by) => {
          for (const { id } of await listWriteKeys(stores.pool, secretBox, by)) {
            await revokeWriteKey(stores.pool, secretBox, { ...by, writeKeyId: id });
          }
        },
      ],
    ])('%s', async (_, status, change) => {
      expect(await sent()).toMatchObject({ status: 200 });
      await change({ ...world, actor: SYSTEM_ACTOR });
      expect(await sent()).toMatchObject({ status, body: { success: false } });
      expect(await readEvents()).toHaveLength(1);
    });
  });

  test('what is over 500 KB, also when it is only so after inflating', async () => {
    const long = JSON.stringify({ batch: [], text: ' '.repeat(512_000) });
    const tooLarge = { status: 400, body: { success: false, message: 'A body has at most 500 KB.' } };
    expect(await post('/v1/batch', long, { 'content-length': String(long.length) })).toEqual(tooLarge);
    expect(await post('/v1/batch', long)).toEqual(tooLarge);
    const bomb = gzipSync(Buffer.alloc(50_000_000, 0x20));
    expect(bomb.length).toBeLessThan(100_000);
    expect(await post('/v1/batch', bomb, { 'content-encoding': 'gzip' })).toEqual(tooLarge);
    const exact = JSON.stringify({ batch: [track], text: '' });
    const filled = exact.replace('"text":""', `"text":"${'x'.repeat(512_000 - exact.length)}"`);
    expect(await post('/v1/batch', filled)).toEqual({ status: 200, body: { success: true } });
  });

  test("a batch's context that would grow without end", async () => {
    const batch = Array.from({ length: 5_000 }, () => ({ type: 'track' }));
    expect(await post('/v1/batch', { batch, context: { text: 'x'.repeat(30_000) } })).toMatchObject({
      status: 400,
      body: { message: "The batch's context is too large for so many messages." },
    });
  });

  test('a body that never ends, over a real connection', async () => {
    const answer = await new Promise<{ status: number | undefined; sent: number }>((resolve, reject) => {
      let sent = 0;
      const request = httpRequest(`${host}/v1/batch`, {
        method: 'POST',
        headers: { authorization: basic(world.writeKey), 'transfer-encoding': 'chunked' },
      });
      const pour = setInterval(() => {
        sent += 65_536;
        request.write(Buffer.alloc(65_536, 0x20));
      }, 1);
      request.once('response', (response) => {
        clearInterval(pour);
        response.resume();
        request.destroy();
        resolve({ status: response.statusCode, sent });
      });
      request.once('error', (error) => {
        clearInterval(pour);
        reject(error);
      });
    });
    expect(answer.status).toBe(400);
    expect(answer.sent).toBeLessThan(5_000_000);
  });

  test('while PostgreSQL is away: 503, to be sent again', async () => {
    const away = new Proxy(stores.pool, {
      get: (pool, name: keyof PostgresPool) =>
        name === 'query' ? async () => await Promise.reject(new Error('away')) : pool[name],
    });
    const response = await trackingRoutes({ pool: away, logger: silent }).request('/v1/track', {
      method: 'POST',
      body: JSON.stringify(track),
      headers: { authorization: basic(world.writeKey) },
    });
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await response.json()).toMatchObject({ success: false });
  });
});

test('a page of any origin may send', async () => {
  const preflight = await app.request('/v1/t', {
    method: 'OPTIONS',
    headers: {
      origin: 'https://shop.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,authorization',
    },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
  expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');
  const answer = await app.request('/v1/t', {
    method: 'POST',
    headers: { origin: 'https://shop.example' },
    body: JSON.stringify({ ...track, writeKey: world.writeKey }),
  });
  expect(answer.headers.get('access-control-allow-origin')).toBe('*');
});
