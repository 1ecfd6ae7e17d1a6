import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Actor } from '../../src/audit/index.ts';
import type { ComputationAddress } from '../../src/computations/index.ts';
import { inTransaction, type Transaction } from '../../src/store/index.ts';
import {
  approveRun,
  cancelTask,
  forceRun,
  pauseComputation,
  redriveRejected,
  requestResync,
  resumeComputation,
  retryTask,
} from '../../src/tasks/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { refuseUsers, startReceiver, type Receiver } from '../helpers/receiver.ts';
import { startTestWorker, type TestWorker } from '../helpers/worker.ts';
import {
  addAudience,
  addPeople,
  addRun,
  connectWebhook,
  createWorld,
  eventually,
  readTaskRows,
} from '../helpers/world.ts';

const ANN: Actor = { kind: 'user', id: 'usr_ann', name: 'Ann' };

let stores: TestStores;
let worker: TestWorker;
let receiver: Receiver;

beforeAll(async () => {
  stores = await createTestStores();
  worker = await startTestWorker({ ...stores, taskQueue: 'control' });
  receiver = await startReceiver();
});
beforeEach(() => {
  receiver.requests.length = 0;
  receiver.accepted.length = 0;
  receiver.behave(() => undefined);
});
afterAll(async () => {
  await worker?.close();
  await receiver?.close();
  await stores?.close();
});

async function control<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
  return await inTransaction(stores.pool, work);
}

/** `count` people in an audience, connected with five changes a batch, and the run that computes it, not started yet. */
async function addAudienceOf(count: number) {
  const world = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, world, count);
  const computationId = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
  const { connectionId } = await connectWebhook(stores.pool, world, computationId, receiver.url, 10);
  const { workspaceId, spaceId } = world;
  const address: ComputationAddress = { workspaceId, spaceId, kind: 'audience', id: computationId };
  return {
    world,
    workspaceId,
    computationId,
    connectionId,
    address,
    runId: await addRun(stores.pool, world, computationId),
  };
}

async function syncOf(runId: string): Promise<string> {
  return await eventually(
    async () => {
      const { rows } = await stores.pool.query<{ id: string }>('select id from tasks where parent_task_id = $1', [
        runId,
      ]);
      return rows[0]?.id;
    },
    { what: 'a sync of the run' },
  );
}

async function reaches(taskId: string, status: string) {
  return await eventually(
    async () => {
      const task = await readTaskRows(stores.pool, taskId);
      return task.status === status ? task : null;
    },
    { what: `${taskId} being ${status}` },
  );
}

/** The numbers of the people in the messages that were accepted, in order. */
const delivered = (): number[] => receiver.accepted.map(({ userId }) => Number(userId?.slice(5)));
const everybody = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

/** Resolves when the request of this number has come in; that is a batch. */
async function batch(wanted: number): Promise<void> {
  await receiver.received(({ number }) => number === wanted);
}

describe('pause', () => {
  test('in the middle of deliver loses nothing: resumed, it sends the rest, and each member once', async () => {
    const { address, runId } = await addAudienceOf(22);
    receiver.behave(({ number }) => (number === 2 ? { delayMs: 400 } : undefined));
    await worker.start(runId);
    await batch(2);
    const syncId = await syncOf(runId);
    for (const taskId of await control((tx) => pauseComputation(tx, address, ANN))) await worker.wake(taskId);
    await eventually(
      async () => {
        const { rows } = await stores.pool.query(
          `select from step_executions where task_id = $1 and step = 'deliver' and outcome = 'interrupted'`,
          [syncId],
        );
        return rows.length === 1 ? true : null;
      },
      { what: 'the interruption of deliver' },
    );
    // Held, not failed, and nothing more goes out.
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(receiver.requests).toHaveLength(2);
    expect(await readTaskRows(stores.pool, syncId)).toMatchObject({ status: 'running', attempt: 1 });

    for (const taskId of await control((tx) => resumeComputation(tx, address, ANN))) await worker.wake(taskId);
    const done = await reaches(syncId, 'succeeded');
    expect(done).toMatchObject({ attempt: 1, result: { changes: 22, delivered: 22 } });
    expect(done.attempts).toMatchObject([{ attempt: 1, outcome: 'succeeded' }]);
    expect([...new Set(delivered())].sort((a, b) => a - b)).toEqual(everybody(22));
    // A batch that was in flight may go out again, as the same messages.
    expect(receiver.counts().distinctMessages).toBe(22);
    expect(receiver.counts().messages).toBeLessThanOrEqual(27);
  });

  test('before a task begins holds it until then', async () => {
    const { address, runId } = await addAudienceOf(3);
    await control((tx) => pauseComputation(tx, address, ANN));
    await worker.start(runId);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await readTaskRows(stores.pool, runId)).toMatchObject({ status: 'pending', attempt: 0 });
    for (const taskId of await control((tx) => resumeComputation(tx, address, ANN))) await worker.wake(taskId);
    await reaches(runId, 'succeeded');
    await reaches(await syncOf(runId), 'succeeded');
    expect(delivered()).toEqual([1, 2, 3]);
  });
});

