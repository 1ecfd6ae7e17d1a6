import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { bundleFrom } from '../helpers/worker.ts';
import { addRun, connectWebhook, eventually } from '../helpers/world.ts';
import { ReconcileWorld } from './reconcile-world.ts';

const NOTHING = { replaced: 0, woken: 0, ended: 0 };
const PEOPLE = 12;
const IDLE = '../workflows/other-versions/idle.ts';
const FAILS = '../workflows/other-versions/fails.ts';

let receiver: Receiver;
let cluster: ReconcileWorld;

beforeAll(async () => {
  cluster = await ReconcileWorld.create('reconcile-tasks', PEOPLE);
  receiver = await startReceiver();
});
afterEach(async () => {
  await cluster.clear();
});
afterAll(async () => {
  await receiver?.close();
  await cluster?.close();
});

describe('a task whose workflow is gone', () => {
  test('that was terminated in the middle of a delivery goes on at its cursor, in the same attempt', async () => {
    await cluster.startWorker();
    const { taskId, computationId } = await cluster.addTask();
    await cluster.outcomeOf(taskId);
    await connectWebhook(cluster.stores.pool, cluster.world, computationId, `${receiver.url}/terminated`, 4);
    const ours = () => receiver.requests.filter((request) => request.path === '/terminated');
    receiver.behave((request) =>
      request.path === '/terminated' && ours().length === 2 ? { hang: 'request' } : undefined,
    );
    const run = await addRun(cluster.stores.pool, cluster.world, computationId);
    await cluster.startTask(run);
    await cluster.outcomeOf(run);
    await eventually(async () => (ours().length === 2 ? true : null), { what: 'the second batch' });
    const { rows } = await cluster.stores.pool.query<{ id: string }>('select id from tasks where parent_task_id = $1', [
      run,
    ]);
    const sync = rows[0]?.id ?? '';
    const { runId } = await cluster.workflowOf(sync).describe();
    await cluster.workflowOf(sync).terminate('as an operator does');
    expect(await cluster.reconcile(), 'just dispatched: whoever did it may be at it').toEqual(NOTHING);
    await cluster.age(sync);
    receiver.behave(() => undefined);

    expect(await cluster.reconcile()).toEqual({ ...NOTHING, replaced: 1 });
    const ended = await cluster.outcomeOf(sync);
    expect(ended.result).toMatchObject({ changes: PEOPLE, delivered: PEOPLE, rejected: 0 });
    expect(ended.attempts.map(({ outcome }) => outcome)).toEqual(['succeeded']);
    const messages = ours().flatMap((request) => request.messages);
    expect(new Set(messages.map((message) => message.messageId)).size).toBe(PEOPLE);
    expect(messages.length, 'only the batch in flight came twice').toBe(PEOPLE + (ours()[1]?.messages.length ?? 0));
    expect((await cluster.workflowOf(sync).describe()).runId).not.toBe(runId);
    expect(await cluster.said(sync)).toEqual([
      [
        'Audience Destination Sync Workflow Replaced',
        expect.objectContaining({ because: 'missing', detail: 'TERMINATED', destinationName: 'Receiver' }),
      ],
    ]);
    expect(await cluster.reconcile()).toEqual(NOTHING);
  });

  test('is mended whatever it waits for, and a few at a time', async () => {
    const tasks: string[] = [];
    const addLost = async (index: number): Promise<void> => {
      const { taskId, computationId } = await cluster.addTask();
      tasks.push(taskId);
      if (index % 3 === 1) await cluster.setPaused(computationId, true);
      if (index % 3 === 2) {
        await cluster.stores.pool.query(
          `update tasks set status = 'backing_off', attempt = 1, retry_at = now() + interval '1 hour' where id = $1`,
          [taskId],
        );
      }
      await cluster.workflowOf(taskId).terminate();
      await cluster.age(taskId, 20);
    };
    await Promise.all(Array.from({ length: 52 }, async (_, index) => await addLost(index)));
    await cluster.untilListed([]);
    expect(await cluster.reconcile()).toEqual({ ...NOTHING, replaced: 50 });
    expect(await cluster.reconcile()).toEqual({ ...NOTHING, replaced: 2 });
    await cluster.untilListed(tasks);
    expect(await cluster.reconcile()).toEqual(NOTHING);
  });

  test('that Temporal has forgotten is one of them', async () => {
    const { taskId } = await cluster.addTask();
    await cluster.workflowOf(taskId).terminate();
    await cluster.temporal.workflowService.deleteWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: `task/${taskId}` },
    });
    await eventually(
      async () =>
        await cluster
          .workflowOf(taskId)
          .describe()
          .then(
            () => null,
            () => true,
          ),
      // It deletes when it comes to it.
      { what: 'the end of what Temporal knows', timeoutMs: 120_000 },
    );
    await cluster.age(taskId);
    expect(await cluster.reconcile()).toEqual({ ...NOTHING, replaced: 1 });
    await cluster.startWorker();
    expect((await cluster.outcomeOf(taskId)).status).toBe('succeeded');
    expect(await cluster.said(taskId)).toEqual([
      ['Audience Run Workflow Replaced', expect.objectContaining({ because: 'missing', detail: 'NOT_FOUND' })],
    ]);
  }, 240_000);

  test('and whose workflows end by themselves has one more, and not one after the other', async () => {
    await cluster.startWorker({ workflowBundle: await bundleFrom(FAILS) });
    const { taskId } = await cluster.addTask();
    const failed = async () =>
      await cluster
        .workflowOf(taskId)
        .result()
        .then(
          () => 'ended well',
          () => 'failed',
        );
    expect(await failed()).toBe('failed');
    await cluster.age(taskId);
    expect(await cluster.reconcile()).toEqual({ ...NOTHING, replaced: 1 });
    expect(await failed()).toBe('failed');
    await cluster.age(taskId);
    expect(await cluster.reconcile()).toEqual(NOTHING);
    await cluster.age(taskId, 3_600);
    expect(await cluster.reconcile(), 'an hour later it is tried again').toEqual({ ...NOTHING, replaced: 1 });
    expect((await cluster.said(taskId)).map(([, details]) => details['detail'])).toEqual(['FAILED', 'FAILED']);
  });
});

