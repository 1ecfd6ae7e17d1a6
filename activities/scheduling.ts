import { pendingDeliveries } from '../src/alerts/index.ts';
import { setMark } from '../src/health/index.ts';
import { scheduleDueTasks, startDelivery } from '../src/tasks/index.ts';
import type { ActivityDeps } from './deps.ts';

export function createSchedulingActivities(deps: ActivityDeps) {
  const { tasks } = deps;
  return {
    /** One tick of the scheduler, and the start of what alerts there are to deliver. */
    async scheduleDueTasks() {
      const result = await scheduleDueTasks(tasks.pool, deps.admitter, tasks.logger);
      await setMark(tasks.pool, 'scheduler');
      for (const deliveryId of await pendingDeliveries(tasks.pool, 500)) {
        await startDelivery(deps.temporal, deliveryId, deps.queues);
      }
      return result;
    },
  };
}
