import { createTaskWaker, dropUnusedVersions, foldForgotten, reconcileTasks, taskQueues } from '../src/tasks/index.ts';
import type { ActivityDeps } from './deps.ts';

/** What puts right and clears away. */
export function createRepairActivities(deps: ActivityDeps) {
  const { tasks } = deps;
  return {
    async reconcileTasks() {
      const { pool, logger } = tasks;
      const { temporal, queues = taskQueues(), startTask } = deps;
      return await reconcileTasks({
        pool,
        logger,
        temporal,
        queues,
        startTask,
        wakeTask: createTaskWaker(temporal),
      });
    },

    async dropUnusedVersions() {
      await foldForgotten(tasks.pool, { clickhouse: tasks.clickhouse });
      return await dropUnusedVersions(tasks);
    },
  };
}
