import { onTaskCancelled } from '../alerts/index.ts';
import { inTransaction, type PostgresPool, type Transaction } from '../store/index.ts';
import { completedSteps, isEnded, isObsolete, lockTask, type TaskRow } from './load-task.ts';
import type { StepName } from './kinds.ts';

/** How an attempt begins: with the steps that need not be executed any more, or not at all. */
export type AttemptStart = { ended: true } | { ended: false; attempt: number; completed: StepName[] };

/**
 * Begins the task's next attempt. Called again for an attempt that is under way (its worker died before Temporal heard),
 * it returns the same one. A task whose computation or connection is gone or switched off is cancelled instead: nobody needs
 * its outcome.
 */
export async function beginAttempt(pool: PostgresPool, taskId: string): Promise<AttemptStart> {
  return await inTransaction(pool, async (tx) => {
    const task = await lockTask(tx, taskId);
    if (isEnded(task.status)) return { ended: true };
    if (isObsolete(task) || (!task.computation_enabled && task.status !== 'running')) {
      await cancelTask(tx, task);
      return { ended: true };
    }
    if (task.status === 'running') {
      return { ended: false, attempt: task.attempt, completed: completedSteps(task) };
    }
    const attempt = task.attempt + 1;
    if (attempt > task.max_attempts) throw new Error(`${taskId} has spent its ${task.max_attempts} attempts`);
    await tx.query(
      `update tasks set status = 'running', attempt = $2, retry_at = null,
              started_at = coalesce(started_at, clock_timestamp()), dispatched_at = coalesce(dispatched_at, clock_timestamp())
       where id = $1`,
      [taskId, attempt],
    );
    await tx.query('insert into attempts (task_id, attempt, started_at) values ($1, $2, clock_timestamp())', [
      taskId,
      attempt,
    ]);
    return { ended: false, attempt, completed: completedSteps(task) };
  });
}

/** Ends a locked task without an outcome; its held alerts are suppressed. */
export async function cancelTask(tx: Transaction, task: TaskRow): Promise<void> {
  await tx.query(`update tasks set status = 'cancelled', ended_at = clock_timestamp(), retry_at = null where id = $1`, [
    task.id,
  ]);
  await tx.query(
    `update attempts set outcome = 'cancelled', ended_at = clock_timestamp() where task_id = $1 and outcome is null`,
    [task.id],
  );
  await onTaskCancelled(tx, task.id);
}

/**
 * Cancels the open tasks of a computation, or of one of its connections, in the transaction that deletes or disconnects it.
 * A worker that is inside one of them finds out at its next checkpoint. Call it before the change itself: a step locks its task
 * first, and then what it writes to.
 */
export async function cancelOpenTasks(
  tx: Transaction,
  of: { computationId: string; connectionId?: string },
): Promise<string[]> {
  const { rows } = await tx.query<{ id: string }>(
    `select id from tasks
     where computation_id = $1 and ($2::text is null or connection_id = $2)
       and ended_at is null
     order by id`,
    [of.computationId, of.connectionId ?? null],
  );
  const cancelled: string[] = [];
  for (const { id } of rows) {
    const task = await lockTask(tx, id);
    if (isEnded(task.status)) continue;
    await cancelTask(tx, task);
    cancelled.push(id);
  }
  return cancelled;
}
