import { Context } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory, CancelledFailure } from '@temporalio/common';
import type { Slot } from '../src/fair-slots.ts';
import {
  classifyError,
  executeActivityStep,
  executeTransactionSteps,
  interruptStep,
  STEP_WAITS,
  StepWaits,
  takeStepSlot,
  WORKER_STOPPED,
  type StepName,
  type WantedStep,
} from '../src/tasks/index.ts';
import type { ActivityDeps } from './deps.ts';

// What heartbeats answer is how a long step hears that it should stop.
const MAX_HEARTBEAT_MS = 1_000;
// There may be hundreds that wait for a slot.
const WAITING_HEARTBEAT_MS = 5_000;

/** The steps of tasks. */
export function createStepActivities(deps: ActivityDeps) {
  const { tasks } = deps;
  return {
    /**
     * Local: the steps that are transactions, one after the other. Tasks that they made are started once they are committed.
     * Held: a person has to answer before the task goes on.
     */
    async executeTransactionSteps(input: {
      taskId: string;
      attempt: number;
      steps: StepName[];
    }): Promise<'completed' | 'held'> {
      let current = input.steps[0] ?? 'pin';
      const { made, held } = await failAs(
        () => current,
        async () =>
          await executeTransactionSteps(tasks, input.taskId, input.attempt, input.steps, (step) => {
            current = step;
          }),
      );
      if (made.length > 0) await admit(made);
      // The task has ended, or waits for a person: another may have its place.
      deps.admitter.requestAdmission();
      return held ? 'held' : 'completed';
    },

    /**
     * Remote: one long step, once its workspace may have a slot, with heartbeats that carry progress for people. When the worker is asked
     * to stop, or someone controls the task, the step ends at its cursor, and says so.
     */
    async executeStep(input: WantedStep & { workspaceId?: string | undefined }): Promise<void> {
      const context = Context.current();
      let progress: { done: number; total: number } | undefined;
      // The first one after a while: most steps are over by then, and each is a call that Temporal writes down.
      const heartbeatMs = Math.max(200, (context.info.heartbeatTimeoutMs ?? 30_000) / 4);
      const beatEvery = (ms: number): NodeJS.Timeout =>
        setInterval(() => context.heartbeat(progress), Math.min(heartbeatMs, ms));
      let beat = beatEvery(WAITING_HEARTBEAT_MS);
      const signal = context.cancellationSignal;
      let slot: Slot | undefined;
      try {
        await failAs(
          () => input.step,
          async () => {
            const taken = await takeStepSlot(deps.slots, input, signal);
            slot = taken;
            clearInterval(beat);
            beat = beatEvery(MAX_HEARTBEAT_MS);
            await executeActivityStep(tasks, {
              ...input,
              signal,
              isWanted: () => taken.isWanted(),
              progress: (done, total) => {
                progress = { done, total };
              },
            });
          },
        );
      } catch (error) {
        if (!signal.aborted && !isWaiting(error)) throw error;
        await noteInterruption(input);
        if (!signal.aborted) throw error;
        if (!isWorkerStopping(signal)) throw signal.reason;
        throw ApplicationFailure.create({
          type: WORKER_STOPPED,
          message: 'the worker was asked to stop',
          nonRetryable: true,
          category: ApplicationFailureCategory.BENIGN,
        });
      } finally {
        clearInterval(beat);
        slot?.leave();
      }
    },
  };

  /** The tasks are written: if they can't be started now, the scheduler's next tick does it. */
  async function admit(taskIds: readonly string[]): Promise<void> {
    try {
      await deps.admitter.admit(taskIds);
    } catch (error) {
      tasks.logger.warn({ taskIds, err: error }, 'tasks not started yet; the scheduler will');
    }
  }

  /** For the history alone, so it must not keep the worker from stopping. */
  async function noteInterruption(input: WantedStep): Promise<void> {
    try {
      await interruptStep(tasks.pool, input);
    } catch (error) {
      tasks.logger.warn({ ...input, err: error }, 'the interruption of a step was not noted');
    }
  }
}

/** The SDK cancels what is under way when a worker stops, and has no other word for why than this message. */
function isWorkerStopping(signal: AbortSignal): boolean {
  return signal.aborted && signal.reason instanceof CancelledFailure && signal.reason.message === 'WORKER_SHUTDOWN';
}

function isWaiting(error: unknown): boolean {
  return error instanceof ApplicationFailure && error.type === STEP_WAITS;
}

async function failAs<T>(step: () => StepName, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StepWaits) {
      throw ApplicationFailure.create({
        type: STEP_WAITS,
        message: error.message,
        details: [error.delayMs],
        nonRetryable: true,
        category: ApplicationFailureCategory.BENIGN,
      });
    }
    const failure = classifyError(error);
    throw ApplicationFailure.create({
      type: failure.code,
      message: failure.detail,
      details: [step(), failure.retryAfterMs],
      nonRetryable: true,
      // Failures of steps are expected and have their own record: Temporal's error metrics stay clean.
      category: ApplicationFailureCategory.BENIGN,
      // No cause: what a client threw is of any length, holds addresses and headers, and all of it would be in Temporal's history.
    });
  }
}
