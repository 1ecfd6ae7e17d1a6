import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HOLD_GRACE_MS, releaseOverdueAlerts } from '../../src/alerts/index.ts';
import { inTransaction, type PostgresPool } from '../../src/store/index.ts';
import { pauseComputation, recordFailure, resumeComputation } from '../../src/tasks/index.ts';
import { TASK_TIMEOUT_MS } from '../../src/task-time-limits.ts';
import { createTestPool } from '../helpers/engines.ts';
import { createWorld, type World } from '../helpers/world.ts';
import { addSync, recordsOf, tasksOn, type Tasks } from './tasks-world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LIMIT = TASK_TIMEOUT_MS.sync;

let db: Awaited<ReturnType<typeof createTestPool>>;
let pool: PostgresPool;
let world: World;
let tasks: Tasks;
let taskId: string;
let computationId: string;

beforeAll(async () => {
  db = await createTestPool();
  ({ pool } = db);
  tasks = tasksOn(pool);
});
afterAll(async () => await db.close());
beforeEach(async () => await newTask(), 60_000);

async function newTask(): Promise<void> {
  world = await createWorld(pool);
  const sync = await addSync(pool, world, { reduced: true });
  ({ taskId } = sync);
  const { rows } = await pool.query<{ computation_id: string }>('select computation_id from tasks where id = $1', [
    taskId,
  ]);
  computationId = rows[0]?.computation_id ?? '';
}

/** Time goes by: whatever has a time about the task is that much longer ago. */
async function pass(ms: number): Promise<void> {
  const ago = `- $2 * interval '1 millisecond'`;
  await pool.query(
    `with t as (update tasks set retry_at = retry_at ${ago}, waiting_until = waiting_until ${ago}, approved_at = approved_at ${ago}
                where id = $1),
          a as (update attempts set started_at = started_at ${ago}, ended_at = ended_at ${ago} where task_id = $1),
          e as (update step_executions set started_at = started_at ${ago}, ended_at = ended_at ${ago} where task_id = $1),
          c as (update computations set paused_at = paused_at ${ago} where id = (select computation_id from tasks where id = $1))
     update alerts set hold_until = hold_until ${ago}, created_at = created_at ${ago} where task_id = $1`,
    [taskId, ms],
  );
}

async function sweep(): Promise<number> {
  return await releaseOverdueAlerts(pool, new Date());
}

async function decisions(): Promise<string[]> {
  return (await recordsOf(pool, taskId)).alerts.map(({ kind, decision }) => `${kind} ${decision}`);
}

async function endsIn(): Promise<number[]> {
  const { alerts } = await recordsOf(pool, taskId);
  return alerts.flatMap(({ hold_until: until }) => (until === null ? [] : [until.getTime() - Date.now()]));
}

/** A step of the attempt begins, or one ends: a sign of life. */
async function beginStep(): Promise<void> {
  await pool.query(
    `with entered as (
       update steps set executions = executions + 1 where task_id = $1 and name = 'deliver' returning executions
     )
     insert into step_executions (task_id, step, execution, attempt) select $1, 'deliver', executions, 1 from entered`,
    [taskId],
  );
}

const address = () => ({
  workspaceId: world.workspaceId,
  spaceId: world.spaceId,
  kind: 'audience' as const,
  id: computationId,
});
const pause = async () => await inTransaction(pool, async (tx) => await pauseComputation(tx, address(), world.actor));
const resume = async () => await inTransaction(pool, async (tx) => await resumeComputation(tx, address(), world.actor));

async function failOnce(): Promise<void> {
  await tasks.begin(taskId);
  await tasks.fail(taskId, 1);
}

describe('a held alert', () => {
  test('waits while the next attempt is running in good health, and is released when that is over its time limit', async () => {
    await failOnce();
    await pass(MINUTE);
    await tasks.begin(taskId);
    for (const ms of [14 * MINUTE, HOUR, LIMIT - 2 * HOUR]) {
      await pass(ms);
      expect([ms, await sweep(), await decisions()]).toEqual([ms, 0, ['transient_failure held']]);
    }
    await pass(2 * HOUR + 2 * HOLD_GRACE_MS);
    expect(await sweep()).toBe(1);
    expect(await decisions()).toEqual(['transient_failure released']);
  });

  test('of a later failure is not overdue at birth, and ends with the earlier ones', async () => {
    await failOnce();
    for (const attempt of [2, 3]) {
      await tasks.begin(taskId);
      await pass(5 * HOUR);
      await tasks.fail(taskId, attempt);
      expect(await sweep()).toBe(0);
    }
    const ends = await endsIn();
    expect(ends).toHaveLength(3);
    expect(Math.max(...ends) - Math.min(...ends)).toBeLessThan(100);
    expect(Math.min(...ends)).toBeGreaterThan(HOLD_GRACE_MS);
    expect(Math.max(...ends)).toBeLessThan(HOLD_GRACE_MS + MINUTE);
  });

  test('is released where the next attempt does not begin, and no worker and no Temporal says why', async () => {
    await failOnce();
    const [end = 0] = await endsIn();
    await pass(end - 1_000);
    expect(await sweep()).toBe(0);
    await pass(2_000);
    expect(await sweep()).toBe(1);
  });

  test('waits as long as the destination wants to be left alone', async () => {
    await tasks.begin(taskId);
    const policy = { backoff: tasks.deps.backoff, random: () => 0.5 };
    const failure = { taskId, attempt: 1, step: 'deliver', code: 'destination_rate_limited', detail: '' } as const;
    await recordFailure(pool, { ...failure, retryAfterMs: 5 * HOUR }, policy);
    await pass(5 * HOUR);
    expect(await sweep()).toBe(0);
    await pass(HOUR);
    expect(await sweep()).toBe(1);
  });

  test('waits with an attempt that waits, gets its worker taken away, or takes turns: whatever is no failure', async () => {
    await failOnce();
    await tasks.begin(taskId);
    for (let turn = 0; turn < 4; turn++) {
      await pass(LIMIT - HOUR);
      await beginStep();
      expect([turn, await sweep()]).toEqual([turn, 0]);
    }
    await pool.query(
      `update tasks set waiting_for = 'circuit', waiting_until = now() + interval '40 hours' where id = $1`,
      [taskId],
    );
    await pass(40 * HOUR + LIMIT);
    expect(await sweep()).toBe(0);
    await pass(2 * HOLD_GRACE_MS);
    expect(await sweep()).toBe(1);
  });

  test('waits for a person as long as that takes, and after that as long as before', async () => {
    await failOnce();
    const [end = 0] = await endsIn();
    await pause();
    await pass(30 * 24 * HOUR);
    expect(await sweep()).toBe(0);
    await resume();
    expect(await sweep()).toBe(0);
    const [after = 0] = await endsIn();
    expect(Math.abs(after - end)).toBeLessThan(5_000);
    await tasks.begin(taskId);
    await pool.query(`update tasks set status = 'awaiting_approval' where id = $1`, [taskId]);
    await pass(30 * 24 * HOUR);
    expect(await sweep()).toBe(0);
    await pool.query(`update tasks set status = 'running', approved_at = now() where id = $1`, [taskId]);
    await pass(LIMIT);
    expect(await sweep()).toBe(0);
    await pass(HOUR);
    expect(await sweep()).toBe(1);
  });
});

