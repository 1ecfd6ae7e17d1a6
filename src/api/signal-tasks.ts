import type { ApiDeps } from './deps.ts';

/**
 * Tells the workflows of tasks that someone has changed something for to look, once that is committed. If Temporal can't be reached now, the
 * reconciler finds them: the request has succeeded all the same.
 */
export async function signalTasks(
  deps: Pick<ApiDeps, 'wakeTask' | 'logger'>,
  taskIds: readonly string[],
): Promise<void> {
  await Promise.all(
    taskIds.map(async (taskId) => {
      try {
        await deps.wakeTask(taskId);
      } catch (error) {
        deps.logger.warn({ err: error, taskId }, 'task not woken yet');
      }
    }),
  );
}
