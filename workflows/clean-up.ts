import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';

/** Once an hour: drops what was computed and nobody needs any more. `taskQueue` is where work on ClickHouse is done. */
export async function cleanUp(taskQueue: string): Promise<{ droppedVersions: number }> {
  const { dropUnusedVersions } = proxyActivities<Pick<Activities, 'dropUnusedVersions'>>({
    taskQueue,
    startToCloseTimeout: '15 minutes',
    // The next hour is the retry.
    retry: { maximumAttempts: 1 },
  });
  return { droppedVersions: await dropUnusedVersions() };
}
