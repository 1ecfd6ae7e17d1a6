import { jsonText, type Queryable, type Transaction } from '../../store/index.ts';
import type { StepName, WantedStep } from '../model/kinds.ts';
import { rowsOf } from './step-executions.ts';
import { outputOf, type StepOutputs } from '../model/task.ts';
import { LOCK_TASK, lockTask } from '../model/lock-task.ts';
import { type TaskRow } from '../model/task.ts';

/** Thrown when an attempt finds that it is not the task's current one any more: its worker was given up, and another goes on. */
export class StaleAttemptError extends Error {
  override readonly name = 'StaleAttemptError';
  constructor(taskId: string, attempt: number) {
    super(`attempt ${attempt} of ${taskId} was superseded`);
  }
}

/** Thrown by a long step that can't go on now, but will: it keeps its cursor, and the attempt goes on after `delayMs`. */
export class StepWaits extends Error {
  override readonly name = 'StepWaits';
  readonly delayMs: number;
  constructor(delayMs: number) {
    super(`the step waits for ${delayMs} ms`);
    this.delayMs = delayMs;
  }
}

/** A task as it was when one of its steps was begun: what tells whether that execution is still the one that counts. */
export type BegunTask = Pick<TaskRow, 'id' | 'attempt' | 'losses'>;

/**
 * Locks the task for the attempt that says it owns it. Every write of a step goes through here first, so that a worker
 * which was given up (its heartbeat was late) can't move a checkpoint under the attempt that replaced it, nor end a task
 * whose attempt has been recorded as failed and waits for its next one. Nor under its own attempt, where that goes on without it.
 */
export async function lockForAttempt(tx: Queryable, begun: BegunTask): Promise<TaskRow> {
  const task = await lockTask(tx, begun.id);
  if (!isCurrent(task, begun.attempt, begun.losses)) throw new StaleAttemptError(begun.id, begun.attempt);
  return task;
}

function isCurrent(task: TaskRow, attempt: number, losses = task.losses): boolean {
  return task.status === 'running' && task.attempt === attempt && task.losses === losses;
}

/**
 * Locks the task for an attempt that executes one of its steps. Null if the step has its checkpoint already, because a step that
 * completed is never executed again; also where its task has ended since, so that a last step whose worker died before
 * Temporal heard of it has succeeded. Otherwise throws StaleAttemptError.
 */
export async function lockForStep(
  tx: Transaction,
  taskId: string,
  attempt: number,
  step: StepName,
): Promise<TaskRow | null> {
  const task = await lockTask(tx, taskId);
  if (step in task.outputs) return null;
  if (!isCurrent(task, attempt)) throw new StaleAttemptError(taskId, attempt);
  return task;
}

/**
 * Notes that an attempt begins with a long step, and returns the task, the step's cursor and which execution of it this is: one
 * statement, which is its own transaction. Null and errors as lockForStep; also where the attempt went on without a worker that
 * has the step only now.
 */
export async function enterStep(
  db: Queryable,
  { taskId, attempt, losses, step }: WantedStep,
): Promise<{ task: TaskRow; cursor: unknown; execution: number } | null> {
  const { rows } = await db.query<TaskRow & { execution: number | null; cursor: unknown }>({
    name: 'enter-step',
    text: `with task as (${LOCK_TASK}),
     entered as (
       update steps set started_at = coalesce(started_at, clock_timestamp()), executions = executions + 1
       from task
       where steps.task_id = task.id and steps.name = $2 and steps.completed_at is null
         and task.status = 'running' and task.attempt = $3 and task.losses = coalesce($4, task.losses)
       returning steps.task_id, steps.cursor, steps.executions
     ),
     -- what an execution left open whose worker died before anyone could say so
     left_open as (
       update step_executions e set ended_at = clock_timestamp(), outcome = 'interrupted'
       from entered where e.task_id = entered.task_id and e.step = $2 and e.ended_at is null
     ),
     begun as (
       insert into step_executions (task_id, step, execution, attempt)
       select task_id, $2, executions, $3 from entered
     ),
     waited as (
       update tasks set waiting_until = null, waiting_for = null
       from entered where tasks.id = entered.task_id and tasks.waiting_until is not null
     )
     select task.*, entered.cursor, entered.executions as execution from task left join entered on true`,
    values: [taskId, step, attempt, losses ?? null],
  });
  const row = rows[0];
  if (row === undefined) throw new Error(`no task ${taskId}`);
  const { execution, cursor, ...task } = row;
  if (execution !== null) return { task, cursor, execution };
  // The outputs were read before the lock was there: what completed the step meanwhile is not in them.
  if (isCurrent(task, attempt, losses) || step in task.outputs) return null;
  throw new StaleAttemptError(taskId, attempt);
}

