import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { FailureCode } from '../../src/errors.ts';
import { interruptStep } from '../../src/tasks/index.ts';
import { enterStep } from '../../src/tasks/attempts/checkpoints.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import {
  addAudience,
  addPeople,
  addRun,
  connectWebhook,
  createWorld,
  readTaskRows,
  type World,
} from '../helpers/world.ts';
import { addSync, tasksOn, type Tasks } from './tasks-world.ts';

let stores: TestStores;
let tasks: Tasks;
let receiver: Receiver;
let world: World;

beforeAll(async () => {
  stores = await createTestStores();
  tasks = tasksOn(stores.pool, stores.clickhouse);
  receiver = await startReceiver();
});
beforeEach(async () => {
  world = await createWorld(stores.pool);
});
afterAll(async () => {
  await receiver?.close();
  await stores?.close();
});

const LOST = { next: 'retry', delayMs: 0, lost: true };

async function begunSync(): Promise<string> {
  const { taskId } = await addSync(stores.pool, world);
  await tasks.begin(taskId);
  return taskId;
}

async function enter(taskId: string, losses: number, attempt = 1): Promise<void> {
  await enterStep(stores.pool, { taskId, attempt, losses, step: 'deliver' });
}

async function stateOf(taskId: string) {
  const { status, attempt } = await readTaskRows(stores.pool, taskId);
  const { rows } = await stores.pool.query<{ end: string | null }>(
    `select concat_ws(' ', outcome, code) as end from step_executions where task_id = $1 order by execution`,
    [taskId],
  );
  const said = await stores.pool.query('select from audit_events where task_id = $1', [taskId]);
  return { status, attempt, executions: rows.map(({ end }) => end), said: said.rowCount };
}

test('a step that is lost with its worker is interrupted: it costs no attempt, and nobody is told', async () => {
  const taskId = await begunSync();
  await enter(taskId, 0);
  expect(await tasks.fail(taskId, 1, 'worker_lost', 0)).toEqual(LOST);
  const executions = ['interrupted worker_lost'];
  expect(await stateOf(taskId)).toEqual({ status: 'running', attempt: 1, executions, said: 0 });
  expect((await tasks.begin(taskId)).attempt).toBe(1);
});

test('nor does one whose worker was lost before it could say that it has the step', async () => {
  const taskId = await begunSync();
  expect(await tasks.fail(taskId, 1, 'worker_lost', 0)).toEqual(LOST);
  expect(await stateOf(taskId)).toEqual({ status: 'running', attempt: 1, executions: [], said: 0 });
});

test('the third loss in one attempt is a failure, and the next attempt begins with none', async () => {
  const taskId = await begunSync();
  for (const losses of [0, 1]) {
    await enter(taskId, losses);
    expect(await tasks.fail(taskId, 1, 'worker_lost', losses)).toEqual(LOST);
  }
  await enter(taskId, 2);
  expect(await tasks.fail(taskId, 1, 'worker_lost', 2)).toEqual({ next: 'retry', delayMs: 1_000 });
  const executions = ['interrupted worker_lost', 'interrupted worker_lost', 'failed worker_lost'];
  expect(await stateOf(taskId)).toEqual({ status: 'backing_off', attempt: 1, executions, said: 1 });
  expect((await tasks.begin(taskId)).attempt).toBe(2);
  expect(await tasks.fail(taskId, 2, 'worker_lost', 0)).toEqual(LOST);
});

test.each<FailureCode>(['worker_lost', 'destination_unavailable'])(
  'a loss is counted once however often it is told, and so is %s of an execution that was lost',
  async (code) => {
    const taskId = await begunSync();
    await enter(taskId, 0);
    await tasks.fail(taskId, 1, 'worker_lost', 0);
    await enter(taskId, 1);
    expect(await tasks.fail(taskId, 1, code, 0)).toEqual({ next: 'retry', delayMs: 0 });
    const executions = ['interrupted worker_lost', ''];
    expect(await stateOf(taskId)).toEqual({ status: 'running', attempt: 1, executions, said: 0 });
    expect(await tasks.fail(taskId, 1, 'worker_lost', 1)).toEqual(LOST);
  },
);

test('a workflow of an older version, which knows of no losses, is heard', async () => {
  const taskId = await begunSync();
  await enterStep(stores.pool, { taskId, attempt: 1, step: 'deliver' });
  expect(await tasks.fail(taskId, 1, 'worker_lost')).toEqual(LOST);
  expect(await enterStep(stores.pool, { taskId, attempt: 1, step: 'deliver' })).toMatchObject({ execution: 2 });
});

test('a worker that comes back after it was given up neither begins the step nor ends the execution that goes on', async () => {
  const taskId = await begunSync();
  await tasks.fail(taskId, 1, 'worker_lost', 0);
  await enter(taskId, 1);
  await expect(enter(taskId, 0)).rejects.toMatchObject({ name: 'StaleAttemptError' });
  await interruptStep(stores.pool, { taskId, attempt: 1, losses: 0, step: 'deliver' });
  expect(await stateOf(taskId)).toMatchObject({ executions: [''] });
  await interruptStep(stores.pool, { taskId, attempt: 1, losses: 1, step: 'deliver' });
  expect(await stateOf(taskId)).toMatchObject({ executions: ['interrupted'] });
});

test('nor does it send or settle anything after the batch that it had in hand, though its attempt goes on', async () => {
  await addPeople(stores.clickhouse, world, 20);
  const audience = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
  await connectWebhook(stores.pool, world, audience, receiver.url, 10);
  const [syncId = ''] = await tasks.execute(await addRun(stores.pool, world, audience));
  await tasks.begin(syncId);
  await tasks.step(syncId, 1, 'prepare');
  await tasks.step(syncId, 1, 'extract');
  let answer = (): void => undefined;
  const until = new Promise<void>((resolve) => {
    answer = resolve;
  });
  receiver.behave(({ number }) => (number === 2 ? { until } : undefined));
  const lost = tasks.step(syncId, 1, 'deliver').catch((error: Error) => error.name);
  await receiver.received(({ number }) => number === 2);
  expect(await tasks.fail(syncId, 1, 'worker_lost', 0)).toEqual(LOST);
  await tasks.begin(syncId);
  await tasks.step(syncId, 1, 'deliver');
  answer();
  expect(await lost).toBe('StaleAttemptError');
  const { steps } = await readTaskRows(stores.pool, syncId);
  expect(steps.find(({ name }) => name === 'deliver')?.cursor).toMatchObject({ next: 20, redo: [], delivered: 20 });
  expect(receiver.counts()).toMatchObject({ requests: 5, distinctMessages: 20 });
  const { rows } = await stores.pool.query(
    `select outcome, rows_in::int from step_executions where task_id = $1 and step = 'deliver' order by execution`,
    [syncId],
  );
  expect(rows).toEqual([
    { outcome: 'interrupted', rows_in: 5 },
    { outcome: 'completed', rows_in: 15 },
  ]);
});
