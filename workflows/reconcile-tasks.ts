import { proxyLocalActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';

const { reconcileTasks: reconcile } = proxyLocalActivities<Pick<Activities, 'reconcileTasks'>>({
  startToCloseTimeout: '2 minutes',
  // The next tick of the schedule is the retry.
  retry: { maximumAttempts: 1 },
});

/** One look for tasks without a workflow, workflows without a task, and tasks that do not go on; it mends a few of them. */
export async function reconcileTasks(): Promise<{ replaced: number; woken: number; ended: number }> {
  return await reconcile();
}