describe('a workflow whose task is gone', () => {
  test('looks, and ends by itself', async () => {
    await cluster.startWorker();
    const { taskId, computationId } = await cluster.addTask();
    await cluster.setPaused(computationId, true);
    await cluster.untilIdle(taskId);
    await cluster.stores.pool.query(
      `update tasks set status = 'cancelled', cancelled_because = 'asked', ended_at = now() where id = $1 and ended_at is null`,
      [taskId],
    );
    await cluster.age(taskId);
    expect(await cluster.reconcile()).toEqual(NOTHING);
    const { status } = await cluster.workflowOf(taskId).describe();
    expect(status.name).toBe('COMPLETED');
    expect(await cluster.said(taskId)).toEqual([]);
  });

  test('is ended where it does not look, and where there is no such task any more', async () => {
    await cluster.startWorker({ workflowBundle: await bundleFrom(IDLE) });
    const ended = await cluster.addTask();
    const deleted = await cluster.addTask();
    await cluster.untilListed([ended.taskId, deleted.taskId]);
    await cluster.stores.pool.query(`update tasks set status = 'cancelled', ended_at = now() where id = $1`, [
      ended.taskId,
    ]);
    await cluster.age(ended.taskId);
    await cluster.stores.pool.query('delete from tasks where id = $1', [deleted.taskId]);
    await cluster.untilIdle(ended.taskId);
    await cluster.untilIdle(deleted.taskId);
    expect(await cluster.reconcile()).toEqual({ ...NOTHING, ended: 2 });
    for (const [{ taskId }, task] of [
      [ended, 'cancelled'],
      [deleted, 'not_there'],
    ] as const) {
      expect((await cluster.workflowOf(taskId).describe()).status.name).toBe('TERMINATED');
      expect(await cluster.said(taskId)).toEqual([['Audience Run Workflow Ended', { task }]]);
    }
    await cluster.untilListed([]);
    expect(await cluster.reconcile()).toEqual(NOTHING);
  });
});

