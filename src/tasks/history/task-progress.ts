import type { Progress, StepExecutionView, StepView, TaskView } from './task-view.ts';

// Less than this is no rate yet: the first batch alone says nothing.
const RATE_AFTER_MS = 1_000;

/**
 * How far the step under way is, or null where none is that counts rows. The rate is over the execution that is open, so that
 * what an earlier worker did, and the time in which nobody did anything, are not in it; without such an execution (a wait, a
 * pause, a worker that died) it is not known. `nowMs` is by PostgreSQL's clock, which wrote the times.
 */
export function taskProgress(
  task: Pick<TaskView, 'status' | 'pausedAt' | 'waitingUntil'> & {
    steps: readonly StepView[];
    executions: readonly StepExecutionView[];
  },
  nowMs: number,
): Progress | null {
  if (task.status !== 'running' && task.status !== 'backing_off') return null;
  const step = task.steps.find(({ startedAt, completedAt }) => startedAt !== null && completedAt === null);
  if (step === undefined || step.progress === null) return null;
  const total = Math.max(0, step.progress.total);
  const done = Math.min(Math.max(0, step.progress.done), total);
  const open = task.executions.findLast((execution) => execution.step === step.name && execution.endedAt === null);
  const moving = task.status === 'running' && task.pausedAt === null && task.waitingUntil === null;
  const rowsPerSecond = moving && open !== undefined ? rateOf(open, nowMs) : null;
  return {
    step: step.name,
    done,
    total,
    rowsPerSecond: rowsPerSecond === null ? null : Math.round(rowsPerSecond * 10) / 10,
    secondsLeft: rowsPerSecond === null ? null : Math.ceil((total - done) / rowsPerSecond),
  };
}

function rateOf({ rowsIn, startedAt }: StepExecutionView, nowMs: number): number | null {
  const elapsedMs = nowMs - startedAt.getTime();
  if (rowsIn === null || rowsIn <= 0 || elapsedMs < RATE_AFTER_MS) return null;
  return (rowsIn * 1_000) / elapsedMs;
}
