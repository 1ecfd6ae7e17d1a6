import { afterAll, beforeAll, expect, test } from 'vitest';
import { taskQueues } from '../../src/tasks/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startTestWorker, type TestWorker } from '../helpers/worker.ts';

let stores: TestStores;
let worker: TestWorker;

beforeAll(async () => {
  stores = await createTestStores();
  worker = await startTestWorker({ ...stores, taskQueue: 'clean-up' });
});
afterAll(async () => {
  await worker?.close();
  await stores?.close();
});

test('the clean-up drops what is old', async () => {
  await stores.clickhouse.command({
    query: `INSERT INTO trait_versions (computation_id, version, bucket, profiles, values, created_at)
            VALUES ('gone', 1, 0, [1], ['1'], now() - INTERVAL 2 DAY)`,
  });
  const { taskQueue, client } = worker;
  const args = [taskQueues(taskQueue).compute];
  const execute = async (workflowId: string) =>
    await client.workflow.execute('cleanUp', { workflowId, taskQueue, args });
  expect(await execute('clean-up-1')).toEqual({ droppedVersions: 1 });
  expect(await execute('clean-up-2')).toEqual({ droppedVersions: 0 });
});
