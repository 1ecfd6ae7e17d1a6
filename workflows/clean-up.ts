import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';

const { dropUnusedVersions } = proxyActivities<Pick<Activities, 'dropUnusedVersions'>>({
  startToCloseTimeout: '15 minutes',
  // The next hour is the retry.
  retry: { maximumAttempts: 1 },
});

/** Once an hour: drops what was computed and nobody needs any more. */
export async function cleanUp(): Promise<{ droppedVersions: number }> {
  return { droppedVersions: await dropUnusedVersions() };
}
