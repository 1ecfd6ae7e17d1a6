import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createComputation, takeDueComputations, updateComputation } from '../../src/compute/index.ts';
import { inTransaction, type PostgresPool } from '../../src/store/index.ts';
import { createTask, scheduleDueTasks } from '../../src/tasks/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { addRun, createWorld, type World } from '../helpers/world.ts';
import { addSync } from './tasks-world.ts';

let stores: TestPool;
let pool: PostgresPool;
let world: World;

beforeAll(async () => {
  stores = await createTestPool();
  ({ pool } = stores);
});
beforeEach(async () => {
  await pool.query('update computations set enabled = false');
  await pool.query(`update tasks set status = 'cancelled', ended_at = now() where ended_at is null`);
  world = await createWorld(pool);
});
afterAll(async () => {
  await stores?.close();
});

let keys = 0;

/** A computation that has been due for so long, and ran before unless it says otherwise. */
async function addDue(overdueSeconds: number, intervalSeconds = 60, live: number | null = 1): Promise<string> {
  return await inTransaction(pool, async (tx) => {
    const row = await createComputation(
      tx,
      {
        ...world,
        kind: 'audience',
        name: `audience ${++keys}`,
        definition: { type: 'USERS', query: "event('Visited').count() >= 1" },
        schedule: { intervalSeconds },
      },
      world.actor,
    );
    await tx.query(
      `update computations set next_run_at = now() - $2 * interval '1 second', live_version = $3::bigint,
              live_definition_version = case when $3::bigint is null then null else definition_version end
       where id = $1`,
      [row.id, overdueSeconds, live],
    );
    return row.id;
  });
}

async function take(limit = 10) {
  return await inTransaction(pool, async (tx) => await takeDueComputations(tx, limit));
}

async function beat(): Promise<{ created: number; started: number; ids: string[] }> {
  const ids: string[] = [];
  const result = await scheduleDueTasks(pool, async (taskId) => {
    ids.push(taskId);
    await pool.query('update tasks set dispatched_at = clock_timestamp() where id = $1', [taskId]);
  });
  return { ...result, ids };
}

describe('what is due', () => {
  test('comes back on its own beat, after the present, and once however long nobody looked', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 40_000_000 }),
        fc.integer({ min: 10, max: 100_000 }),
        async (overdueMs, intervalSeconds) => {
          const id = await addDue(overdueMs / 1000, intervalSeconds);
          const before = await pool.query<{ at: number }>(
            'select extract(epoch from next_run_at)::float8 as at from computations where id = $1',
            [id],
          );
          expect((await take()).map((due) => due.id)).toEqual([id]);
          expect(await take()).toEqual([]);
          const { rows } = await pool.query<{ at: number; ahead: number }>(
            `select extract(epoch from next_run_at)::float8 as at, extract(epoch from next_run_at - now())::float8 as ahead
             from computations where id = $1`,
            [id],
          );
          const beats = ((rows[0]?.at ?? 0) - (before.rows[0]?.at ?? 0)) / intervalSeconds;
          expect(Math.abs(beats - Math.round(beats))).toBeLessThan(1e-4);
          expect(rows[0]?.ahead).toBeGreaterThan(-2);
          expect(rows[0]?.ahead).toBeLessThanOrEqual(intervalSeconds);
          await pool.query('update computations set enabled = false where id = $1', [id]);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('says why: created, edited, scheduled', async () => {
    const created = await addDue(30, 60, null);
    const edited = await addDue(20);
    const scheduled = await addDue(10);
    await pool.query('update computations set definition_version = definition_version + 1 where id = $1', [edited]);
    const reasons = Object.fromEntries((await take()).map((due) => [due.id, due.reason]));
    expect(reasons).toEqual({ [created]: 'created', [edited]: 'edited', [scheduled]: 'scheduled' });
  });

  test('the oldest first, and nothing of a deleted or a disabled computation', async () => {
    await addDue(10);
    const oldest = await addDue(30);
    await pool.query('update computations set deleted_at = now() where id = $1', [await addDue(50)]);
    await pool.query('update computations set enabled = false where id = $1', [await addDue(40)]);
    expect((await take(1)).map((due) => due.id)).toEqual([oldest]);
  });

  test('an edit while a run is open is computed as soon as that has its outcome, not a whole interval later', async () => {
    const id = await addDue(1, 3600);
    const [run] = (await beat()).ids;
    const address = { ...world, kind: 'audience' as const, id };
    const edit = { definition: { type: 'USERS' as const, query: "event('Visited').count() >= 2" } };
    await inTransaction(pool, async (tx) => await updateComputation(tx, address, edit, world.actor));
    expect(await beat()).toMatchObject({ created: 0 });
    await pool.query(`update tasks set status = 'succeeded' where id = $1`, [run]);
    expect(await beat()).toMatchObject({ created: 1, started: 1 });
    const { rows } = await pool.query('select reason from tasks where computation_id = $1 order by id', [id]);
    expect(rows).toEqual([{ reason: 'scheduled' }, { reason: 'edited' }]);
  });
});

