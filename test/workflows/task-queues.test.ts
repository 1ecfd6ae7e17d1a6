import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readWorkKinds } from '../../src/bin/commands/worker.ts';
import type { WorkKind } from '../../src/tasks/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { startTestWorker, type TestWorker } from '../helpers/worker.ts';
import {
  addAudience,
  addPeople,
  addRun,
  connectWebhook,
  createWorld,
  eventually,
  readTaskRows,
  type World,
} from '../helpers/world.ts';

let stores: TestStores;
let receiver: Receiver;
let world: World;
const workers: TestWorker[] = [];
let keys = 0;

beforeAll(async () => {
  stores = await createTestStores();
  receiver = await startReceiver();
  world = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, world, 6);
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map(async (worker) => await worker.close()));
});
afterAll(async () => {
  await receiver?.close();
  await stores?.close();
});

async function serve(kinds: WorkKind[], options: { heartbeatTimeoutMs?: number } = {}): Promise<TestWorker> {
  const worker = await startTestWorker({ ...stores, taskQueue: 'task-queues', serve: kinds, ...options });
  workers.push(worker);
  return worker;
}

async function addRunWithSync(path: string): Promise<string> {
  const query = "event('Visited').count() >= 1";
  const computationId = await addAudience(stores.pool, world, query, { key: `audience_${++keys}` });
  await connectWebhook(stores.pool, world, computationId, `${receiver.url}${path}`, 10);
  return await addRun(stores.pool, world, computationId);
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

/** Waits until Temporal has the task's next step in a queue that nobody serves, and says which. */
async function queuedStepOf(worker: TestWorker, taskId: string): Promise<string> {
  return await eventually(
    async () => {
      const { events } = await worker.client.workflow.getHandle(`task/${taskId}`).fetchHistory();
      const { raw } = await worker.client.workflow.getHandle(`task/${taskId}`).describe();
      if (raw.pendingActivities?.length !== 1 || raw.pendingActivities[0]?.lastStartedTime) return null;
      return events?.findLast((event) => event.activityTaskScheduledEventAttributes)
        ?.activityTaskScheduledEventAttributes?.taskQueue?.name;
    },
    { what: 'a step that waits for a worker' },
  );
}

describe('each kind of work', () => {
  test('waits for workers of its kind, and for no other', async () => {
    const worker = await serve(['workflows']);
    const run = await addRunWithSync('/kinds');
    await worker.start(run);
    expect(await queuedStepOf(worker, run)).toBe('task-queues-compute');
    await serve(['compute']);
    expect(await worker.client.workflow.getHandle(`task/${run}`).result()).toBe('succeeded');
    const sync = await syncOf(run);
    expect(await queuedStepOf(worker, sync)).toBe('task-queues-deliver');
    expect((await readTaskRows(stores.pool, sync)).attempts).toHaveLength(1);
    await serve(['deliver']);
    expect(await worker.client.workflow.getHandle(`task/${sync}`).result()).toBe('succeeded');
    expect(receiver.accepted).toHaveLength(6);
  });

  test('hears within seconds that it should stop, however long a silent worker may be silent', async () => {
    const worker = await serve(['workflows', 'compute', 'deliver'], { heartbeatTimeoutMs: 120_000 });
    receiver.behave((request) => (request.path === '/hangs' ? { hang: 'request' } : undefined));
    const run = await addRunWithSync('/hangs');
    await worker.execute(run);
    const sync = await syncOf(run);
    await receiver.received((request) => request.path === '/hangs');
    await stores.pool.query(
      `update computations set paused_at = now() where id = (select computation_id from tasks where id = $1)`,
      [run],
    );
    await worker.wake(sync);
    // By itself the SDK would tell it after four fifths of the heartbeat's time-out.
    const outcome = await eventually(
      async () => {
        const { rows } = await stores.pool.query<{ outcome: string }>(
          `select outcome from step_executions where task_id = $1 and step = 'deliver' and ended_at is not null`,
          [sync],
        );
        return rows[0]?.outcome;
      },
      { what: 'the end of the step', timeoutMs: 20_000 },
    );
    expect(outcome).toBe('interrupted');
    await worker.client.workflow.getHandle(`task/${sync}`).terminate();
  });
});

describe('--queues', () => {
  test('takes kinds of work, all where it is not given', () => {
    expect(readWorkKinds(undefined)).toEqual(['workflows', 'compute', 'deliver', 'alerts']);
    expect(readWorkKinds('deliver, compute,deliver')).toEqual(['compute', 'deliver']);
  });

  test.each([['workflow'], [''], ['compute,,deliver'], ['compute;deliver']])('refuses "%s"', (given) => {
    expect(() => readWorkKinds(given)).toThrow(/--queues names ".*". It takes workflows, compute, deliver, alerts/);
  });
});
