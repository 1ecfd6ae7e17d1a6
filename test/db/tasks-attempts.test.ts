import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { deleteComputation, updateComputation } from '../../src/computations/index.ts';
import { disconnectComputation, endConnectionsTo } from '../../src/connections/index.ts';
import { deleteDestination, updateDestination } from '../../src/destinations/index.ts';
import { inTransaction, type PostgresPool, type Transaction } from '../../src/store/index.ts';
import { beginTask, cancelOpenTasks, retryBudgetMs } from '../../src/tasks/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { addRun, createWorld, destinationDeps, type World } from '../helpers/world.ts';
import { addSync, reachFinish, recordsOf, tasksOn, type Tasks } from './tasks-world.ts';

let stores: TestPool;
let pool: PostgresPool;
let tasks: Tasks;
let world: World;

beforeAll(async () => {
  stores = await createTestPool();
  ({ pool } = stores);
  tasks = tasksOn(pool);
});
beforeEach(async () => {
  world = await createWorld(pool);
});
afterAll(async () => {
  await stores?.close();
});

const FAILED = 'Audience Destination Sync Failed';
const HARD = 'Audience Destination Sync Hard Failure';
const RECOVERED = 'Audience Destination Sync Recovered';
const CANCELLED = 'Audience Destination Sync Cancelled';

async function change<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
  return await inTransaction(pool, work);
}

type Sync = Awaited<ReturnType<typeof addSync>>;

/** Each way in which a person takes away what a sync is about. */
const takeAway: Record<string, (sync: Sync) => Promise<unknown>> = {
  'the computation is deleted, as the api does it': async ({ computationId: id }) =>
    await change(async (tx) => {
      await cancelOpenTasks(tx, { computationId: id });
      await deleteComputation(tx, { ...world, kind: 'audience', id }, world.actor);
    }),
  'the computation is deleted, and nobody cancels': async ({ computationId: id }) =>
    await change(async (tx) => await deleteComputation(tx, { ...world, kind: 'audience', id }, world.actor)),
  'the connection is taken away': async ({ computationId, destinationId }) =>
    await change(
      async (tx) => await disconnectComputation(tx, destinationDeps, { ...world, computationId, destinationId }),
    ),
  'the destination is deleted': async ({ destinationId }) =>
    await change(
      async (tx) => await deleteDestination(tx, destinationDeps, { ...world, destinationId }, endConnectionsTo),
    ),
  'the destination is switched off': async ({ destinationId }) =>
    await change(
      async (tx) => await updateDestination(tx, destinationDeps, { ...world, destinationId, enabled: false }),
    ),
};

