import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  cancelTask,
  dropUnusedVersions,
  redriveRejected,
  requestResync,
  retryTask,
  type StepName,
} from '../../src/tasks/index.ts';
import { refuseUsers } from '../helpers/receiver.ts';
import { addAudience, addPeople, addRun, createWorld, readTaskRows } from '../helpers/world.ts';
import {
  addressOf,
  ANN,
  createControlWorld,
  EVERYBODY,
  forget,
  numbers,
  type ControlWorld,
  type Synced,
} from './control-world.ts';

let world: ControlWorld;

beforeAll(async () => {
  world = await createControlWorld();
});
beforeEach(() => forget(world.receiver));
afterAll(async () => {
  await world?.close();
});

const retry = async (synced: { world: { workspaceId: string } }, taskId: string, fromStep?: string): Promise<string> =>
  await world.control((tx) => retryTask(tx, addressOf(synced, taskId), { actor: ANN, fromStep }));
const refusal = async (synced: { world: { workspaceId: string } }, taskId: string, fromStep?: string) =>
  await world.refusal((tx) => retryTask(tx, addressOf(synced, taskId), { actor: ANN, fromStep }));
const cancel = async (synced: { world: { workspaceId: string } }, taskId: string) =>
  await world.control((tx) => cancelTask(tx, addressOf(synced, taskId), { actor: ANN }));

/** Twelve changes in batches of five: the second batch finds the receiver broken, and the task fails for good. */
async function addFailed(): Promise<Synced> {
  const synced = await world.addSynced(12);
  await world.reach(synced.syncId);
  world.receiver.behave(({ number }) => (number === 2 ? { status: 503 } : undefined));
  await expect(world.tasks.step(synced.syncId, 1, 'deliver')).rejects.toMatchObject({
    code: 'destination_unavailable',
  });
  await world.tasks.fail(synced.syncId, 1, 'destination_credentials_rejected');
  expect(await world.statusOf(synced.syncId)).toBe('failed');
  expect(world.delivered()).toEqual([1, 2, 3, 4, 5]);
  return synced;
}

/** An audience of ten, whose second run comes as far as `last` and then fails for good. */
async function addFailedRun(last: StepName) {
  const tenant = await createWorld(world.stores.pool);
  await addPeople(world.stores.clickhouse, tenant, 10);
  const { pool } = world.stores;
  const computationId = await addAudience(pool, tenant, EVERYBODY);
  await world.tasks.execute(await addRun(pool, tenant, computationId));
  const runId = await addRun(pool, tenant, computationId);
  await world.tasks.begin(runId);
  for (const step of ['pin', 'compute', 'diff', 'guard', 'commit'] as const) {
    await world.tasks.step(runId, 1, step);
    if (step === last) break;
  }
  await world.tasks.fail(runId, 1, 'definition_invalid');
  return { world: tenant, computationId, runId };
}

async function versionOf(taskId: string): Promise<number | undefined> {
  return ((await outputsOf(taskId))['compute']?.output as { version: number } | undefined)?.version;
}

async function outputsOf(taskId: string): Promise<Record<string, { output: unknown; completed_at: Date }>> {
  const { rows } = await world.stores.pool.query<{ name: string; output: unknown; completed_at: Date }>(
    'select name, output, completed_at from steps where task_id = $1 and completed_at is not null order by position',
    [taskId],
  );
  return Object.fromEntries(rows.map(({ name, ...row }) => [name, row]));
}

