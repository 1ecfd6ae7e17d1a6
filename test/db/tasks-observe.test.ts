import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTelemetry, type Telemetry } from '../../src/bin/telemetry.ts';
import { readConfig } from '../../src/config.ts';
import { TaskFailure } from '../../src/errors.ts';
import { createLogger } from '../../src/logger.ts';
import { inTransaction } from '../../src/store/index.ts';
import { endCancelled } from '../../src/tasks/attempts/attempts.ts';
import { lockTask } from '../../src/tasks/model/lock-task.ts';
import { type TaskRow } from '../../src/tasks/model/task.ts';
import { observeExecution } from '../../src/tasks/attempts/observe.ts';
import { StepWaits } from '../../src/tasks/attempts/checkpoints.ts';
import { freePorts } from '../helpers/ports.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { scrape, type Scrape } from '../helpers/prometheus.ts';
import { addAudience, addRun, createWorld, type World } from '../helpers/world.ts';
import { tasksOn } from './tasks-world.ts';

let db: TestPool;
let world: World;
let telemetry: Telemetry;
let look: () => Promise<Scrape>;

beforeAll(async () => {
  db = await createTestPool();
  world = await createWorld(db.pool);
  const port = await freePorts(1);
  const config = readConfig({ TRAILMARK_METRICS_PORT: String(port) });
  telemetry = await startTelemetry({
    program: 'api',
    config,
    logger: createLogger({ level: 'silent', program: 'test' }),
  });
  look = async () => await scrape(`http://127.0.0.1:${port}/metrics`);
});
afterAll(async () => {
  await telemetry?.stop();
  await db?.close();
});

async function taskOf(key: string): Promise<string> {
  return await addRun(db.pool, world, await addAudience(db.pool, world, "event('Visited').count() >= 1", { key }));
}

test('a cancellation counts when it is committed, with the attempt where there was one', async () => {
  const tasks = tasksOn(db.pool);
  const [pending, running] = [await taskOf('pending'), await taskOf('running')];
  await tasks.begin(running);
  const cancel = async (id: string, then: () => void): Promise<void> =>
    await inTransaction(db.pool, async (tx) => {
      await endCancelled(tx, await lockTask(tx, id), 'asked');
      then();
    });
  const counts = async () => {
    const seen = await look();
    return {
      tasks: seen.value('trailmark_task_outcomes_total', { kind: 'run', outcome: 'cancelled' }),
      attempts: seen.value('trailmark_task_attempts_total', { kind: 'run', outcome: 'cancelled' }),
    };
  };
  const thrown = cancel(running, () => {
    throw new Error('rolled back');
  });
  await expect(thrown).rejects.toThrow('rolled back');
  expect(await counts()).toEqual({ tasks: 0, attempts: undefined });
  await cancel(pending, () => undefined);
  expect(await counts()).toEqual({ tasks: 1, attempts: undefined });
  await cancel(running, () => undefined);
  expect(await counts()).toEqual({ tasks: 2, attempts: 1 });
});

test('an execution of a step is completed, failed, or interrupted; of a transaction, when that is committed', async () => {
  const id = await taskOf('steps');
  const task: TaskRow = await inTransaction(db.pool, async (tx) => await lockTask(tx, id));
  const counts = async () => {
    const samples = (await look()).samples('trailmark_step_duration_seconds_count');
    return Object.fromEntries(samples.map(({ labels, value }) => [`${labels['step']} ${labels['outcome']}`, value]));
  };
  const fail = async (reason: Error): Promise<never> => await Promise.reject(reason);
  const going = new AbortController().signal;
  const failing = (error: Error, signal: AbortSignal): Promise<void> =>
    expect(observeExecution(task, 'compute', async () => await fail(error), { signal })).rejects.toBe(error);

  await observeExecution(task, 'compute', async () => await Promise.resolve(), { signal: going });
  await failing(new TaskFailure('clickhouse_memory', 'on purpose'), going);
  await failing(new StepWaits(1_000), going);
  await failing(new Error('This operation was aborted'), AbortSignal.abort());
  expect(await counts()).toEqual({ 'compute completed': 1, 'compute failed': 1, 'compute interrupted': 2 });

  const thrown = inTransaction(db.pool, async (tx) => {
    await observeExecution(task, 'pin', async () => await tx.query('select 1'), { tx });
    await observeExecution(task, 'commit', async () => await fail(new Error('no')), { tx });
  });
  await expect(thrown).rejects.toThrow('no');
  await inTransaction(db.pool, async (tx) => {
    await observeExecution(task, 'guard', async () => await Promise.resolve('held' as const), { tx });
    await observeExecution(task, 'fan_out', async () => await tx.query('select 1'), { tx });
  });
  const { 'compute completed': one, 'compute failed': two, 'compute interrupted': three, ...others } = await counts();
  expect([one, two, three]).toEqual([1, 1, 2]);
  expect(others, 'pin was rolled back').toEqual({
    'commit failed': 1,
    'guard interrupted': 1,
    'fan_out completed': 1,
  });
});