describe('beginning an attempt', () => {
  test('called again for one that is under way, it is the same', async () => {
    const { taskId } = await addSync(pool, world);
    const first = await tasks.begin(taskId);
    expect(first).toEqual({ ended: false, attempt: 1, completed: [] });
    expect(await tasks.begin(taskId)).toEqual(first);
    expect((await recordsOf(pool, taskId)).attempts).toHaveLength(1);
  });

  test('a run begins with its first step, and without it where that fails: then the failure is the attempt’s', async () => {
    const { computationId } = await addSync(pool, world);
    const runId = await addRun(pool, world, computationId);
    const define = `update computations set definition_query = $2 where id = $1`;
    const sound = "event('Visited').count() >= 1";
    await pool.query(define, [computationId, 'event(']);
    expect(await beginTask(tasks.deps, runId)).toEqual({ next: 'execute', attempt: 1, losses: 0, completed: [] });
    expect((await recordsOf(pool, runId)).attempts).toHaveLength(1);
    await expect(tasks.step(runId, 1, 'pin')).rejects.toMatchObject({ code: 'definition_invalid' });

    await tasks.fail(runId, 1);
    await pool.query('update tasks set retry_at = clock_timestamp() where id = $1', [runId]);
    await pool.query(define, [computationId, sound]);
    const begun = { next: 'execute', attempt: 2, losses: 0, completed: ['pin'] };
    expect(await beginTask(tasks.deps, runId)).toEqual(begun);
    expect(await beginTask(tasks.deps, runId), 'called again').toEqual(begun);
    const { rows } = await pool.query(
      `select attempt, outcome, output ->> 'query' as query from step_executions e join steps s using (task_id)
       where task_id = $1 and s.name = 'pin' and e.step = 'pin'`,
      [runId],
    );
    expect(rows).toEqual([{ attempt: 2, outcome: 'completed', query: sound }]);
  });

  test('two at once begin one attempt', async () => {
    const { taskId } = await addSync(pool, world);
    const began = await Promise.all([tasks.begin(taskId), tasks.begin(taskId), tasks.begin(taskId)]);
    expect(began.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
    expect((await recordsOf(pool, taskId)).attempts).toHaveLength(1);
  });

  test('a task of a disabled computation is not begun; of what is under way a run goes on, and a sync sends no more', async () => {
    const under = await addSync(pool, world);
    const runId = await addRun(pool, world, under.computationId);
    const other = await addSync(pool, world);
    await tasks.begin(under.taskId);
    await tasks.begin(runId);
    for (const { computationId } of [under, other]) {
      const address = { ...world, kind: 'audience' as const, id: computationId };
      await change(async (tx) => await updateComputation(tx, address, { enabled: false }, world.actor));
    }
    for (const { taskId } of [under, other]) {
      expect(await tasks.begin(taskId)).toMatchObject({ ended: true });
      expect(await recordsOf(pool, taskId)).toMatchObject({ status: 'cancelled', retry_at: null });
    }
    expect(await tasks.begin(runId)).toMatchObject({ ended: false, attempt: 1 });
    await tasks.fail(runId, 1);
    expect(await tasks.begin(runId)).toMatchObject({ ended: true });
  });
});

describe('recording a failure', () => {
  test('twice for one attempt writes once, and the wait goes on', async () => {
    const { taskId } = await addSync(pool, world);
    await tasks.begin(taskId);
    expect(await tasks.fail(taskId, 1)).toEqual({ next: 'retry', delayMs: 1_000 });
    const again = await tasks.fail(taskId, 1);
    expect(again.next === 'retry' && again.delayMs > 0 && again.delayMs <= 1_000).toBe(true);
    const records = await recordsOf(pool, taskId);
    expect(records.status).toBe('backing_off');
    expect(records.events).toEqual([{ type: FAILED, attempt: 1 }]);
    expect(records.alerts).toHaveLength(1);
    expect(records.retry_at?.getTime()).toBe((records.attempts[0]?.ended_at?.getTime() ?? 0) + 1_000);
  });

  test('late, of an attempt that another has followed, writes nothing and stops nobody', async () => {
    const { taskId } = await addSync(pool, world);
    await tasks.begin(taskId);
    await tasks.fail(taskId, 1);
    await tasks.begin(taskId);
    expect(await tasks.fail(taskId, 1, 'worker_lost')).toEqual({ next: 'retry', delayMs: 0 });
    const records = await recordsOf(pool, taskId);
    expect(records).toMatchObject({ status: 'running', attempt: 2, retry_at: null });
    expect(records.events).toHaveLength(1);
    expect(records.attempts.map(({ outcome, code }) => [outcome, code])).toEqual([
      ['failed', 'destination_unavailable'],
      [null, null],
    ]);
  });

  test('of a task that has ended changes nothing', async () => {
    const { taskId } = await addSync(pool, world);
    await tasks.begin(taskId);
    await reachFinish(pool, taskId);
    await tasks.step(taskId, 1, 'finish');
    expect(await tasks.fail(taskId, 1)).toEqual({ next: 'end', outcome: 'succeeded' });
    const records = await recordsOf(pool, taskId);
    expect(records).toMatchObject({ status: 'succeeded', events: [], alerts: [] });
    expect(records.attempts[0]?.outcome).toBe('succeeded');
  });

  test('six attempts and no seventh; waits double; what was held ends with the one hard failure', async () => {
    const { taskId } = await addSync(pool, world, { reduced: true });
    const decisions = [];
    for (let attempt = 1; attempt <= 6; attempt++) {
      expect(await tasks.begin(taskId)).toMatchObject({ ended: false, attempt });
      decisions.push(await tasks.fail(taskId, attempt));
    }
    expect(decisions).toEqual([
      ...[1_000, 2_000, 4_000, 8_000, 8_000].map((delayMs) => ({ next: 'retry', delayMs })),
      { next: 'end', outcome: 'failed' },
    ]);
    expect(await tasks.begin(taskId)).toMatchObject({ ended: true });
    expect(await tasks.fail(taskId, 6)).toEqual({ next: 'end', outcome: 'failed' });
    const records = await recordsOf(pool, taskId);
    expect(records).toMatchObject({ status: 'failed', attempt: 6, retry_at: null });
    expect(records.events.map(({ type }) => type)).toEqual([...Array.from({ length: 6 }, () => FAILED), HARD]);
    expect(records.alerts.map(({ kind, decision }) => `${kind} ${decision}`)).toEqual([
      ...Array.from({ length: 5 }, () => 'transient_failure folded'),
      'hard_failure sent',
    ]);
  });

  test('all held alerts of a task are released at the same time: after its budget, counted from its latest failure', async () => {
    const { taskId } = await addSync(pool, world, { reduced: true });
    for (let attempt = 1; attempt <= 3; attempt++) {
      await tasks.begin(taskId);
      await tasks.fail(taskId, attempt);
    }
    const { alerts, attempts } = await recordsOf(pool, taskId);
    const until = alerts.map(({ hold_until }) => hold_until?.getTime() ?? 0);
    expect(new Set(until).size).toBe(1);
    const budget = retryBudgetMs(tasks.deps.backoff);
    const held = (until[0] ?? 0) - (attempts[0]?.ended_at?.getTime() ?? 0);
    expect(held).toBeGreaterThan(budget);
    expect(held).toBeLessThanOrEqual(budget + 60 * 60_000);
  });
});

describe('an attempt that was given up', () => {
  test('moves no checkpoint while its task waits for the next attempt, nor after that has begun', async () => {
    const { taskId } = await addSync(pool, world, { reduced: true });
    await tasks.begin(taskId);
    await reachFinish(pool, taskId);
    await tasks.fail(taskId, 1, 'step_timeout');
    await expect(tasks.step(taskId, 1, 'finish')).rejects.toThrow('superseded');
    await tasks.begin(taskId);
    await expect(tasks.step(taskId, 1, 'finish')).rejects.toThrow('superseded');
    expect((await recordsOf(pool, taskId)).status).toBe('running');
    // Were it let through, the task would have succeeded at its first attempt, and the held alert would wait for ever.
    await tasks.step(taskId, 2, 'finish');
    const records = await recordsOf(pool, taskId);
    expect(records.events.map(({ type }) => type)).toEqual([FAILED, RECOVERED]);
    expect(records.alerts.map(({ decision }) => decision)).toEqual(['folded']);
  });

  test('a last step that is executed again, because its worker died before Temporal heard, has succeeded', async () => {
    const { taskId } = await addSync(pool, world);
    await tasks.begin(taskId);
    await reachFinish(pool, taskId);
    await tasks.step(taskId, 1, 'finish');
    expect(await tasks.step(taskId, 1, 'finish')).toEqual([]);
    const { rows } = await pool.query(`select executions from steps where task_id = $1 and name = 'finish'`, [taskId]);
    expect(rows).toEqual([{ executions: 1 }]);
  });
});

describe.each(Object.entries(takeAway))('where %s', (_, away) => {
  test('a sync that waits for its next attempt is cancelled, and what was held is suppressed', async () => {
    const sync = await addSync(pool, world, { reduced: true });
    await tasks.begin(sync.taskId);
    await tasks.fail(sync.taskId, 1);
    await away(sync);
    expect(await tasks.begin(sync.taskId)).toMatchObject({ ended: true });
    const records = await recordsOf(pool, sync.taskId);
    expect(records).toMatchObject({ status: 'cancelled', retry_at: null });
    expect(records.ended_at).not.toBeNull();
    expect(records.alerts.map(({ decision }) => decision)).toEqual(['suppressed']);
    expect(records.events.map(({ type }) => type)).toEqual([FAILED, CANCELLED]);
  });

  test.each(['prepare', 'extract', 'deliver'] as const)('a sync that is about to %s fails nowhere', async (step) => {
    const sync = await addSync(pool, world);
    await tasks.begin(sync.taskId);
    await away(sync);
    const failure = await tasks.step(sync.taskId, 1, step).then(
      () => 'none',
      (error: Error) => error.constructor.name,
    );
    expect(['TaskFailure', 'StaleAttemptError']).toContain(failure);
    expect(await tasks.fail(sync.taskId, 1, 'destination_missing')).toEqual({
      next: 'end',
      outcome: 'cancelled',
    });
    const records = await recordsOf(pool, sync.taskId);
    expect(records).toMatchObject({ status: 'cancelled', events: [{ type: CANCELLED, attempt: 1 }], alerts: [] });
    expect(records.attempts.map(({ outcome }) => outcome)).toEqual(['cancelled']);
  });
});
