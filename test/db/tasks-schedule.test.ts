import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { updateComputation } from '../../src/computations/index.ts';
import { inTransaction, type PostgresPool } from '../../src/store/index.ts';
import { createTask, pauseComputation, resumeComputation } from '../../src/tasks/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { addRun, createWorld, type World } from '../helpers/world.ts';
import { addScheduled, tick, endTask, liftCaps, take } from './schedule-world.ts';
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
  await liftCaps(pool);
});
afterAll(async () => {
  await stores?.close();
});

const addDue = async (overdueSeconds: number, options: Parameters<typeof addScheduled>[2] = {}): Promise<string> =>
  await addScheduled(pool, world, { overdueSeconds, ...options });

async function timesOf(id: string): Promise<{ slot: number; run: number; now: number }> {
  const { rows } = await pool.query<{ slot: Date; run: Date; now: Date }>(
    'select next_slot_at as slot, next_run_at as run, now() as now from computations where id = $1',
    [id],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`no computation ${id}`);
  return { slot: row.slot.getTime(), run: row.run.getTime(), now: row.now.getTime() };
}

async function runOf(id: string): Promise<{ slot_at: Date | null; late_ms: number | null; missed_slots: number }> {
  const { rows } = await pool.query<{ slot_at: Date | null; late_ms: number | null; missed_slots: number }>(
    `select slot_at, late_ms, missed_slots from tasks where computation_id = $1 and kind = 'run' order by id desc limit 1`,
    [id],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`no run of ${id}`);
  return row;
}

async function lateEventsOf(id: string): Promise<{ task_id: string; actor_kind: string; details: unknown }[]> {
  const { rows } = await pool.query<{ task_id: string; actor_kind: string; details: unknown }>(
    `select task_id, actor_kind, details from audit_events
     where workspace_id = $1 and resource_id = $2 and type = 'Audience Run Late' order by occurred_at`,
    [world.workspaceId, id],
  );
  return rows;
}

