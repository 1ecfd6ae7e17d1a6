export { cleanUp } from './clean-up.ts';
export { deliverAlert } from './deliver-alert.ts';
export { executeTask } from './execute-task.ts';
export { reconcileTasks } from './reconcile-tasks.ts';
export { scheduleTasks } from './schedule-tasks.ts';