describe('a retry of a sync', () => {
  test('goes on at the cursor, under the same message ids', async () => {
    const synced = await addFailed();
    const taskId = await retry(synced, synced.syncId);
    expect(await outputsOf(taskId)).toEqual(await outputsOf(synced.syncId));
    expect(await world.trail(synced, 'Audience Destination Sync Retried')).toMatchObject([
      { actor_id: ANN.id, task_id: taskId, details: { retriedTask: synced.syncId, fromStep: 'deliver' } },
    ]);
    await world.tasks.execute(taskId);
    const row = await readTaskRows(world.stores.pool, taskId);
    expect(row).toMatchObject({ status: 'succeeded', attempt: 1, result: { changes: 12, delivered: 12 } });
    expect(row.steps.filter(({ executions }) => executions > 0).map(({ name }) => name)).toEqual([
      'deliver',
      'reconcile',
      'finish',
    ]);
    // One outcome for ever: the one that failed stays so.
    expect(await readTaskRows(world.stores.pool, synced.syncId)).toMatchObject({ status: 'failed', result: null });
    // What the broken receiver was sent goes out again, as the same messages; what it took does not.
    const sent = world.receiver.requests.map(({ messages }) => messages.map(({ messageId }) => messageId));
    expect(sent.map((ids) => ids.length)).toEqual([5, 5, 5, 2]);
    expect(sent[2]).toEqual(sent[1]);
    expect(world.delivered()).toEqual(numbers(12));
    expect(await world.connection(synced)).toEqual({ synced: true, resync: false });
  });

  test('counts the rejected rows of the one before in its own reconcile', async () => {
    const synced = await world.addSynced(12);
    await world.reach(synced.syncId);
    world.receiver.behave(({ messages }) =>
      messages.some(({ userId }) => userId === 'user-9')
        ? { status: 503 }
        : refuseUsers(['user-3'])({ messages } as never),
    );
    await expect(world.tasks.step(synced.syncId, 1, 'deliver')).rejects.toMatchObject({
      code: 'destination_unavailable',
    });
    await cancel(synced, synced.syncId);
    forget(world.receiver);
    const taskId = await retry(synced, synced.syncId, 'deliver');
    await world.tasks.execute(taskId);
    expect((await readTaskRows(world.stores.pool, taskId)).result).toMatchObject({ delivered: 11, rejected: 1 });
    expect(world.delivered()).toEqual([6, 7, 8, 9, 10, 11, 12]);
    const kept = await world.stores.pool.query('select task_id, profile from rejected_rows where task_id = any($1)', [
      [synced.syncId, taskId],
    ]);
    expect(kept.rows).toHaveLength(2);
    // And they are redriven from the task that ended well.
    const redrive = await world.control((tx) => redriveRejected(tx, addressOf(synced, taskId), ANN));
    await world.tasks.execute(redrive.taskId);
    expect(await world.acknowledged(synced.connectionId)).toEqual(numbers(12));
  });

  test('from extract has a difference of its own', async () => {
    const synced = await addFailed();
    forget(world.receiver);
    const taskId = await retry(synced, synced.syncId, 'extract');
    expect(Object.keys(await outputsOf(taskId))).toEqual(['prepare']);
    await world.tasks.execute(taskId);
    expect((await readTaskRows(world.stores.pool, taskId)).result).toMatchObject({ changes: 7, delivered: 7 });
    expect(world.delivered()).toEqual([6, 7, 8, 9, 10, 11, 12]);
  });

  test('of a redrive is one too, from whichever step', async () => {
    const synced = await world.addSynced(4);
    world.receiver.behave(refuseUsers(['user-2']));
    await world.tasks.execute(synced.syncId);
    forget(world.receiver);
    const redrive = await world.control((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN));
    await cancel(synced, redrive.taskId);
    const taskId = await retry(synced, redrive.taskId);
    await world.tasks.execute(taskId);
    expect(world.delivered()).toEqual([2]);
    expect((await readTaskRows(world.stores.pool, taskId)).result).toMatchObject({ changes: 1, delivered: 1 });
  });

  test('of a redrive whose rows another one has taken is refused where it would look for them', async () => {
    const synced = await world.addSynced(4);
    world.receiver.behave(refuseUsers(['user-2']));
    await world.tasks.execute(synced.syncId);
    const redrive = async () => await world.control((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN));
    const first = await redrive();
    await cancel(synced, first.taskId);
    const second = await redrive();
    await cancel(synced, second.taskId);
    expect(await refusal(synced, first.taskId)).toMatchObject({
      code: 'retry_superseded',
      data: { because: 'redriven' },
    });
    forget(world.receiver);
    await world.tasks.execute(await retry(synced, second.taskId));
    expect(world.delivered()).toEqual([2]);
  });

  test('of a resync that was cancelled sends everything, from whichever step', async () => {
    for (const fromStep of ['prepare', 'deliver']) {
      forget(world.receiver);
      const synced = await world.addSynced(3);
      await world.tasks.execute(synced.syncId);
      const [resync] = await world.control((tx) => requestResync(tx, synced.address, { actor: ANN }));
      await world.reach(resync?.taskId ?? '');
      await cancel(synced, resync?.taskId ?? '');
      await world.tasks.execute(await retry(synced, resync?.taskId ?? '', fromStep));
      expect(world.delivered()).toEqual([1, 2, 3, 1, 2, 3]);
      expect(await world.connection(synced)).toEqual({ synced: true, resync: false });
    }
  });

  test('is refused once a later sync has begun to deliver, whatever became of that one', async () => {
    const synced = await addFailed();
    forget(world.receiver);
    const { made } = await world.runAgain(synced);
    expect(await refusal(synced, synced.syncId)).toMatchObject({ code: 'sync_open', data: { taskId: made[0] } });
    await world.reach(made[0] ?? '');
    await world.tasks.step(made[0] ?? '', 1, 'deliver');
    await cancel(synced, made[0] ?? '');
    const refused = await refusal(synced, synced.syncId);
    expect(refused).toMatchObject({
      kind: 'conflict',
      code: 'retry_superseded',
      data: { because: 'later_sync', laterTaskId: made[0] },
    });
    expect(refused['message']).toMatch(/Run everybody_\d+ now instead/);
  });

  test('that was itself cancelled before it delivered does not stand in the way', async () => {
    const synced = await addFailed();
    forget(world.receiver);
    await cancel(synced, await retry(synced, synced.syncId));
    await world.tasks.execute(await retry(synced, synced.syncId));
    expect(world.delivered()).toEqual([6, 7, 8, 9, 10, 11, 12]);
  });

  test('asked for twice at once is made once', async () => {
    const synced = await addFailed();
    const asked = await Promise.allSettled([1, 2, 3].map(async () => await retry(synced, synced.syncId)));
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
});

describe('a retry of a run', () => {
  test('takes over what was computed, and commits that', async () => {
    const failed = await addFailedRun('diff');
    const taskId = await retry(failed, failed.runId);
    expect(Object.keys(await outputsOf(taskId))).toEqual(['pin', 'compute', 'diff']);
    await world.tasks.execute(taskId);
    const { rows } = await world.stores.pool.query<{ live_version: number }>(
      'select live_version from computations where id = $1',
      [failed.computationId],
    );
    expect(rows).toEqual([{ live_version: await versionOf(failed.runId) }]);
    expect(await refusal(failed, failed.runId)).toMatchObject({
      code: 'retry_superseded',
      data: { because: 'later_run', laterTaskId: taskId },
    });
  });

  test('from an earlier step computes again', async () => {
    const failed = await addFailedRun('guard');
    const taskId = await retry(failed, failed.runId, 'compute');
    await world.tasks.execute(taskId);
    expect(await versionOf(taskId)).toBeGreaterThan((await versionOf(failed.runId)) ?? Infinity);
    expect((await outputsOf(taskId))['pin']).toEqual((await outputsOf(failed.runId))['pin']);
  });

  test('of which only the fan_out is left commits nothing again', async () => {
    const failed = await addFailedRun('commit');
    const taskId = await retry(failed, failed.runId);
    expect(await world.tasks.execute(taskId)).toEqual([]);
    expect(await readTaskRows(world.stores.pool, taskId)).toMatchObject({
      status: 'succeeded',
      result: { members: 10 },
    });
  });

  test.each([
    ['pin', 'definition', 'set definition_version = definition_version + 1'],
    ['diff', 'definition', 'set definition_version = definition_version + 1'],
    ['diff', 'live_version', `set live_version = live_version + 1000`],
    ['commit', 'live_version', `set live_version = live_version + 1000`],
  ] as const)('that came to %s is refused where the %s is another by now', async (last, because, change) => {
    const failed = await addFailedRun(last);
    await world.stores.pool.query(`update computations ${change} where id = $1`, [failed.computationId]);
    expect(await refusal(failed, failed.runId)).toMatchObject({
      kind: 'conflict',
      code: 'retry_superseded',
      data: { because },
    });
  });

  test('is refused for a step that there is not, and for one that it did not reach', async () => {
    const failed = await addFailedRun('compute');
    expect(await refusal(failed, failed.runId, 'deliver')).toMatchObject({
      kind: 'invalid',
      code: 'step_unknown',
      data: { steps: ['pin', 'compute', 'diff', 'guard', 'commit', 'fan_out'] },
    });
    expect(await refusal(failed, failed.runId, 'commit')).toMatchObject({
      kind: 'conflict',
      code: 'step_not_reached',
      data: { steps: ['pin', 'compute', 'diff'] },
    });
    expect(await world.tasks.kindOf(await retry(failed, failed.runId, 'diff'))).toBe('run');
  });

  test('is refused for a task that is open or succeeded, and while another is open', async () => {
    const failed = await addFailedRun('compute');
    const { pool } = world.stores;
    const open = await addRun(pool, failed.world, failed.computationId);
    expect(await refusal(failed, open)).toMatchObject({ code: 'task_open', data: { status: 'pending' } });
    expect(await refusal(failed, failed.runId)).toMatchObject({ code: 'run_open', data: { taskId: open } });
    await world.tasks.execute(open);
    expect(await refusal(failed, open)).toMatchObject({ code: 'task_ended', data: { status: 'succeeded' } });
    await pool.query('update computations set paused_at = now() where id = $1', [failed.computationId]);
    expect(await refusal(failed, failed.runId)).toMatchObject({ code: 'computation_paused' });
  });

  test('finds its version for seven days, and is refused after them', async () => {
    const failed = await addFailedRun('compute');
    const { pool, clickhouse } = world.stores;
    const version = await versionOf(failed.runId);
    const exists = async (): Promise<boolean> => {
      const result = await clickhouse.query({
        query: 'SELECT count() AS n FROM audience_versions WHERE version = {version:UInt64}',
        query_params: { version },
        format: 'JSONEachRow',
      });
      return (await result.json<{ n: string }>())[0]?.n.toString() === '1';
    };
    const age = async (days: number): Promise<void> => {
      await pool.query(
        `update steps set completed_at = now() - $2 * interval '1 day' where task_id = $1 and completed_at is not null`,
        [failed.runId, days],
      );
      await pool.query(`update tasks set ended_at = now() - $2 * interval '1 day' where id = $1`, [failed.runId, days]);
    };
    await clickhouse.command({
      query: `ALTER TABLE audience_versions UPDATE created_at = now() - INTERVAL 10 DAY WHERE version = {version:UInt64}`,
      query_params: { version },
      clickhouse_settings: { mutations_sync: '2' },
    });
    await age(6.9);
    await dropUnusedVersions({ pool, clickhouse });
    expect(await exists()).toBe(true);
    await cancel(failed, await retry(failed, failed.runId));
    await age(7.1);
    expect(await refusal(failed, failed.runId)).toMatchObject({
      code: 'retry_superseded',
      data: { because: 'too_old', step: 'pin' },
    });
    // From its first step nothing old is gone on with.
    await cancel(failed, await retry(failed, failed.runId, 'pin'));
    // The retry that was cancelled can be retried itself, with what it took over: so that is kept too.
    await dropUnusedVersions({ pool, clickhouse });
    expect(await exists()).toBe(true);
    await pool.query(
      `update tasks set ended_at = now() - interval '9 days' where computation_id = $1 and status <> 'succeeded'`,
      [failed.computationId],
    );
    await dropUnusedVersions({ pool, clickhouse });
    expect(await exists()).toBe(false);
  });
});
