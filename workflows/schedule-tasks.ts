import { proxyLocalActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';

const { scheduleDueTasks } = proxyLocalActivities<Pick<Activities, 'scheduleDueTasks'>>({
  startToCloseTimeout: '60 seconds',
  // The next tick of the schedule is the retry.
  retry: { maximumAttempts: 1 },
});

/**
 * One tick of the scheduler: asks the compute service what is due, writes the tasks and starts their workflows. Every
 * tick is a workflow of its own, so a tick that fails is seen in Temporal and the next one does what it left.
 */
export async function scheduleTasks(): Promise<{ created: number; started: number }> {
  return await scheduleDueTasks();
}
