import type { ApiDeps } from './deps.ts';

/**
 * Starts a task that was committed. If Temporal can't be reached now, the scheduler's next tick starts it: the request that
 * wrote the task has succeeded all the same.
 */
export async function startTaskNow(deps: Pick<ApiDeps, 'startTask' | 'logger'>, taskId: string): Promise<void> {
  try {
    await deps.startTask(taskId);
  } catch (error) {
    deps.logger.warn({ err: error, taskId }, 'task not started yet');
  }
}
