import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { getBlockedIds, listSourceWarnings, setBlockedIds } from '../../src/pipeline/index.ts';
import { createIdFilter, DEFAULT_BLOCKED_IDS, DEFAULT_ID_FILTER } from '../../src/pipeline/identity/blocked-ids.ts';
import { inTransaction, selectRows, type ClickHouseClient } from '../../src/store/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { addSpace, createPipelineWorld, loadAll, send, testLoader, type PipelineWorld } from './pipeline-world.ts';

let stores: TestStores;
let world: PipelineWorld;
beforeAll(async () => {
  stores = await createTestStores();
});
afterAll(async () => await stores.close());
beforeEach(async () => {
  world = await createPipelineWorld(stores.pool);
});

async function readIds(spaceId = world.spaceId): Promise<string[]> {
  const { rows } = await stores.pool.query<{ shown: string }>(
    `select profile || ' ' || type || ' ' || value as shown from external_ids where space_id = $1 order by profile, type desc`,
    [spaceId],
  );
  return rows.map(({ shown }) => shown);
}

async function block(values: string[] | null, spaceId = world.spaceId): Promise<void> {
  const { workspaceId } = world;
  await inTransaction(stores.pool, async (tx) => {
    await setBlockedIds(tx, { workspaceId, spaceId, values, actor: SYSTEM_ACTOR });
  });
}

const SPELLINGS = [
  'null',
  ' NULL ',
  'Undefined',
  '[object Object]',
  '[object object]',
  'anonymous',
  'Guest',
  'none',
  'NaN',
  'nil',
  '0',
  '000',
  '-',
  '00000000-0000-0000-0000-000000000000',
  '-1',
  'n/a',
  'N/A',
  'unknown',
  'true',
  'FALSE',
  'test',
  '"null"',
  "'undefined'",
  '(none)',
  '<nil>',
  '   ',
  '\u00a0',
  'ｎｕｌｌ',
  '{}',
];

