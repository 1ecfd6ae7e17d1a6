import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { selectRows } from '../../src/store/index.ts';
import { foldSettled } from '../../src/tasks/steps/sync/settled-ranges.ts';
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
import { tasksOn, type Tasks } from './tasks-world.ts';

let stores: TestStores;
let tasks: Tasks;
let receiver: Receiver;
let world: World;

beforeAll(async () => {
  stores = await createTestStores();
  receiver = await startReceiver();
  tasks = tasksOn(stores.pool, stores.clickhouse);
});
beforeEach(async () => {
  world = await createWorld(stores.pool);
  receiver.requests.length = 0;
  receiver.accepted.length = 0;
  receiver.behave(() => undefined);
});
afterAll(async () => {
  await receiver?.close();
  await stores?.close();
});

const EVERYBODY = "event('Visited').count() >= 1";

/** People in an audience that is computed and connected, with the sync that its run made. Ten messages a batch, so five changes. */
async function addComputed(count: number, options: { batchSize?: number; query?: string } = {}) {
  await addPeople(stores.clickhouse, world, count);
  const computationId = await addAudience(stores.pool, world, options.query ?? EVERYBODY);
  const { connectionId } = await connectWebhook(
    stores.pool,
    world,
    computationId,
    receiver.url,
    options.batchSize ?? 10,
  );
  const runId = await addRun(stores.pool, world, computationId);
  const [syncId = ''] = await tasks.execute(runId);
  return { computationId, connectionId, runId, syncId };
}

async function reach(syncId: string): Promise<void> {
  await tasks.begin(syncId);
  await tasks.step(syncId, 1, 'prepare');
  await tasks.step(syncId, 1, 'extract');
}

async function acknowledged(connectionId: string): Promise<number[]> {
  await foldSettled(stores.pool, { clickhouse: stores.clickhouse }, connectionId);
  const rows = await selectRows<{ profile: number }>(
    stores.clickhouse,
    `SELECT profile FROM baselines FINAL WHERE connection_id = {id:String} AND value != '' ORDER BY profile`,
    { id: connectionId },
  );
  return rows.map(({ profile }) => profile);
}

async function cursorOf(taskId: string): Promise<Record<string, unknown>> {
  const { steps } = await readTaskRows(stores.pool, taskId);
  return (steps.find(({ name }) => name === 'deliver')?.cursor ?? {}) as Record<string, unknown>;
}

async function tasksOf(connectionId: string) {
  const { rows } = await stores.pool.query<{ id: string; reason: string; status: string }>(
    'select id, reason, status from tasks where connection_id = $1 order by id',
    [connectionId],
  );
  return rows;
}

async function finishSteps(taskId: string, attempt: number): Promise<readonly string[]> {
  await tasks.step(taskId, attempt, 'reconcile');
  return await tasks.step(taskId, attempt, 'finish');
}

