import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listSourceWarnings } from '../../src/pipeline/index.ts';
import { migrateClickHouse, selectRows } from '../../src/store/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { createPipelineWorld, loadAll, send, testLoader, type PipelineWorld } from './pipeline-world.ts';

let stores: TestStores;
let world: PipelineWorld;
beforeAll(async () => {
  stores = await createTestStores();
});
afterAll(async () => await stores.close());
beforeEach(async () => {
  world = await createPipelineWorld(stores.pool);
});

const FUTURE = '2031-05-06T07:08:09.000Z';

async function readTraits(table: 'profile_traits' | 'account_traits', spaceId = world.spaceId) {
  return await selectRows(
    stores.clickhouse,
    `SELECT trait, value FROM ${table} FINAL WHERE space_id = {space:String} ORDER BY trait`,
    { space: spaceId },
  );
}

describe('a clock from the future', () => {
  test.each([
    ['identify', 'profile_traits', {}],
    ['group', 'account_traits', { groupId: 'acme' }],
  ] as const)('%s: what is written after it wins', async (type, table, ids) => {
    const message = { type, userId: 'ann', ...ids };
    await send(stores.pool, world, [{ ...message, timestamp: FUTURE, traits: { email: 'typo@x' } }]);
    await send(stores.pool, world, [{ ...message, traits: { email: 'right@x' } }]);
    await loadAll(stores.pool, testLoader(stores));
    expect(await readTraits(table)).toEqual([{ trait: 'email', value: '"right@x"' }]);
  });

  test('the event counts as of its arrival, and its warning is with it and with its source', async () => {
    const receivedAt = Date.parse('2026-03-01T12:00:00.000Z');
    const message = { type: 'track', event: 'Bought', userId: 'ann', timestamp: FUTURE };
    await send(stores.pool, world, [{ ...message, messageId: 'first' }], receivedAt);
    await send(
      stores.pool,
      world,
      [
        { ...message, messageId: 'last' },
        { ...message, timestamp: '2026-01-01' },
      ],
      receivedAt,
    );
    await loadAll(stores.pool, testLoader(stores));
    const events = await selectRows<{ timestamp: string; warnings: string }>(
      stores.clickhouse,
      'SELECT toString(timestamp) AS timestamp, warnings FROM events WHERE space_id = {space:String} ORDER BY timestamp',
      { space: world.spaceId },
    );
    expect(events.map(({ timestamp, warnings }) => [timestamp, JSON.parse(warnings)])).toEqual([
      ['2026-01-01 00:00:00.000', []],
      ['2026-03-01 12:00:00.000', [expect.objectContaining({ code: 'time_in_future', field: 'timestamp' })]],
      ['2026-03-01 12:00:00.000', [expect.objectContaining({ code: 'time_in_future', field: 'timestamp' })]],
    ]);
    expect(await listSourceWarnings(stores.pool, world.sourceId)).toEqual([
      {
        space_id: '',
        code: 'time_in_future',
        field: 'timestamp',
        count: 2,
        first_at: new Date(receivedAt),
        last_at: new Date(receivedAt),
        last_message_id: 'last',
        last_message: expect.stringContaining('2031-05-06T07:08:09.000Z') as string,
      },
    ]);
  });

  test('what the log has from before is held to its arrival too', async () => {
    const event = {
      type: 'identify',
      messageId: 'old',
      userId: 'ann',
      timestamp: FUTURE,
      receivedAt: '2026-01-01T00:00:00.000Z',
      traits: { email: 'typo@x' },
    };
    await stores.pool.query(
      `insert into event_log (workspace_id, source_id, message_id, type, event) values ($1, $2, 'old', 'identify', $3)`,
      [world.workspaceId, world.sourceId, JSON.stringify(event)],
    );
    await send(stores.pool, world, [{ type: 'identify', userId: 'ann', traits: { email: 'right@x' } }]);
    await loadAll(stores.pool, testLoader(stores));
    expect(await readTraits('profile_traits')).toEqual([{ trait: 'email', value: '"right@x"' }]);
    expect(await listSourceWarnings(stores.pool, world.sourceId)).toMatchObject([{ code: 'time_in_future', count: 1 }]);
  });

  test('a trait that is in ClickHouse with a time in the future loses to the next write', async () => {
    await send(stores.pool, world, [
      { type: 'identify', userId: 'ann', traits: { email: 'old@x' } },
      { type: 'group', userId: 'ann', groupId: 'acme', traits: { plan: 'old' } },
    ]);
    await loadAll(stores.pool, testLoader(stores));
    const version = `${Date.parse(FUTURE) - Date.UTC(1900, 0, 1)}0000000000000007`;
    const time = FUTURE.replace('T', ' ').replace('Z', '');
    await stores.clickhouse.insert({
      table: 'profile_traits',
      columns: ['space_id', 'trait', 'profile', 'value', 'timestamp', 'version'],
      values: [[world.spaceId, 'email', 1, '"typo@x"', time, version]],
      format: 'JSONCompactEachRow',
    });
    await stores.clickhouse.insert({
      table: 'account_traits',
      columns: ['space_id', 'trait', 'account', 'value', 'timestamp', 'version'],
      values: [[world.spaceId, 'plan', 1, '"typo"', time, version]],
      format: 'JSONCompactEachRow',
    });
    await stores.clickhouse.command({
      query: 'ALTER TABLE schema_migrations DELETE WHERE version = 4 SETTINGS mutations_sync = 2',
    });
    await migrateClickHouse(stores.clickhouse, stores.pool);
    // As of now it stands: what it replaced may be gone already.
    expect(await readTraits('profile_traits')).toEqual([{ trait: 'email', value: '"typo@x"' }]);
    await send(stores.pool, world, [
      { type: 'identify', userId: 'ann', traits: { email: 'right@x' } },
      { type: 'group', userId: 'ann', groupId: 'acme', traits: { plan: 'right' } },
    ]);
    await loadAll(stores.pool, testLoader(stores));
    expect(await readTraits('profile_traits')).toEqual([{ trait: 'email', value: '"right@x"' }]);
    expect(await readTraits('account_traits')).toEqual([{ trait: 'plan', value: '"right"' }]);
  });
});