/** Sets the checkpoints of steps that were executed in this transaction, whose task is locked and has their outputs. */
export async function completeTransactionSteps(
  tx: Transaction,
  task: TaskRow,
  steps: readonly StepName[],
): Promise<void> {
  if (steps.length === 0) return;
  const rows = steps.map((step) => rowsOf(step, outputOf(task, step), task.outputs));
  const updated = await tx.query({
    name: 'complete-transaction-steps',
    text: `with completed as (
       update steps set started_at = coalesce(started_at, clock_timestamp()), executions = executions + 1,
              completed_at = clock_timestamp(), output = done.output
       from unnest($2::text[], $3::jsonb[]) as done (step, output)
       where steps.task_id = $1 and steps.name = done.step and steps.completed_at is null
       returning steps.name, steps.executions, steps.started_at, steps.completed_at
     )
     insert into step_executions (task_id, step, execution, attempt, started_at, ended_at, outcome, rows_in, rows_out, rejected)
     select $1, name, executions, $4, least(started_at, completed_at), completed_at, 'completed', rows_in, rows_out, rejected
     from completed join unnest($2::text[], $5::int[], $6::int[], $7::int[]) as counted (step, rows_in, rows_out, rejected)
       on counted.step = completed.name`,
    values: [
      task.id,
      steps,
      steps.map((step) => jsonText(outputOf(task, step))),
      task.attempt,
      rows.map((counts) => counts?.in ?? null),
      rows.map((counts) => counts?.out ?? null),
      rows.map((counts) => counts?.rejected ?? null),
    ],
  });
  if (updated.rowCount !== steps.length)
    throw new Error(`a step of ${task.id} has its checkpoint already: ${steps.join(', ')}`);
}

/**
 * Sets the checkpoint of a long step, where its attempt is still the task's current one: one statement, in the transaction of the
 * step's effect or its own transaction where there is none. Throws StaleAttemptError.
 */
export async function completeLongStep(
  db: Queryable,
  task: BegunTask & Pick<TaskRow, 'outputs'>,
  step: StepName,
  output: StepOutputs[StepName],
): Promise<void> {
  const rows = rowsOf(step, output, task.outputs);
  const updated = await db.query({
    name: 'complete-long-step',
    text: `with task as (
       select id from tasks where id = $1 and status = 'running' and attempt = $4 and losses = $8 for update
     ), completed as (
       update steps set completed_at = clock_timestamp(), output = $3,
              progress_done = coalesce(progress_total, progress_done)
       from task
       where steps.task_id = task.id and steps.name = $2 and steps.completed_at is null
       returning steps.executions
     )
     update step_executions e
     set ended_at = clock_timestamp(), outcome = 'completed', rows_in = coalesce($5, rows_in), rows_out = coalesce($6, rows_out),
         rejected = coalesce($7, rejected)
     from completed
     where e.task_id = $1 and e.step = $2 and e.execution = completed.executions`,
    values: [
      task.id,
      step,
      jsonText(output),
      task.attempt,
      rows?.in ?? null,
      rows?.out ?? null,
      rows?.rejected ?? null,
      task.losses,
    ],
  });
  if (updated.rowCount !== 1) throw new StaleAttemptError(task.id, task.attempt);
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
    [taskId, step, jsonText(cursor), progress.done, progress.total],
  );
}
