import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PostgresPool } from '../../src/store/index.ts';
import { createPool } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { createWorld, type World } from '../helpers/world.ts';
import { tick, liftCaps } from './schedule-world.ts';

const COMPUTATIONS = 10_000;
const DUE = 100;

let stores: TestPool;
/** One connection, whose counts are then all there is to count. */
let pool: PostgresPool;
let world: World;

beforeAll(async () => {
  stores = await createTestPool();
  pool = createPool({
    connectionString: stores.databaseUrl,
    applicationName: 'trailmark-test',
    max: 1,
    onError: () => undefined,
  });
  world = await createWorld(pool);
  await pool.query(
    `insert into computations (id, workspace_id, space_id, kind, key, name, definition_type, definition_query, refers_to,
       schedule_interval_seconds, live_version, live_definition_version, next_slot_at, next_run_at, created_by, updated_by)
     select 'aud_' || n, $1, $2, 'audience', 'a' || n, 'a' || n, 'USERS', 'event(''A'').count() >= 1',
       case when n > 5000 then array['a' || (n - 5000)] else '{}' end,
       3600, 1, 1, now() + interval '1 hour', now() + interval '1 hour', 'test', 'test'
     from generate_series(1, $3::integer) n`,
    [world.workspaceId, world.spaceId, COMPUTATIONS],
  );
  await liftCaps(pool);
});
afterAll(async () => {
  await pool?.end();
  await stores?.close();
});

/** How often a table was read from one end to the other, and how many of its rows were fetched through an index. */
async function readsOf(table: string): Promise<{ whole: number; rows: number }> {
  await pool.query('select pg_stat_force_next_flush()');
  const { rows } = await pool.query<{ whole: number; rows: number }>(
    `select seq_scan as whole, idx_tup_fetch as rows from pg_stat_user_tables where relname = $1`,
    [table],
  );
  return rows[0] ?? { whole: Number.NaN, rows: Number.NaN };
}

// Before its first look at a table's figures, and after it: the planner is of another mind then.
test.each([
  ['that PostgreSQL knows nothing of yet', ''],
  ['that PostgreSQL has looked at', 'analyze'],
])('of ten thousand computations %s, a tick reads those that are due, by the index', async (_which, before) => {
  await pool.query(`update tasks set status = 'cancelled', ended_at = now() where ended_at is null`);
  if (before !== '') await pool.query(before);
  await pool.query(
    `update computations set next_slot_at = now() - interval '1 second', next_run_at = now() - interval '1 second'
     where id in (select 'aud_' || n from generate_series(4951, 5050) n)`,
  );
  const [computations, tasks] = [await readsOf('computations'), await readsOf('tasks')];
  // 4951 to 5000 stand alone; 5001 to 5050 refer to 1 to 50, which are not due.
  expect(await tick(pool)).toMatchObject({ created: DUE, started: DUE });
  const after = { computations: await readsOf('computations'), tasks: await readsOf('tasks') };
  expect(after.computations.whole - computations.whole).toBe(0);
  expect(after.tasks.whole - tasks.whole).toBe(0);
  // Each once to take it, once to set its next slot, once for the foreign key of its task, and one for what it refers to.
  expect(after.computations.rows - computations.rows).toBeGreaterThanOrEqual(DUE);
  expect(after.computations.rows - computations.rows).toBeLessThanOrEqual(5 * DUE);
  await pool.query(`update tasks set status = 'succeeded', ended_at = now() where ended_at is null`);

  const idle = await readsOf('computations');
  expect(await tick(pool)).toMatchObject({ created: 0, started: 0 });
  expect((await readsOf('computations')).whole - idle.whole).toBe(0);
  expect((await readsOf('computations')).rows - idle.rows).toBeLessThanOrEqual(5);
});

test('what waits for an open run costs a tick no more than a look at each, and takes nobody a place', async () => {
  await pool.query(`update computations set next_slot_at = now() - interval '1 second', next_run_at = now() - interval '1 second'
                    where id in (select 'aud_' || n from generate_series(1, 2000) n)`);
  expect(await tick(pool)).toMatchObject({ created: 2_000 });
  // Due again while all of these runs are open; and younger than all of them, one that has none.
  await pool.query(`update computations set next_slot_at = now() - interval '1 minute', next_run_at = now() - interval '1 minute'
                    where id in (select 'aud_' || n from generate_series(1, 2000) n)`);
  await pool.query(`update computations set next_slot_at = now(), next_run_at = now() where id = 'aud_3000'`);
  const before = await readsOf('computations');
  expect(await tick(pool)).toMatchObject({ created: 1 });
  expect((await readsOf('computations')).whole - before.whole).toBe(0);
});
