import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkTasks } from '../../src/bin/checks/checks.ts';
import { TaskFailure } from '../../src/errors.ts';
import { createPool } from '../../src/store/index.ts';
import { keepBooks, readUnrecorded, recordFailure } from '../../src/tasks/index.ts';
import { admitTasks } from '../../src/tasks/scheduling/admit-tasks.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { NASTY_TEXTS } from '../helpers/nasty.ts';
import { createWorld } from '../helpers/world.ts';
import { addSync, recordsOf, tasksOn } from './tasks-world.ts';

const POLICY = { backoff: { baseMs: 1_000, maxMs: 8_000 }, random: () => 0.5 };

let stores: TestPool;

beforeAll(async () => {
  stores = await createTestPool();
});
afterAll(async () => {
  await stores?.close();
});

async function addRunning(): Promise<{ taskId: string; destinationId: string }> {
  const world = await createWorld(stores.pool);
  const sync = await addSync(stores.pool, world);
  await tasksOn(stores.pool).begin(sync.taskId);
  return sync;
}

async function detailOf(taskId: string): Promise<string> {
  const { rows } = await stores.pool.query<{ detail: string }>('select detail from attempts where task_id = $1', [
    taskId,
  ]);
  return rows[0]?.detail ?? '';
}

async function refuse(table: string, name: string, check: string): Promise<() => Promise<void>> {
  await stores.pool.query(`alter table ${table} add constraint ${name} check (${check}) not valid`);
  return async () => {
    await stores.pool.query(`alter table ${table} drop constraint ${name}`);
  };
}

describe('a failure is recorded, whatever came with it', () => {
  test.each(NASTY_TEXTS)('with $name', async ({ text }) => {
    const { taskId } = await addRunning();
    const { detail } = new TaskFailure('destination_settings_invalid', text);
    const failure = { taskId, attempt: 1, step: 'prepare', code: 'destination_settings_invalid', detail } as const;
    expect(await recordFailure(stores.pool, failure, POLICY)).toEqual({ next: 'end', outcome: 'failed' });
    const records = await recordsOf(stores.pool, taskId);
    expect(records.attempts).toMatchObject([{ outcome: 'failed', code: 'destination_settings_invalid' }]);
    expect(records.events.map(({ type }) => type)).toEqual([
      'Audience Destination Sync Failed',
      'Audience Destination Sync Hard Failure',
    ]);
    expect(records.alerts).toHaveLength(1);
    expect((await detailOf(taskId)).length).toBeLessThanOrEqual(4_000);
  });

  test('with its code alone, where the rest of it is refused for good', async () => {
    const allow = await refuse('attempts', 'no_poison', `detail not like 'poison%'`);
    const { taskId } = await addRunning();
    const failure = {
      taskId,
      attempt: 1,
      step: 'deliver',
      code: 'destination_unavailable',
      detail: 'poison',
      retryAfterMs: Number.NaN,
    } as const;
    expect(await recordFailure(stores.pool, failure, POLICY)).toMatchObject({ next: 'retry' });
    await allow();
    const records = await recordsOf(stores.pool, taskId);
    expect(records).toMatchObject({ status: 'backing_off', attempts: [{ code: 'destination_unavailable' }] });
    expect(records.events).toHaveLength(1);
    expect(records.alerts).toHaveLength(1);
    expect(await detailOf(taskId)).toContain('could not be recorded');
  });

  test('not with its code alone where PostgreSQL is just busy: the whole of it is recorded the next time', async () => {
    const { taskId } = await addRunning();
    const failure = {
      taskId,
      attempt: 1,
      step: 'deliver',
      code: 'destination_unavailable',
      detail: 'all of it',
    } as const;
    const holder = await stores.pool.connect();
    await holder.query('begin');
    await holder.query('select from tasks where id = $1 for update', [taskId]);
    const impatient = createPool({
      connectionString: `${stores.databaseUrl}?options=-c%20lock_timeout%3D100ms`,
      applicationName: 'trailmark-test',
      onError: (error) => console.error(error),
    });
    await expect(recordFailure(impatient, failure, POLICY)).rejects.toThrow('lock timeout');
    await impatient.end();
    await holder.query('rollback');
    holder.release();
    expect(await recordFailure(stores.pool, failure, POLICY)).toMatchObject({ next: 'retry' });
    expect(await detailOf(taskId)).toBe('all of it');
  });
});

describe('a task whose bookkeeping PostgreSQL refuses', () => {
  test('is told of, keeps no place from others, and goes on once it is taken', async () => {
    const { pool } = stores;
    const { taskId, destinationId } = await addRunning();
    await pool.query('update destinations set max_syncs = 1 where id = $1', [destinationId]);
    const allow = await refuse('attempts', 'no_end', `ended_at is null or task_id <> '${taskId}'`);
    const record = async () =>
      await keepBooks(pool, taskId, 'recordFailure', async () =>
        recordFailure(pool, { taskId, attempt: 1, step: 'deliver', code: 'unknown', detail: '' }, POLICY),
      );
    expect(await readUnrecorded(pool)).toEqual({ count: 0, oldestSeconds: 0, example: null });
    expect(await checkTasks(stores.databaseUrl)).toBeUndefined();

    // The place is free for another from the first refusal on.
    const { taskId: waits } = await addRunning();
    await pool.query(
      `update tasks t set status = 'pending', admitted_at = null, destination_id = $2,
              computation_id = t.computation_id where id = $1`,
      [waits, destinationId],
    );
    expect(await admitTasks(pool, 1_000)).toEqual([]);
    await expect(record()).rejects.toThrow('no_end');
    await expect(record()).rejects.toThrow('no_end');
    expect(await readUnrecorded(pool)).toMatchObject({
      count: 1,
      example: { taskId, because: expect.stringMatching(/^recordFailure: .*no_end/) },
    });
    expect(await checkTasks(stores.databaseUrl)).toContain(`1 task does not go on`);
    expect(await admitTasks(pool, 1_000)).toEqual([waits]);

    await allow();
    expect(await record()).toMatchObject({ next: 'retry' });
    expect(await readUnrecorded(pool)).toMatchObject({ count: 0 });
  });
});
