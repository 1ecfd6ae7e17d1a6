import {
  countAttempt,
  countLostStep,
  countTaskOutcome,
  inStepSpan,
  observeStep,
  traceAttempt,
} from '../../metrics/index.ts';
import { onCommit, type Queryable } from '../../store/index.ts';
import { classifyError } from './classify-error.ts';
import type { StepName } from '../model/kinds.ts';
import type { TaskOutcome, TaskRow } from '../model/task.ts';
import { StepWaits } from './checkpoints.ts';

/**
 * Executes a step and tells those who watch how long it took and how it ended. It was interrupted where it waits, or where it was
 * stopped from outside: with its worker, by a person, or because its time was over. Of a step in a transaction, `tx` is that
 * transaction: what is rolled back has not completed. `failsAgain`: where it fails, it is executed once more, and told of then.
 */
export async function observeExecution<T>(
  task: TaskRow,
  step: StepName,
  execute: () => Promise<T>,
  by: { tx: Queryable; failsAgain?: boolean } | { signal: AbortSignal },
): Promise<T> {
  const since = performance.now();
  const observe = (outcome: 'completed' | 'failed' | 'interrupted'): (() => void) => {
    const seconds = (performance.now() - since) / 1_000;
    return () => observeStep({ kind: task.kind, step, outcome, seconds });
  };
  const isInterruption = (error: unknown): boolean =>
    error instanceof StepWaits || ('signal' in by && by.signal.aborted);
  try {
    const result = await inStepSpan(
      { taskId: task.id, attempt: task.attempt, kind: task.kind, step },
      execute,
      (error) => (isInterruption(error) ? null : classifyError(error).code),
    );
    // A guard that holds its task is executed again when someone has answered.
    const told = observe((result as unknown) === 'held' ? 'interrupted' : 'completed');
    if ('tx' in by) onCommit(by.tx, told);
    else told();
    return result;
  } catch (error) {
    if (!('tx' in by) || by.failsAgain !== true) observe(isInterruption(error) ? 'interrupted' : 'failed')();
    throw error;
  }
}

/** Tells those who watch that the task's attempt has ended, once the transaction that ended it is committed. */
export function observeAttemptEnd(
  tx: Queryable,
  task: TaskRow,
  end: {
    startedAt: Date;
    endedAt: Date;
    outcome: TaskOutcome;
    failure?: { code: string; class: 'transient' | 'hard' };
  },
): void {
  onCommit(tx, () => {
    countAttempt({ kind: task.kind, ...end });
    traceAttempt({
      taskId: task.id,
      attempt: task.attempt,
      kind: task.kind,
      workspaceId: task.workspace_id,
      ...end,
      ...(end.failure === undefined ? {} : { code: end.failure.code }),
    });
  });
}

/** Tells those who watch that a step was lost with its worker, and the attempt goes on, once that is committed. */
export function observeLoss(tx: Queryable, task: TaskRow, step: string): void {
  onCommit(tx, () => countLostStep({ kind: task.kind, step }));
}

/** Tells those who watch that the task has its outcome, once the transaction that gave it is committed. */
export function observeTaskEnd(tx: Queryable, task: TaskRow, outcome: TaskOutcome): void {
  onCommit(tx, () =>
    countTaskOutcome({ kind: task.kind, outcome, recovered: outcome === 'succeeded' && task.attempt > 1 }),
  );
}
