import {
  beginTask,
  cancelAbandonedTask,
  isFailureCode,
  keepBooks,
  mayGoOn,
  recordFailure,
  type TaskOutcome,
} from '../src/tasks/index.ts';
import type { ActivityDeps } from './deps.ts';

/** Local: how a task's attempts begin and end. */
export function createAttemptActivities(deps: ActivityDeps) {
  const { tasks } = deps;
  return {
    async beginAttempt(taskId: string) {
      const start = await keepBooks(tasks.pool, taskId, 'beginAttempt', async () => await beginTask(tasks, taskId));
      if (start.next === 'end') deps.admitter.requestAdmission();
      return start;
    },

    async mayGoOn(taskId: string): Promise<boolean> {
      return await keepBooks(tasks.pool, taskId, 'mayGoOn', async () => await mayGoOn(tasks.pool, taskId));
    },

    async cancelAbandonedTask(taskId: string): Promise<TaskOutcome> {
      const cancel = async (): Promise<TaskOutcome> => await cancelAbandonedTask(tasks.pool, taskId);
      const outcome = await keepBooks(tasks.pool, taskId, 'cancelAbandonedTask', cancel);
      deps.admitter.requestAdmission();
      return outcome;
    },

    async recordFailure(input: {
      taskId: string;
      attempt: number;
      losses?: number;
      step: string;
      code: string;
      detail: string;
      retryAfterMs?: number;
    }) {
      const code = isFailureCode(input.code) ? input.code : 'unknown';
      const policy = { backoff: tasks.backoff, random: () => Math.random() };
      const decision = await keepBooks(
        tasks.pool,
        input.taskId,
        'recordFailure',
        async () => await recordFailure(tasks.pool, { ...input, code }, policy),
      );
      const lost = decision.next === 'retry' && decision.lost === true;
      // What ends because a person cancelled its task is no failure, whatever the step says of it.
      const cancelled = decision.next === 'end' && decision.outcome === 'cancelled';
      const level = cancelled ? 'debug' : 'warn';
      tasks.logger[level]({ ...input, decision }, lost ? 'a step was lost with its worker' : 'attempt failed');
      if (decision.next === 'end') deps.admitter.requestAdmission();
      return decision;
    },
  };
}
