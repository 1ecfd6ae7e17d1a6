import { Context } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory, CancelledFailure } from '@temporalio/common';
import type { Client } from '@temporalio/client';
import { attemptDelivery, pendingDeliveries, type ChannelDeps } from '../src/alerts/index.ts';
import {
  beginAttempt,
  classifyError,
  dropUnusedVersions,
  executeActivityStep,
  executeTransactionSteps,
  isFailureCode,
  recordFailure,
  scheduleDueTasks,
  startOnce,
  WORKER_STOPPED,
  type StepName,
  type TaskDeps,
  type TaskStarter,
} from '../src/tasks/index.ts';

export interface ActivityDeps {
  tasks: TaskDeps;
  channels: ChannelDeps;
  temporal: Client;
  startTask: TaskStarter;
}

export type Activities = ReturnType<typeof createActivities>;

/** What workflows call: thin, each a call into src. Errors become ApplicationFailures whose type is the failure's code. */
export function createActivities(deps: ActivityDeps) {
  const { tasks } = deps;
  return {
    async beginAttempt(taskId: string) {
      return await beginAttempt(tasks.pool, taskId);
    },

    /** Local: the steps that are transactions, one after the other. Tasks that they made are started once they are committed. */
    async executeTransactionSteps(input: { taskId: string; attempt: number; steps: StepName[] }): Promise<void> {
      let current = input.steps[0] ?? 'pin';
      const made = await failAs(
        () => current,
        async () =>
          await executeTransactionSteps(tasks, input.taskId, input.attempt, input.steps, (step) => {
            current = step;
          }),
      );
      for (const taskId of made) await startMade(taskId);
    },

    /**
     * Remote: one long step, with heartbeats that carry progress for people. When the worker is asked to stop, the step ends
     * at its cursor, and says so.
     */
    async executeStep(input: { taskId: string; attempt: number; step: StepName }): Promise<void> {
      const context = Context.current();
      let progress: { done: number; total: number } | undefined;
      context.heartbeat(progress);
      const heartbeatMs = Math.max(200, (context.info.heartbeatTimeoutMs ?? 30_000) / 4);
      const beat = setInterval(() => context.heartbeat(progress), heartbeatMs);
      try {
        await failAs(
          () => input.step,
          async () => {
            await executeActivityStep(tasks, {
              ...input,
              signal: context.cancellationSignal,
              progress: (done, total) => {
                progress = { done, total };
              },
            });
          },
        );
      } catch (error) {
        if (!isWorkerStopping(context.cancellationSignal)) throw error;
        throw ApplicationFailure.create({
          type: WORKER_STOPPED,
          message: 'the worker was asked to stop',
          nonRetryable: true,
          category: ApplicationFailureCategory.BENIGN,
        });
      } finally {
        clearInterval(beat);
      }
    },

    async recordFailure(input: { taskId: string; attempt: number; step: string; code: string; detail: string }) {
      const code = isFailureCode(input.code) ? input.code : 'unknown';
      const decision = await recordFailure(
        tasks.pool,
        { ...input, code },
        { backoff: tasks.backoff, random: () => Math.random() },
      );
      tasks.logger.warn({ ...input, decision }, 'attempt failed');
      return decision;
    },

    /** One beat of the scheduler, and the start of what alerts there are to deliver. */
    async scheduleDueTasks() {
      const result = await scheduleDueTasks(tasks.pool, deps.startTask);
      for (const deliveryId of await pendingDeliveries(tasks.pool, 500)) {
        await startOnce(deps.temporal, 'deliverAlert', `alert-delivery/${deliveryId}`, [deliveryId]);
      }
      return result;
    },

    async dropUnusedVersions() {
      return await dropUnusedVersions(tasks);
    },

    async attemptAlertDelivery(deliveryId: string) {
      return await attemptDelivery(deps.channels, deliveryId);
    },
  };

  /** The SDK cancels what is under way when a worker stops, and has no other word for why than this message. */
  function isWorkerStopping(signal: AbortSignal): boolean {
    return signal.aborted && signal.reason instanceof CancelledFailure && signal.reason.message === 'WORKER_SHUTDOWN';
  }

  /** The task is written: if its workflow can't be started now, the scheduler's next beat does it. */
  async function startMade(taskId: string): Promise<void> {
    try {
      await deps.startTask(taskId);
    } catch (error) {
      tasks.logger.warn({ taskId, err: error }, 'task not started yet; the scheduler will');
    }
  }

  async function failAs<T>(step: () => StepName, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const failure = classifyError(error);
      throw ApplicationFailure.create({
        type: failure.code,
        message: failure.detail,
        details: [step()],
        nonRetryable: true,
        // Failures of steps are expected and have their own record: Temporal's error metrics stay clean.
        category: ApplicationFailureCategory.BENIGN,
        cause: error instanceof Error ? error : undefined,
      });
    }
  }
}