describe('what is due', () => {
  test('comes back in its own rhythm, after the present, and once however long nobody looked', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 40_000_000 }),
        fc.integer({ min: 10, max: 100_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        async (overdueMs, intervalSeconds, jitter) => {
          const jitterSeconds = Math.floor(jitter * intervalSeconds);
          const id = await addDue(overdueMs / 1000, { schedule: { intervalSeconds, jitterSeconds } });
          const before = await timesOf(id);
          const { due } = await take(pool);
          expect(due).toMatchObject([{ id, slotAt: new Date(before.slot) }]);
          expect((await take(pool)).due).toEqual([]);
          const after = await timesOf(id);
          expect((after.slot - before.slot) % (intervalSeconds * 1_000)).toBe(0);
          expect(after.slot - after.now).toBeGreaterThan(-2_000);
          expect(after.slot - after.now).toBeLessThanOrEqual(intervalSeconds * 1_000);
          expect(after.run).toBeGreaterThanOrEqual(after.slot);
          expect(after.run).toBeLessThanOrEqual(after.slot + jitterSeconds * 1_000);
          // Every slot that passed is either the one that is run, or counted as missed.
          expect(due[0]?.missedSlots).toBe((after.slot - before.slot) / (intervalSeconds * 1_000) - 1);
          await pool.query('update computations set enabled = false where id = $1', [id]);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('by cron comes back at the next time on the clocks of its zone', async () => {
    const id = await addDue(3 * 86_400, { schedule: { cron: '30 4 * * *', timeZone: 'America/New_York' } });
    const { due } = await take(pool);
    expect(due).toMatchObject([{ id, missed: true }]);
    expect(due[0]?.missedSlots).toBeGreaterThanOrEqual(2);
    const { slot, now } = await timesOf(id);
    expect(slot).toBeGreaterThan(now - 2_000);
    expect(slot).toBeLessThanOrEqual(now + 86_400_000 + 3_600_000);
    const clock = new Intl.DateTimeFormat('en', {
      timeZone: 'America/New_York',
      timeStyle: 'medium',
      hourCycle: 'h23',
    });
    expect(clock.format(slot)).toBe('04:30:00');
  });

  test('says why: created, edited, scheduled', async () => {
    const created = await addDue(30, { live: null });
    const edited = await addDue(20);
    const scheduled = await addDue(10);
    await pool.query('update computations set definition_version = definition_version + 1 where id = $1', [edited]);
    const reasons = Object.fromEntries((await take(pool)).due.map((due) => [due.id, due.reason]));
    expect(reasons).toEqual({ [created]: 'created', [edited]: 'edited', [scheduled]: 'scheduled' });
  });

  test('the oldest first, and nothing of a deleted, a disabled or a paused computation', async () => {
    await addDue(10);
    const oldest = await addDue(30);
    await pool.query('update computations set deleted_at = now() where id = $1', [await addDue(50)]);
    await pool.query('update computations set enabled = false where id = $1', [await addDue(40)]);
    await pool.query('update computations set paused_at = now() where id = $1', [await addDue(40)]);
    expect(await take(pool, 1)).toMatchObject({ due: [{ id: oldest }], more: true });
    expect(await take(pool, 2)).toMatchObject({ due: [{ reason: 'scheduled' }], more: false });
  });

  test('one whose schedule can not be followed is put aside, and the others are taken', async () => {
    const broken = await addDue(20, { schedule: { cron: '* * * * *' } });
    const fine = await addDue(10);
    await pool.query(`update computations set schedule_time_zone = 'Mars/Base' where id = $1`, [broken]);
    const taken = await take(pool);
    expect(taken.due).toMatchObject([{ id: fine }]);
    expect(taken.unscheduled).toMatchObject([{ id: broken }]);
    const { run, now } = await timesOf(broken);
    expect(run - now).toBeGreaterThan(500_000);
    expect((await take(pool)).unscheduled).toEqual([]);
  });

  test('an edit while a run is open is computed as soon as that has its outcome, and the schedule keeps its rhythm', async () => {
    const id = await addDue(1, { schedule: { intervalSeconds: 3_600 } });
    const [run = ''] = (await tick(pool)).ids;
    const { slot } = await timesOf(id);
    const address = { ...world, kind: 'audience' as const, id };
    const edit = { definition: { type: 'USERS' as const, query: "event('Visited').count() >= 2" } };
    await inTransaction(pool, async (tx) => await updateComputation(tx, address, edit, world.actor));
    expect(await tick(pool)).toMatchObject({ created: 0 });
    await endTask(pool, run);
    expect(await tick(pool)).toMatchObject({ created: 1, started: 1 });
    const { rows } = await pool.query(
      'select reason, slot_at is null as between from tasks where computation_id = $1 order by id',
      [id],
    );
    expect(rows).toEqual([
      { reason: 'scheduled', between: false },
      { reason: 'edited', between: true },
    ]);
    expect(await timesOf(id)).toMatchObject({ slot, run: slot });
  });
});

describe('a slot that was missed', () => {
  test('is run once, late, with those after it, and the trail says so', async () => {
    const id = await addDue(3 * 3_600 + 60, { schedule: { intervalSeconds: 3_600 } });
    const { slot } = await timesOf(id);
    const { ids, created } = await tick(pool);
    expect(created).toBe(1);
    const run = await runOf(id);
    expect(run).toMatchObject({ slot_at: new Date(slot), missed_slots: 3 });
    expect(run.late_ms).toBeGreaterThanOrEqual((3 * 3_600 + 60) * 1_000);
    expect(run.late_ms).toBeLessThan((3 * 3_600 + 120) * 1_000);
    expect(await lateEventsOf(id)).toEqual([
      {
        task_id: ids[0],
        actor_kind: 'system',
        details: { slotAt: new Date(slot).toISOString(), lateMs: run.late_ms, missedSlots: 3 },
      },
    ]);
    // The next one keeps the rhythm of before.
    expect((await timesOf(id)).slot).toBe(slot + 4 * 3_600_000);
    await endTask(pool, ids[0] ?? '');
    expect(await tick(pool)).toMatchObject({ created: 0 });
  });

  test('is no news within the grace: a minute, or a tenth of the interval', async () => {
    const soon = await addDue(50, { schedule: { intervalSeconds: 10 } });
    const daily = await addDue(2 * 3_600, { schedule: { intervalSeconds: 86_400 } });
    const late = await addDue(3 * 3_600, { schedule: { intervalSeconds: 86_400 } });
    await tick(pool);
    expect(await runOf(soon)).toMatchObject({ missed_slots: 5 });
    expect(await lateEventsOf(soon)).toEqual([]);
    expect(await lateEventsOf(daily)).toEqual([]);
    expect(await lateEventsOf(late)).toHaveLength(1);
  });

  test('is no news either where the run before it took so long, or one that it refers to', async () => {
    const slow = await addDue(600, { key: 'slow' });
    const waiting = await addDue(600, { refersTo: ['slow'] });
    const [run = ''] = (await tick(pool)).ids;
    expect(await lateEventsOf(slow)).toHaveLength(1);
    await pool.query(
      `update computations set next_slot_at = now() - interval '300 s', next_run_at = now() - interval '300 s'
                      where id = $1`,
      [slow],
    );
    await endTask(pool, run);
    expect((await tick(pool)).created).toBe(2);
    expect(await runOf(slow)).toMatchObject({ missed_slots: 5 });
    expect(await lateEventsOf(slow)).toHaveLength(1);
    expect((await runOf(waiting)).late_ms).toBeGreaterThan(590_000);
    expect(await lateEventsOf(waiting)).toEqual([]);
  });

  test('while it was paused is caught up with once, when it is resumed, and nobody is told that it is late', async () => {
    const id = await addDue(1_000, { schedule: { intervalSeconds: 60 } });
    const { slot } = await timesOf(id);
    const address = { ...world, kind: 'audience' as const, id };
    await inTransaction(pool, async (tx) => await pauseComputation(tx, address, world.actor));
    expect(await tick(pool)).toMatchObject({ created: 0 });
    await inTransaction(pool, async (tx) => await resumeComputation(tx, address, world.actor));
    expect(await tick(pool)).toMatchObject({ created: 1 });
    expect(await runOf(id)).toMatchObject({ slot_at: new Date(slot), missed_slots: 16 });
    expect(await lateEventsOf(id)).toEqual([]);
    expect((await timesOf(id)).slot).toBe(slot + 17 * 60_000);
    expect(await tick(pool)).toMatchObject({ created: 0 });
  });
});

describe('a tick', () => {
  test('several at once write each run once', async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, async (_, index) => await addDue(index)));
    const ticks = await Promise.all([tick(pool), tick(pool), tick(pool), tick(pool)]);
    expect(ticks.reduce((sum, { created }) => sum + created, 0)).toBe(30);
    const { rows } = await pool.query<{ computation_id: string }>(
      'select computation_id from tasks where workspace_id = $1',
      [world.workspaceId],
    );
    expect(rows.map((row) => row.computation_id).sort()).toEqual([...ids].sort());
    expect(new Set(ticks.flatMap((one) => one.ids)).size).toBe(30);
  });

  test('never writes two runs for one slot, and none for a slot that has not come', async () => {
    const ids = await Promise.all(
      Array.from({ length: 6 }, async () => await addDue(25, { schedule: { intervalSeconds: 10, jitterSeconds: 3 } })),
    );
    for (let round = 0; round < 6; round++) {
      await Promise.all([tick(pool), tick(pool), tick(pool)]);
      await pool.query(`update tasks set status = 'succeeded', ended_at = clock_timestamp() where ended_at is null`);
      // Time goes by: everything lies some seconds further back.
      await pool.query(
        `update computations set next_slot_at = next_slot_at - interval '7 s', next_run_at = next_run_at - interval '7 s'`,
      );
      await pool.query(`update tasks set slot_at = slot_at - interval '7 s'`);
    }
    const { rows } = await pool.query<{ computation_id: string; slots: string[]; ahead: boolean }>(
      `select computation_id, array_agg(slot_at::text) as slots, bool_or(slot_at > now()) as ahead
       from tasks where computation_id = any ($1) group by computation_id`,
      [ids],
    );
    expect(rows).toHaveLength(6);
    for (const { slots, ahead } of rows) {
      expect(new Set(slots).size).toBe(slots.length);
      expect(slots.length).toBeGreaterThan(2);
      expect(ahead).toBe(false);
    }
  });

  test('tasks written at the same time for one computation, or one connection, are one', async () => {
    const computationId = await addDue(-60);
    const { connectionId, computationId: synced, taskId } = await addSync(pool, world);
    await endTask(pool, taskId);
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
    const { rows } = await pool.query(
      'select count(*) as steps, min(position), max(position) from steps where task_id = $1',
      [syncs.find((id) => id !== null)],
    );
    expect(rows).toEqual([{ steps: 5, min: 0, max: 4 }]);
  });

  test('a task whose workflow could not be started is started by a later one, and the others are not kept waiting', async () => {
    for (const overdue of [3, 2, 1]) await addDue(overdue);
    let failed: string | undefined;
    const first = await tick(pool, {
      fails: (taskId) => {
        failed ??= taskId;
        return failed === taskId;
      },
    });
    expect(first).toMatchObject({ created: 3, started: 2 });
    // For a moment it is left to whoever admitted it.
    expect((await tick(pool)).ids).toEqual([]);
    await pool.query(`update tasks set admitted_at = admitted_at - interval '3 seconds' where id = $1`, [failed]);
    expect((await tick(pool)).ids).toEqual([failed]);
    expect((await tick(pool)).ids).toEqual([]);
  });

  test('begins what others have written, and nothing that has ended', async () => {
    const run = await addRun(pool, world, await addDue(-3_600));
    const ended = await addRun(pool, world, await addDue(-3_600));
    await endTask(pool, ended);
    expect(await tick(pool)).toMatchObject({ created: 0, ids: [run] });
  });
});
