import type { Queryable, Transaction } from '../store/index.ts';
import type { StepName } from './kinds.ts';
import { lockTask, type TaskRow } from './load-task.ts';

/** Thrown when an attempt finds that it is not the task's current one any more: its worker was given up, and another goes on. */
class StaleAttemptError extends Error {
  override readonly name = 'StaleAttemptError';
  constructor(taskId: string, attempt: number) {
    super(`attempt ${attempt} of ${taskId} was superseded`);
  }
}

/**
 * Locks the task for the attempt that says it owns it. Every write of a step goes through here first, so that a worker
 * which was given up (its heartbeat was late) can't move a checkpoint under the attempt that replaced it, nor end a task
 * whose attempt has been recorded as failed and waits for its next one.
 */
export async function lockForAttempt(tx: Queryable, taskId: string, attempt: number): Promise<TaskRow> {
  const task = await lockTask(tx, taskId);
  if (!isCurrent(task, attempt)) throw new StaleAttemptError(taskId, attempt);
  return task;
}

function isCurrent(task: TaskRow, attempt: number): boolean {
  return task.status === 'running' && task.attempt === attempt;
}

/** The names of the task's steps that have their checkpoint, in order. */
export async function completedSteps(db: Queryable, taskId: string): Promise<StepName[]> {
  const { rows } = await db.query<{ name: StepName }>(
    'select name from steps where task_id = $1 and completed_at is not null order by position',
    [taskId],
  );
  return rows.map((row) => row.name);
}

/**
 * Locks the task for an attempt that executes one of its steps, notes that it does, and returns the cursor. Null if the step has
 * its checkpoint already, because a step that completed is never executed again; also where its task has ended since, so that
 * a last step whose worker died before Temporal heard of it has succeeded. Otherwise throws StaleAttemptError.
 */
export async function enterStep(
  tx: Transaction,
  taskId: string,
  attempt: number,
  step: StepName,
): Promise<{ task: TaskRow; cursor: unknown } | null> {
  const task = await lockTask(tx, taskId);
  if (!isCurrent(task, attempt)) {
    if ((await completedSteps(tx, taskId)).includes(step)) return null;
    throw new StaleAttemptError(taskId, attempt);
  }
  const { rows } = await tx.query<{ cursor: unknown }>(
    `update steps set started_at = coalesce(started_at, clock_timestamp()), executions = executions + 1
     where task_id = $1 and name = $2 and completed_at is null
     returning cursor`,
    [taskId, step],
  );
  return rows[0] === undefined ? null : { task, cursor: rows[0].cursor };
}

/** Sets the step's checkpoint, in the transaction of its effect. */
export async function completeStep(tx: Transaction, taskId: string, step: StepName, output: unknown): Promise<void> {
  const updated = await tx.query(
    `update steps set completed_at = clock_timestamp(), output = $3, progress_done = coalesce(progress_total, progress_done)
     where task_id = $1 and name = $2 and completed_at is null`,
    [taskId, step, JSON.stringify(output)],
  );
  if (updated.rowCount !== 1) throw new Error(`step ${step} of ${taskId} has its checkpoint already`);
}

/** Moves the cursor inside a step, with how far that is for people (rows done of rows total). */
export async function moveCursor(
  tx: Transaction,
  taskId: string,
  step: StepName,
  cursor: unknown,
  progress: { done: number; total: number },
): Promise<void> {
  await tx.query(
    `update steps set cursor = $3, progress_done = $4, progress_total = $5
     where task_id = $1 and name = $2 and completed_at is null`,
    [taskId, step, JSON.stringify(cursor), progress.done, progress.total],
  );
}

/** What an earlier step of the task put out, as its writer typed it. Throws if that step has no checkpoint yet. */
export async function outputOf<T>(db: Queryable, taskId: string, step: StepName): Promise<T> {
  const { rows } = await db.query<{ output: T }>(
    'select output from steps where task_id = $1 and name = $2 and completed_at is not null',
    [taskId, step],
  );
  const row = rows[0];
  if (row === undefined) throw new Error(`step ${step} of ${taskId} has no output yet`);
  return row.output;
}