/** What happens to a task, or time that goes by. */
type Happening =
  | { what: 'pass'; ms: number }
  | { what: 'fail' | 'begin' | 'step' | 'pause' | 'resume' | 'hard' }
  | { what: 'wait'; ms: number };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constant('pass' as const),
      ms: fc.constantFrom(MINUTE, 20 * MINUTE, 3 * HOUR, 20 * HOUR, 30 * HOUR),
    }),
  },
  { weight: 4, arbitrary: fc.constantFrom({ what: 'fail' as const }, { what: 'begin' as const }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom({ what: 'step' as const }, { what: 'pause' as const }, { what: 'resume' as const }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('wait' as const), ms: fc.constantFrom(HOUR, 10 * HOUR) }) },
  { weight: 1, arbitrary: fc.constant({ what: 'hard' as const }) },
);

test('whatever course a task takes, what is held is not released within its budget, is past it, and hides no hard failure', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 3, maxLength: 14 }), async (course) => {
      await newTask();
      await failOnce();
      // By the model's own clock, in milliseconds.
      const model = { now: 0, attempt: 1, running: false, aliveUntil: 0, paused: false, ended: false, released: false };
      const slack = 2 * MINUTE;
      for (const next of course) {
        if (model.ended) break;
        if (next.what === 'pass') {
          await pass(next.ms);
          model.now += next.ms;
          if (model.paused) model.aliveUntil += next.ms;
        } else if (next.what === 'begin' && !model.running && !model.paused) {
          await tasks.begin(taskId);
          Object.assign(model, { running: true, attempt: model.attempt + 1, aliveUntil: model.now + LIMIT });
        } else if (next.what === 'step' && model.running && !model.paused) {
          await beginStep();
          model.aliveUntil = model.now + LIMIT;
        } else if (next.what === 'wait' && model.running && !model.paused) {
          await pool.query(`update tasks set waiting_until = now() + $2 * interval '1 millisecond' where id = $1`, [
            taskId,
            next.ms,
          ]);
          model.aliveUntil = Math.max(model.aliveUntil, model.now + next.ms + LIMIT);
        } else if (next.what === 'pause' && !model.paused) {
          await pause();
          model.paused = true;
        } else if (next.what === 'resume' && model.paused) {
          await resume();
          model.paused = false;
        } else if ((next.what === 'fail' || next.what === 'hard') && model.running && !model.paused) {
          const hard = next.what === 'hard' || model.attempt === 6;
          await tasks.fail(
            taskId,
            model.attempt,
            hard ? 'destination_credentials_rejected' : 'destination_unavailable',
          );
          await pool.query('update tasks set waiting_until = null where id = $1', [taskId]);
          Object.assign(model, { running: false, ended: hard, aliveUntil: model.now });
        }
        await sweep();
        const now = await decisions();
        if (model.ended) {
          expect(now.at(-1)).toBe('hard_failure sent');
          expect(now).not.toContain('transient_failure held');
          break;
        }
        const latest = now.at(-1);
        if (next.what === 'fail' && !model.released) expect([next, latest]).toEqual([next, 'transient_failure held']);
        const within = model.paused || model.now <= model.aliveUntil;
        const past = !model.paused && model.now > model.aliveUntil + HOLD_GRACE_MS * 2 + slack;
        if (within && latest === 'transient_failure released') expect(model.released).toBe(true);
        if (past) expect([next, latest]).toEqual([next, 'transient_failure released']);
        // From a release on the task's earlier alerts are told; a later failure is held anew.
        model.released = latest === 'transient_failure released';
      }
    }),
    { numRuns: 40, endOnFailure: true },
  );
}, 300_000);