describe('ids that identify nobody', () => {
  test('merge nobody, however they are spelt: each event is under its anonymous id', async () => {
    const messages = SPELLINGS.flatMap((userId, index) => [
      { type: 'identify', userId, anonymousId: `a${index}-1`, traits: { n: index } },
      { type: 'track', event: 'Seen', userId, anonymousId: `a${index}-2` },
    ]);
    await send(stores.pool, world, messages);
    await loadAll(stores.pool, testLoader(stores, { leaseMs: 0 }));
    const ids = await readIds();
    expect(ids).toHaveLength(messages.length);
    expect(ids.every((id) => / anonymous_id a\d+-[12]$/.test(id))).toBe(true);
    expect(new Set(ids.map((id) => id.split(' ')[0])).size).toBe(messages.length);
    // The event has what was sent, and says what became of it.
    const [event] = await selectRows<{ warnings: string }>(
      stores.clickhouse,
      `SELECT warnings FROM events WHERE space_id = {space:String} AND type = 'track' LIMIT 1`,
      { space: world.spaceId },
    );
    expect(JSON.parse(event?.warnings ?? '')).toMatchObject([{ code: 'id_blocked', field: 'userId' }]);
    expect(await listSourceWarnings(stores.pool, world.sourceId)).toMatchObject([
      { space_id: world.spaceId, code: 'id_blocked', field: 'userId', count: messages.length },
    ]);
  });

  test('what is like one of them identifies somebody', () => {
    for (const id of [
      'nullable',
      'user-0',
      '01',
      '-12',
      'anonymous@example.com',
      'tester',
      '1',
      'nil-1',
      'a',
      '0x0',
      '0.1',
      '1e0',
      'object',
      '[1]',
    ]) {
      expect([id, DEFAULT_ID_FILTER.blocks(id)]).toEqual([id, false]);
    }
    const wrapped = fc
      .constantFrom(...DEFAULT_BLOCKED_IDS)
      .chain((value) => fc.constantFrom(value, ` ${value}\t`, value.toUpperCase(), `"${value}"`, `<${value}>`));
    fc.assert(fc.property(wrapped, (value) => DEFAULT_ID_FILTER.blocks(value)));
    for (const id of [
      '\u200B',
      '\u2800',
      '\u00AD',
      '\u3164',
      'null\u200B',
      '0.0',
      '-0.00',
      '0e0',
      '+0',
      '{00000000-0000-0000-0000-000000000000}',
      '[null]',
      '"[undefined]"',
      '[object Window]',
      '[object GeneratorFunction]',
      'not_set',
      'Not-Available',
      '#N/A',
      '\\N',
    ]) {
      expect([id, DEFAULT_ID_FILTER.blocks(id)]).toEqual([id, true]);
    }
    const own = createIdFilter(['void']);
    fc.assert(
      fc.property(
        fc.string({ minLength: 5 }).filter((text) => text.trim().length > 6),
        (text) => !own.blocks(text),
      ),
    );
  });

  test('an anonymous id links nothing, an alias merges nothing, a group has no member', async () => {
    const seen = { type: 'track', event: 'Seen' };
    await send(stores.pool, world, [
      { ...seen, userId: 'ann', anonymousId: 'null' },
      { ...seen, userId: 'bob', anonymousId: 'null' },
      { type: 'alias', userId: 'ann', previousId: 'undefined' },
      { type: 'alias', userId: 'null', previousId: 'before' },
      { type: 'alias', userId: 'null', previousId: 'none', anonymousId: 'device' },
      { type: 'group', userId: 'ann', groupId: 'null', traits: { size: 1 } },
      { type: 'group', userId: 'bob', groupId: ' NONE', traits: { size: 2 } },
    ]);
    await loadAll(stores.pool, testLoader(stores, { leaseMs: 0 }));
    expect(await readIds()).toEqual([
      '1 user_id ann',
      '2 user_id bob',
      '3 anonymous_id before',
      '4 anonymous_id device',
    ]);
    const members = await selectRows(
      stores.clickhouse,
      'SELECT * FROM account_members WHERE space_id = {space:String}',
      { space: world.spaceId },
    );
    expect(members).toEqual([]);
    expect((await stores.pool.query('select from accounts where space_id = $1', [world.spaceId])).rowCount).toBe(0);
    const warnings = await listSourceWarnings(stores.pool, world.sourceId);
    expect(warnings.map(({ field, count }) => `${field} ${count}`).sort()).toEqual([
      'anonymousId 2',
      'groupId 2',
      'previousId 2',
      'userId 2',
    ]);
  });

  test('each space has its own list, and an event that is nobody in one is in the other', async () => {
    const other = await addSpace(stores.pool, world);
    await block(['void'], other);
    const message = { type: 'track', event: 'Seen' };
    await send(stores.pool, world, [
      { ...message, userId: 'null', anonymousId: 'a1' },
      { ...message, userId: 'void', anonymousId: 'a2' },
    ]);
    // Ingest, which these messages did not pass, refuses only what is nobody in every space.
    await stores.pool.query(
      `insert into event_log (workspace_id, source_id, message_id, type, event) values ($1, $2, 'alone', 'track', $3)`,
      [
        world.workspaceId,
        world.sourceId,
        JSON.stringify({
          ...message,
          messageId: 'alone',
          userId: 'guest',
          timestamp: '2026-01-01T00:00:00.000Z',
          receivedAt: '2026-01-01T00:00:00.000Z',
        }),
      ],
    );
    await send(stores.pool, world, [{ ...message, userId: 'last' }]);
    await loadAll(stores.pool, testLoader(stores, { leaseMs: 0 }));
    expect(await readIds()).toEqual(['1 anonymous_id a1', '2 user_id void', '2 anonymous_id a2', '3 user_id last']);
    expect(await readIds(other)).toEqual([
      '1 user_id null',
      '1 anonymous_id a1',
      '2 anonymous_id a2',
      '3 user_id guest',
      '4 user_id last',
    ]);
    expect(await listSourceWarnings(stores.pool, world.sourceId)).toContainEqual(
      expect.objectContaining({ space_id: world.spaceId, code: 'identifies_nobody', field: 'userId', count: 1 }),
    );
  });

  test('a list that is changed between two tries of a range changes nothing in it', async () => {
    const message = { type: 'track', event: 'Seen', userId: 'void' };
    await send(stores.pool, world, [
      { ...message, anonymousId: 'a1' },
      { ...message, anonymousId: 'a2' },
    ]);
    const failing: ClickHouseClient = new Proxy(stores.clickhouse, {
      get(client, name: keyof ClickHouseClient) {
        if (name !== 'insert') return client[name];
        return async (params: Parameters<ClickHouseClient['insert']>[0]) => {
          if (params.table === 'events') throw new Error('the connection broke');
          return await client.insert(params);
        };
      },
    });
    await block(['other']);
    await expect(testLoader({ ...stores, clickhouse: failing }, { leaseMs: 0 }).loadOnce()).rejects.toThrow('broke');
    await block(['void']);
    await loadAll(stores.pool, testLoader(stores, { leaseMs: 0 }));
    expect(await readIds()).toEqual(['1 user_id void', '1 anonymous_id a1', '1 anonymous_id a2']);
    const copy = await selectRows(
      stores.clickhouse,
      'SELECT profile, user_id FROM profiles FINAL WHERE space_id = {space:String}',
      { space: world.spaceId },
    );
    expect(copy).toEqual([{ profile: 1, user_id: 'void' }]);
  });

  test('a list is kept without repeats, told to the trail, and given back', async () => {
    await block(['null', ' NULL', '000', '0-0']);
    expect(await getBlockedIds(stores.pool, world.workspaceId, world.spaceId)).toEqual({
      values: ['null', '000'],
      isDefault: false,
    });
    await block(['null', '000']);
    await block(null);
    expect(await getBlockedIds(stores.pool, world.workspaceId, world.spaceId)).toMatchObject({ isDefault: true });
    const trail = await stores.pool.query(
      `select before, after from audit_events where resource_id = $1 and type = 'Space Modified' order by occurred_at`,
      [world.spaceId],
    );
    expect(trail.rows).toEqual([
      { before: { blockedIds: DEFAULT_BLOCKED_IDS }, after: { blockedIds: ['null', '000'] } },
      { before: { blockedIds: ['null', '000'] }, after: { blockedIds: DEFAULT_BLOCKED_IDS } },
    ]);
  });
});