describe('a beat', () => {
  test('several at once write each run once', async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, async (_, index) => await addDue(index)));
    const beats = await Promise.all([beat(), beat(), beat(), beat()]);
    expect(beats.reduce((sum, { created }) => sum + created, 0)).toBe(30);
    const { rows } = await pool.query<{ computation_id: string }>(
      'select computation_id from tasks where workspace_id = $1',
      [world.workspaceId],
    );
    expect(rows.map((row) => row.computation_id).sort()).toEqual([...ids].sort());
    expect(new Set(beats.flatMap((one) => one.ids)).size).toBe(30);
  });

  test('tasks written at the same time for one computation, or one connection, are one', async () => {
    const computationId = await addDue(-60);
    const { connectionId, computationId: synced, taskId } = await addSync(pool, world);
    await pool.query(`update tasks set status = 'succeeded' where id = $1`, [taskId]);
    const write = async (task: Parameters<typeof createTask>[1]) =>
      await inTransaction(pool, async (tx) => await createTask(tx, task));
    const runs = await Promise.all(
      Array.from({ length: 6 }, async () => await write({ ...world, computationId, kind: 'run', reason: 'run_now' })),
    );
    expect(runs.filter((id) => id !== null)).toHaveLength(1);
    const syncs = await Promise.all(
      Array.from(
        { length: 6 },
        async () => await write({ ...world, computationId: synced, connectionId, kind: 'sync', reason: 'catch_up' }),
      ),
    );
    expect(syncs.filter((id) => id !== null)).toHaveLength(1);
    const { rows } = await pool.query('select count(*) as steps from steps where task_id = $1', [
      syncs.find((id) => id !== null),
    ]);
    expect(rows).toEqual([{ steps: 5 }]);
  });

  test('a task whose workflow could not be started is started by the next, and the others are not kept waiting', async () => {
    await addDue(3);
    await addDue(2);
    await addDue(1);
    const tried: string[] = [];
    const failing = scheduleDueTasks(pool, async (taskId) => {
      tried.push(taskId);
      if (tried.length === 1) throw new Error('no Temporal');
      await pool.query('update tasks set dispatched_at = now() where id = $1', [taskId]);
    });
    await expect(failing).rejects.toThrow('no Temporal');
    expect(tried).toHaveLength(3);
    expect((await beat()).ids).toEqual([tried[0]]);
    expect((await beat()).ids).toEqual([]);
  });

  test('what somebody has only just written is left to them for a moment', async () => {
    const { taskId } = await addSync(pool, world);
    await pool.query('update computations set next_run_at = now() + interval $$1 hour$$');
    expect((await beat()).ids).toEqual([]);
    await pool.query(`update tasks set created_at = now() - interval '3 seconds' where id = $1`, [taskId]);
    expect((await beat()).ids).toEqual([taskId]);
  });

  test('an open task whose workflow may be gone is started again, now and then; an ended one never', async () => {
    const run = await addRun(pool, world, await addDue(-3600));
    const ended = await addRun(pool, world, await addDue(-3600));
    const longAgo = `dispatched_at = now() - interval '11 minutes'`;
    await pool.query(`update tasks set status = 'running', attempt = 1, ${longAgo} where id = $1`, [run]);
    await pool.query(`update tasks set status = 'failed', attempt = 6, ${longAgo} where id = $1`, [ended]);
    expect((await beat()).ids).toEqual([run]);
    expect((await beat()).ids).toEqual([]);
  });
});