describe('deliver', () => {
  test('goes on at its cursor, and what was not acknowledged in the batch that failed is sent again first', async () => {
    const { syncId, connectionId } = await addComputed(12);
    await reach(syncId);
    receiver.behave(({ number }) => (number === 2 ? { status: 503 } : undefined));
    await expect(tasks.step(syncId, 1, 'deliver')).rejects.toMatchObject({ code: 'destination_unavailable' });
    expect(await cursorOf(syncId)).toMatchObject({
      next: 10,
      redo: [5, 6, 7, 8, 9],
      delivered: 5,
      rejected: 0,
      skipped: 0,
    });
    expect(await acknowledged(connectionId)).toEqual([1, 2, 3, 4, 5]);

    await tasks.fail(syncId, 1);
    await tasks.begin(syncId);
    await tasks.step(syncId, 2, 'deliver');
    expect(receiver.requests.map(({ messages }) => messages.map(({ userId }) => Number(userId?.slice(5))))).toEqual([
      [1, 2, 3, 4, 5],
      [6, 7, 8, 9, 10],
      [6, 7, 8, 9, 10],
      [11, 12],
    ]);
    expect(receiver.counts()).toMatchObject({ messages: 12, distinctMessages: 12 });
    await finishSteps(syncId, 2);
    expect((await readTaskRows(stores.pool, syncId)).result).toMatchObject({ changes: 12, delivered: 12 });
  });

  test('rejected rows are kept once and counted once, also of a batch whose cursor did not move', async () => {
    const { syncId } = await addComputed(5);
    await reach(syncId);
    receiver.behave(({ messages }) =>
      messages.some(({ userId }) => userId === 'user-3') ? { status: 400 } : undefined,
    );
    await tasks.step(syncId, 1, 'deliver');
    // As if the worker had died between the rejected rows of an execution and its checkpoint.
    await stores.pool.query(
      `update steps set completed_at = null, output = null, cursor = null where task_id = $1 and name = 'deliver'`,
      [syncId],
    );
    await tasks.step(syncId, 1, 'deliver');
    const { rows } = await stores.pool.query('select idx, profile, status from rejected_rows where task_id = $1', [
      syncId,
    ]);
    expect(rows).toEqual([{ idx: 2, profile: 3, status: 400 }]);
    await finishSteps(syncId, 1);
    expect((await readTaskRows(stores.pool, syncId)).result).toMatchObject({ delivered: 4, rejected: 1 });
  });

  test('an attempt that was given up ends with the batch that it had in hand', async () => {
    const { syncId } = await addComputed(20);
    await reach(syncId);
    receiver.behave(({ number }) => (number === 2 ? { delayMs: 300 } : undefined));
    const zombie = tasks.step(syncId, 1, 'deliver').catch((error: Error) => error.name);
    await receiver.received(({ number }) => number === 2);
    await tasks.fail(syncId, 1, 'step_timeout');
    await tasks.begin(syncId);
    await tasks.step(syncId, 2, 'deliver');
    expect(await zombie).toBe('StaleAttemptError');
    expect(await cursorOf(syncId)).toMatchObject({ next: 20, redo: [], delivered: 20 });
    expect(receiver.counts()).toMatchObject({ requests: 5, distinctMessages: 20 });
    await finishSteps(syncId, 2);
  });

  test.each([
    ['an HTTP request', { hang: 'request' }],
    ['the wait that a destination asked for', { status: 429, headers: { 'retry-after': '600' } }],
  ] as const)('being given up reaches %s', async (_, reaction) => {
    const { syncId } = await addComputed(10);
    await reach(syncId);
    receiver.behave(({ number }) => (number === 2 ? reaction : undefined));
    const controller = new AbortController();
    const started = Date.now();
    const delivering = tasks.step(syncId, 1, 'deliver', controller.signal).then(
      () => 'delivered',
      () => 'ended',
    );
    await receiver.received(({ number }) => number === 2);
    await new Promise((resolve) => setTimeout(resolve, 100));
    controller.abort(new Error('given up'));
    expect(await delivering).toBe('ended');
    expect(Date.now() - started).toBeLessThan(5_000);
    expect(await cursorOf(syncId)).toMatchObject({ delivered: 5, redo: [5, 6, 7, 8, 9] });
  });

  test('a task that was cancelled meanwhile sends no further batch', async () => {
    const { syncId, computationId } = await addComputed(20);
    await reach(syncId);
    receiver.behave(({ number }) => (number === 1 ? { delayMs: 300 } : undefined));
    const delivering = tasks.step(syncId, 1, 'deliver').catch((error: Error) => error.name);
    await receiver.received(({ number }) => number === 1);
    await stores.pool.query('update computations set deleted_at = now() where id = $1', [computationId]);
    expect(await tasks.begin(syncId)).toMatchObject({ ended: true });
    expect(await delivering).toBe('StaleAttemptError');
    expect(receiver.requests).toHaveLength(1);
  });
});

