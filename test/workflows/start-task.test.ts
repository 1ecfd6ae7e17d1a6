import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTaskStarter } from '../../src/tasks/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { createNamespace } from '../helpers/program.ts';
import { addAudience, addRun, createWorld } from '../helpers/world.ts';

let stores: TestStores;
let connection: Connection;

beforeAll(async () => {
  stores = await createTestStores();
  connection = await Connection.connect({ address: stores.temporalAddress });
});
afterAll(async () => {
  await connection?.close();
  await stores?.close();
});

test('a task has one workflow however often it is started, and a new one when that is gone', async () => {
  const namespace = `start-task-${Date.now()}`;
  await createNamespace(stores.temporalAddress, namespace);
  const temporal = new Client({ connection, namespace });
  const startTask = createTaskStarter({ pool: stores.pool, temporal, heartbeatTimeoutMs: 2_000 });
  const world = await createWorld(stores.pool);
  const run = await addRun(stores.pool, world, await addAudience(stores.pool, world, "event('Visited').count() >= 1"));
  const workflow = temporal.workflow.getHandle(`task/${run}`);

  await Promise.all([startTask(run), startTask(run)]);
  const first = await workflow.describe();
  expect(first.status.name).toBe('RUNNING');
  await startTask(run);
  expect((await workflow.describe()).runId).toBe(first.runId);

  await workflow.terminate('as an operator does');
  await stores.pool.query(`update tasks set dispatched_at = now() - interval '1 hour' where id = $1`, [run]);
  await startTask(run);
  const second = await workflow.describe();
  expect(second.status.name).toBe('RUNNING');
  expect(second.runId).not.toBe(first.runId);
  const { rows } = await stores.pool.query(
    `select dispatched_at > now() - interval '1 minute' as seen from tasks where id = $1`,
    [run],
  );
  expect(rows).toEqual([{ seen: true }]);
  await workflow.terminate();
  await expect(startTask('tsk_nobody')).rejects.toThrow('no task');
});
