import fc from 'fast-check';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalJson, parseJson, stringifyJson } from '../../src/exact-json.ts';
import { appendEvents, parseTrackingBody, readBatch } from '../../src/pipeline/index.ts';
import { selectRows } from '../../src/store/index.ts';
import { storedToJson } from '../../src/stored-json.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { jsonTextArbitrary } from '../helpers/json-texts.ts';
import { addAudience, addRun, connectWebhook, type World } from '../helpers/world.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { createPipelineWorld, loadAll, requestOf, testLoader, type PipelineWorld } from './pipeline-world.ts';
import { tasksOn } from './tasks-world.ts';

// Numbers on their whole way: from the body of a request by the log, ClickHouse and a computed trait to a tool.

let stores: TestStores;
let server: Server;
let url: string;
let bodies: string[] = [];

beforeAll(async () => {
  stores = await createTestStores();
  server = createServer((request, answer) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      bodies.push(body);
      answer.end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(async () => {
  server?.close();
  await stores?.close();
});

/** Ingests the messages of a body as they are written, and loads them. */
async function ingest(world: PipelineWorld, messages: readonly string[]): Promise<void> {
  const { accepted, refused } = readBatch(parseTrackingBody(`{"batch": [${messages.join(', ')}]}`), Date.now());
  expect(refused).toEqual([]);
  await appendEvents(stores.pool, [requestOf(world, accepted)]);
  await loadAll(stores.pool, testLoader(stores));
}

async function profilesOf(world: PipelineWorld): Promise<string[]> {
  const rows = await selectRows<{ user_id: string }>(
    stores.clickhouse,
    'SELECT user_id FROM profiles FINAL WHERE space_id = {space:String} ORDER BY user_id',
    { space: world.spaceId },
  );
  return rows.map((row) => row.user_id);
}

/** A computed trait's values by user, as they are computed and as they are sent. */
async function computeAndSend(world: PipelineWorld, key: string, query: string) {
  bodies = [];
  const owned: World = { ...world, actor: SYSTEM_ACTOR };
  const tasks = tasksOn(stores.pool, stores.clickhouse);
  const computationId = await addAudience(stores.pool, owned, query, { kind: 'computed_trait', key });
  await connectWebhook(stores.pool, owned, computationId, url, 100);
  const [syncId = ''] = await tasks.execute(await addRun(stores.pool, owned, computationId));
  await tasks.execute(syncId);
  const rows = await selectRows<{ value: string }>(
    stores.clickhouse,
    `SELECT value FROM trait_versions ARRAY JOIN profiles AS profile, \`values\` AS value
     WHERE computation_id = {id:String} ORDER BY profile`,
    { id: computationId },
  );
  const sent = bodies.flatMap((body) => parseJson(body) as { properties: Record<string, unknown> }[]);
  return {
    computed: rows.map(({ value }) => storedToJson(value)),
    sent: sent.map(({ properties }) => stringifyJson(properties[key])),
  };
}

const asWritten = (text: string) => stringifyJson(parseJson(canonicalJson(text)));

describe('numbers', () => {
  test('that are ids are the text of exactly their digits, so that no two people become one', async () => {
    const world = await createPipelineWorld(stores.pool);
    const ids = ['157963456373623802', '157963456373623803', '1.0', '1', '12345678901234567890123', '1e3'];
    await ingest(
      world,
      ids.map((id) => `{"type": "identify", "userId": ${id}, "traits": {"a": 1}}`),
    );
    expect(await profilesOf(world)).toEqual([...ids].sort());
  });

  test(
    'of any size and spelling come out of the log, ClickHouse and a webhook as they went in',
    { timeout: 300_000 },
    async () => {
      const documents = fc
        .sample(jsonTextArbitrary, { numRuns: 300, seed: 18 })
        // A null is no value, and a computed trait has none for it.
        .filter((text) => asWritten(text) !== 'null');
      const world = await createPipelineWorld(stores.pool);
      await ingest(
        world,
        documents.map(
          (text, index) =>
            `{"type": "track", "event": "Sent", "userId": "u${index}", "messageId": "m${index}", "properties": {"p": ${text}}}`,
        ),
      );
      const { rows } = await stores.pool.query<{ event: string }>(
        'select event::text from event_log where source_id = $1 order by position',
        [world.sourceId],
      );
      const logged = rows.map(({ event }) => (parseJson(event) as { properties: { p: unknown } }).properties.p);
      expect(logged.map(stringifyJson)).toEqual(documents.map(asWritten));

      const { computed, sent } = await computeAndSend(world, 'last_sent', "event('Sent').last(property('p'))");
      expect(computed.map(normalised)).toEqual(documents.map((text) => normalised(asWritten(text))));
      expect(sent.map(normalised)).toEqual(documents.map((text) => normalised(asWritten(text))));
    },
  );

  test('keep their text in every reducer', async () => {
    const world = await createPipelineWorld(stores.pool);
    const number = ['9007199254740993', '1e-7', '123456789012345678901234567', '0.1234567891', '1e400'];
    await ingest(
      world,
      number.map(
        (text, index) => `{"type": "track", "event": "Sent", "userId": "u${index}", "properties": {"p": ${text}}}`,
      ),
    );
    const kept = ['9007199254740993', '0.0000001', '123456789012345678901234567', '0.1234567891'];
    for (const reducer of ['max', 'min', 'sum', 'avg', 'first', 'last']) {
      const { computed, sent } = await computeAndSend(
        world,
        `by_${reducer}`,
        `event('Sent').${reducer}(property('p'))`,
      );
      // What is too large to compute with is no number for those that compute.
      const all = ['first', 'last'].includes(reducer) ? [...kept, '1e400'] : kept;
      expect({ reducer, computed, sent }).toEqual({ reducer, computed: all, sent: all });
    }
    const unique = await computeAndSend(world, 'by_unique', "event('Sent').unique(property('p'))");
    expect(unique.sent).toEqual([...kept, '1e400'].map((text) => `[${text}]`));
  });

  test('in traits take no trait away, and what stands beside them is read', async () => {
    const world = await createPipelineWorld(stores.pool);
    await ingest(world, [
      '{"type": "identify", "userId": "u", "traits": {"big": 1e400, "o": {"n": 18446744073709551616, "name": "x"}, "email": 12345678901234567890}}',
      '{"type": "track", "event": "Sent", "userId": "u", "properties": {"n": -99999999999999999999, "name": "y"}}',
    ]);
    const owned: World = { ...world, actor: SYSTEM_ACTOR };
    const tasks = tasksOn(stores.pool, stores.clickhouse);
    for (const [key, query] of Object.entries({
      one: "trait('big').exists() AND trait('o.name') = 'x' AND trait('o.n') = 18446744073709551616",
      two: "event('Sent').where(property('name') = 'y' AND property('n') = -99999999999999999999).count() = 1",
    })) {
      const audience = await addAudience(stores.pool, owned, query, { key });
      bodies = [];
      await connectWebhook(stores.pool, owned, audience, url);
      const [syncId = ''] = await tasks.execute(await addRun(stores.pool, owned, audience));
      await tasks.execute(syncId);
      expect(bodies, key).toHaveLength(1);
      expect(bodies[0], key).toContain('"traits":{"email":12345678901234567890}');
    }
  });
});

/** ClickHouse writes some characters of strings as escapes; the numbers are what they are. */
function normalised(json: string): string {
  return stringifyJson(parseJson(json));
}

describe('a number that no engine keeps', () => {
  test.each([
    ['{"type": "track", "event": "A", "userId": "u", "properties": {"a": [1, {"b": 1e99999}]}}', 'properties.a.1.b'],
    ['{"type": "identify", "userId": "u", "traits": {"x": -1E-10000}}', 'traits.x'],
    ['{"type": "identify", "userId": "u", "more": 1e123456789012345678901}', 'more'],
  ])('%s is refused by name', (message, field) => {
    const { accepted, refused } = readBatch(parseTrackingBody(`{"batch": [${message}]}`), Date.now());
    expect(accepted).toEqual([]);
    expect(refused).toMatchObject([
      { field, message: expect.stringContaining(`${field} is a number with an exponent`) as string },
    ]);
  });

  test("is refused in a batch's context too", () => {
    const body = parseTrackingBody('{"batch": [], "context": {"n": 1e99999}}');
    expect(() => readBatch(body, Date.now())).toThrow(
      expect.objectContaining({ code: 'batch_invalid', field: 'context.n' }),
    );
  });

  test('is no object, no text and no list either', () => {
    const read = (message: string) =>
      readBatch(parseTrackingBody(`{"batch": [${message}]}`), Date.now()).refused[0]?.field;
    expect(read('12345678901234567890')).toBe('');
    expect(read('{"type": "track", "event": 12345678901234567890, "userId": "u"}')).toBe('event');
    expect(read('{"type": "track", "event": "A", "userId": "u", "properties": 12345678901234567890}')).toBe(
      'properties',
    );
    expect(read('{"type": "track", "event": "A", "userId": "u", "timestamp": 12345678901234567890}')).toBe('timestamp');
  });
});