describe('a version that goes live while a sync is open', () => {
  async function runAgain(computationId: string): Promise<{ made: string[]; result: unknown }> {
    const run = await addRun(stores.pool, world, computationId);
    const made = await tasks.execute(run);
    return { made, result: (await readTaskRows(stores.pool, run)).result };
  }

  test('before its extract: the sync sends that one, and no further sync is made', async () => {
    const { computationId, connectionId, syncId } = await addComputed(3);
    expect(await runAgain(computationId)).toMatchObject({ made: [], result: { syncs: 0 } });
    expect(await tasks.execute(syncId)).toEqual([]);
    const { rows } = await stores.pool.query(
      'select synced_version = live_version as current from connections n join computations c on c.id = n.computation_id where n.id = $1',
      [connectionId],
    );
    expect(rows).toEqual([{ current: true }]);
    expect(await tasksOf(connectionId)).toHaveLength(1);
  });

  test('after its extract: one sync more catches up, and sends nothing twice', async () => {
    const { computationId, connectionId, syncId } = await addComputed(3);
    await reach(syncId);
    expect((await runAgain(computationId)).made).toEqual([]);
    await tasks.step(syncId, 1, 'deliver');
    const [next = '', ...more] = await finishSteps(syncId, 1);
    expect(more).toEqual([]);
    expect((await tasksOf(connectionId)).map(({ reason, status }) => [reason, status])).toEqual([
      ['fan_out', 'succeeded'],
      ['catch_up', 'pending'],
    ]);
    expect(await tasks.execute(next)).toEqual([]);
    expect(receiver.counts()).toMatchObject({ messages: 3, distinctMessages: 3 });
  });

  test('exactly while it ends: whichever of the two is first, one sync brings it there', async () => {
    for (let round = 0; round < 5; round++) {
      world = await createWorld(stores.pool);
      const { computationId, connectionId, syncId } = await addComputed(2);
      await reach(syncId);
      await tasks.step(syncId, 1, 'deliver');
      await Promise.all([runAgain(computationId), finishSteps(syncId, 1)]);
      for (const { id } of (await tasksOf(connectionId)).filter(({ status }) => status === 'pending'))
        await tasks.execute(id);
      const { rows } = await stores.pool.query(
        'select synced_version = live_version as current from connections n join computations c on c.id = n.computation_id where n.id = $1',
        [connectionId],
      );
      expect(rows).toEqual([{ current: true }]);
      expect((await tasksOf(connectionId)).map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);
    }
  });
});

describe('a run', () => {
  test('is computed as of its beginning, by the definition of its beginning, however late a retry', async () => {
    await addPeople(stores.clickhouse, world, 4);
    const computationId = await addAudience(
      stores.pool,
      world,
      "event('Visited').where(property('n') <= 2).count() >= 1",
    );
    const runId = await addRun(stores.pool, world, computationId);
    await tasks.begin(runId);
    await tasks.step(runId, 1, 'pin');
    await stores.pool.query(
      `update computations set definition_query = $2, definition_version = definition_version + 1 where id = $1`,
      [computationId, EVERYBODY],
    );
    await tasks.fail(runId, 1, 'clickhouse_unavailable');
    await tasks.execute(runId);
    const { rows } = await stores.pool.query(
      'select live_size, live_definition_version, definition_version from computations where id = $1',
      [computationId],
    );
    expect(rows).toEqual([{ live_size: 2, live_definition_version: 1, definition_version: 2 }]);
  });

  test('a compute that is given up ends its query', async () => {
    await addPeople(stores.clickhouse, world, 4);
    const runId = await addRun(stores.pool, world, await addAudience(stores.pool, world, EVERYBODY));
    await tasks.begin(runId);
    await tasks.step(runId, 1, 'pin');
    await expect(tasks.step(runId, 1, 'compute', AbortSignal.abort())).rejects.toThrow(/abort/i);
    const { steps } = await readTaskRows(stores.pool, runId);
    expect(steps.find(({ name }) => name === 'compute')).toMatchObject({ completed_at: null, executions: 1 });
    await tasks.execute(runId);
    expect(await readTaskRows(stores.pool, runId)).toMatchObject({ status: 'succeeded', result: { members: 4 } });
  });
});