describe('cancel', () => {
  test('aborts a request that hangs, and keeps what was delivered', async () => {
    const { workspaceId, runId } = await addAudienceOf(12);
    receiver.behave(({ number }) => (number === 2 ? { hang: 'request' } : undefined));
    await worker.start(runId);
    await batch(2);
    const syncId = await syncOf(runId);
    const asked = Date.now();
    await control((tx) => cancelTask(tx, { workspaceId, taskId: syncId }, { actor: ANN }));
    await worker.wake(syncId);
    expect(await worker.client.workflow.getHandle(`task/${syncId}`).result()).toBe('cancelled');
    // Long before the request's own timeout, so it was aborted and not waited for.
    expect(Date.now() - asked).toBeLessThan(10_000);
    const task = await readTaskRows(stores.pool, syncId);
    expect(task).toMatchObject({ status: 'cancelled', attempts: [{ attempt: 1, outcome: 'cancelled' }] });
    expect(delivered()).toEqual([1, 2, 3, 4, 5]);
    expect(receiver.requests).toHaveLength(2);
    expect(task.steps.find(({ name }) => name === 'deliver')).toMatchObject({
      completed_at: null,
      cursor: { delivered: 5 },
    });
  });
});

describe('retry', () => {
  test('from deliver goes on where the cancelled one was, each member once', async () => {
    const { workspaceId, runId, connectionId } = await addAudienceOf(12);
    receiver.behave(({ number }) => (number === 2 ? { hang: 'request' } : undefined));
    await worker.start(runId);
    await batch(2);
    const syncId = await syncOf(runId);
    await control((tx) => cancelTask(tx, { workspaceId, taskId: syncId }, { actor: ANN }));
    await worker.wake(syncId);
    await worker.client.workflow.getHandle(`task/${syncId}`).result();

    const retried = await control((tx) => retryTask(tx, { workspaceId, taskId: syncId }, { actor: ANN }));
    expect(await worker.execute(retried)).toBe('succeeded');
    expect(delivered()).toEqual(everybody(12));
    expect(receiver.requests.map(({ messages }) => messages.length)).toEqual([5, 5, 5, 2]);
    const ids = receiver.requests.map(({ messages }) => messages.map(({ messageId }) => messageId));
    expect(ids[2]).toEqual(ids[1]);
    expect((await readTaskRows(stores.pool, retried)).steps.map(({ name, executions }) => [name, executions])).toEqual([
      ['prepare', 0],
      ['extract', 0],
      ['deliver', 1],
      ['reconcile', 1],
      ['finish', 1],
    ]);
    const { rows } = await stores.pool.query(
      'select synced_version is not null as synced from connections where id = $1',
      [connectionId],
    );
    expect(rows).toEqual([{ synced: true }]);
  });
});

describe('redrive and resync', () => {
  test('send what was refused once the receiver takes it, and everything when someone asks', async () => {
    const { workspaceId, address, runId } = await addAudienceOf(6);
    receiver.behave(refuseUsers(['user-3', 'user-5']));
    await worker.start(runId);
    const syncId = await syncOf(runId);
    expect(await reaches(syncId, 'succeeded')).toMatchObject({ result: { delivered: 4, rejected: 2 } });
    receiver.behave(() => undefined);
    receiver.accepted.length = 0;
    const redrive = await control((tx) => redriveRejected(tx, { workspaceId, taskId: syncId }, ANN));
    expect(await worker.execute(redrive.taskId)).toBe('succeeded');
    expect(delivered()).toEqual([3, 5]);

    receiver.accepted.length = 0;
    const [resync] = await control((tx) => requestResync(tx, address, { actor: ANN }));
    expect(await worker.execute(resync?.taskId ?? '')).toBe('succeeded');
    expect(delivered()).toEqual(everybody(6));
  });
});

describe('approve', () => {
  test('lets a run go on that the guard stopped, in the same attempt', async () => {
    const { workspaceId, address, computationId, runId } = await addAudienceOf(10);
    expect(await worker.execute(runId)).toBe('succeeded');
    await reaches(await syncOf(runId), 'succeeded');
    await stores.pool.query(
      `update computations set guard_min_members = 5, definition_version = 2,
              definition_query = 'event(''Visited'').where(property(''n'') = 1).count() >= 1' where id = $1`,
      [computationId],
    );
    const again = await control((tx) => forceRun(tx, address, { actor: ANN, reason: 'run_now' }));
    await worker.start(again);
    await reaches(again, 'awaiting_approval');
    receiver.accepted.length = 0;
    await control((tx) => approveRun(tx, { workspaceId, taskId: again }, ANN));
    await worker.wake(again);
    expect(await worker.client.workflow.getHandle(`task/${again}`).result()).toBe('succeeded');
    expect(await readTaskRows(stores.pool, again)).toMatchObject({ attempt: 1, result: { exited: 9 } });
    await reaches(await syncOf(again), 'succeeded');
    expect(delivered().sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });
});