describe('a task that does not go on', () => {
  test('although it was resumed is woken, once', async () => {
    await cluster.startWorker({ serve: ['workflows'] });
    const { taskId, computationId } = await cluster.addTask();
    await cluster.setPaused(computationId, true);
    await cluster.untilIdle(taskId);
    await cluster.age(taskId);
    expect(await cluster.reconcile(), 'nothing is expected of what is paused').toEqual(NOTHING);
    await cluster.setPaused(computationId, false);
    expect(await cluster.reconcile()).toEqual({ ...NOTHING, woken: 1 });
    await eventually(
      async () => ((await cluster.workflowOf(taskId).describe()).raw.pendingActivities?.length === 1 ? true : null),
      { what: 'the step compute, queued' },
    );
    expect(await cluster.reconcile(), 'it waits for a worker, which is not its fault').toEqual(NOTHING);
    await cluster.age(taskId);
    expect(await cluster.reconcile()).toEqual(NOTHING);
    expect(await cluster.said(taskId)).toEqual([
      ['Audience Run Stuck', { status: expect.stringMatching(/pending|running/), overdueMs: expect.any(Number) }],
    ]);
    await cluster.startWorker();
    expect((await cluster.outcomeOf(taskId)).status).toBe('succeeded');
  });

  test('although it was woken gets another workflow', async () => {
    await cluster.startWorker({ workflowBundle: await bundleFrom(IDLE) });
    const { taskId } = await cluster.addTask();
    await cluster.untilIdle(taskId);
    await cluster.age(taskId);
    expect(await cluster.reconcile()).toEqual({ ...NOTHING, woken: 1 });
    await cluster.untilIdle(taskId);
    expect(await cluster.reconcile(), 'it has been told, and has a moment').toEqual(NOTHING);
    await cluster.age(taskId);
    await cluster.stopWorkers();
    expect(await cluster.reconcile()).toEqual({ ...NOTHING, replaced: 1 });
    await cluster.startWorker();
    expect((await cluster.outcomeOf(taskId)).status).toBe('succeeded');
    expect((await cluster.said(taskId)).map(([type, details]) => [type, details['because']])).toEqual([
      ['Audience Run Stuck', undefined],
      ['Audience Run Workflow Replaced', 'stuck'],
    ]);
  });

  test('because its history does not replay in this version goes on in a workflow of this version', async () => {
    await cluster.startWorker({ workflowBundle: await bundleFrom(IDLE) });
    const { taskId } = await cluster.addTask();
    await cluster.untilIdle(taskId);
    await cluster.stopWorkers();
    await cluster.startWorker();
    await cluster.wakeTask(taskId);
    await cluster.age(taskId);
    const attempts = await eventually(
      async () => {
        const { attempt = 0 } = (await cluster.workflowOf(taskId).describe()).raw.pendingWorkflowTask ?? {};
        return attempt !== null && attempt >= 3 ? attempt : null;
      },
      { what: 'a workflow task that fails again and again', timeoutMs: 90_000 },
    );
    expect(attempts).toBeGreaterThanOrEqual(3);
    expect(await cluster.reconcile()).toEqual({ ...NOTHING, replaced: 1 });
    expect((await cluster.outcomeOf(taskId)).status).toBe('succeeded');
    expect(await cluster.said(taskId)).toEqual([
      ['Audience Run Workflow Replaced', { because: 'failing', detail: expect.stringMatching(/determinism/i) }],
    ]);
  }, 150_000);
});

test('a step that goes on although its computation was paused hears of it', async () => {
  await cluster.startWorker();
  const { taskId, computationId } = await cluster.addTask();
  await cluster.outcomeOf(taskId);
  await connectWebhook(cluster.stores.pool, cluster.world, computationId, `${receiver.url}/unheard`, 4);
  receiver.behave((request) => (request.path === '/unheard' ? { hang: 'request' } : undefined));
  const run = await addRun(cluster.stores.pool, cluster.world, computationId);
  await cluster.startTask(run);
  await receiver.received((request) => request.path === '/unheard');
  await cluster.stores.pool.query(`update computations set paused_at = now() - interval '1 minute' where id = $1`, [
    computationId,
  ]);
  expect(await cluster.reconcile()).toEqual(NOTHING);
  const executions = await eventually(
    async () => {
      const { rows } = await cluster.stores.pool.query<{ outcome: string | null }>(
        `select outcome from step_executions e join tasks t on t.id = e.task_id
         where t.parent_task_id = $1 and step = 'deliver' and e.ended_at is not null`,
        [run],
      );
      return rows.length > 0 ? rows : null;
    },
    { what: 'the end of the step' },
  );
  expect(executions).toEqual([{ outcome: 'interrupted' }]);
});

test('a cluster without workers has no task that is stuck', async () => {
  const added = await Promise.all(Array.from({ length: 6 }, async () => await cluster.addTask()));
  const tasks = added.map(({ taskId }) => taskId);
  await cluster.untilListed(tasks);
  for (const taskId of tasks) await cluster.age(taskId, 600);
  expect(await cluster.reconcile()).toEqual(NOTHING);
  const { rows } = await cluster.stores.pool.query('select from audit_events where task_id = any ($1)', [tasks]);
  expect(rows).toEqual([]);
});
