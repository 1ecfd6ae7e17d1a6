import { onTaskCancelled, renewHolds } from '../../alerts/index.ts';
import { recordAuditEvent, SYSTEM_ACTOR, type Actor } from '../../audit/index.ts';
import { inTransaction, type PostgresPool, type Queryable, type Transaction } from '../../store/index.ts';
import { taskEventType } from '../model/event-types.ts';
import { completedSteps, isEnded, isObsolete, type TaskOutcome, type TaskRow } from '../model/task.ts';
import { lockTask } from '../model/lock-task.ts';
import type { StepName } from '../model/kinds.ts';
import { observeAttemptEnd, observeTaskEnd } from './observe.ts';
import { endExecutions } from './step-executions.ts';
import { forgetUnrecorded } from './unrecorded.ts';

/**
 * What the workflow does next: the task has ended; or someone holds it back, until they wake it; or its next attempt is not due
 * before `delayMs`; or it executes the steps that have no checkpoint.
 */
export type AttemptStart =
  | { next: 'end'; outcome: TaskOutcome }
  | { next: 'hold'; why: 'paused' | 'awaiting_approval' }
  | { next: 'wait'; delayMs: number }
  | { next: 'execute'; attempt: number; losses: number; completed: StepName[] };

/** What beginAttempt found, with the task where its steps are to be executed. */
export type BegunAttempt = { start: Exclude<AttemptStart, { next: 'execute' }> } | { task: TaskRow };

/**
 * Begins the task's next attempt. Called again for an attempt that is under way (its worker died before Temporal heard, or its
 * step was interrupted), it returns the same one. A task whose computation or connection is gone or switched off is cancelled
 * instead: nobody needs its outcome.
 */
export async function beginAttempt(pool: PostgresPool, taskId: string): Promise<AttemptStart> {
  return await inTransaction(pool, async (tx) => {
    const begun = await beginLocked(tx, taskId);
    return 'start' in begun ? begun.start : executeNext(begun.task);
  });
}

/** That the attempt's steps are to be executed which have no checkpoint. */
export function executeNext(task: TaskRow): AttemptStart {
  return { next: 'execute', attempt: task.attempt, losses: task.losses, completed: completedSteps(task) };
}

/** beginAttempt inside of a transaction. The task is locked, and as it is after it has begun. */
export async function beginLocked(tx: Transaction, taskId: string): Promise<BegunAttempt> {
  const task = await lockTask(tx, taskId);
  if (isEnded(task.status)) return { start: { next: 'end', outcome: task.status } };
  await forgetUnrecorded(tx, task);
  if (isObsolete(task) || (!task.computation_enabled && task.status !== 'running')) {
    await endCancelled(tx, task, 'obsolete');
    return { start: { next: 'end', outcome: 'cancelled' } };
  }
  if (task.computation_paused) return { start: { next: 'hold', why: 'paused' } };
  if (task.status === 'awaiting_approval') return { start: { next: 'hold', why: 'awaiting_approval' } };
  // A destination wants to be left alone until then: whoever looks in meanwhile does not end that.
  const delayMs = await msUntil(tx, task.status === 'running' ? task.waiting_until : task.retry_at);
  if (delayMs > 0) return { start: { next: 'wait', delayMs } };
  if (task.status === 'running') return { task };
  const attempt = task.attempt + 1;
  if (attempt > task.max_attempts) throw new Error(`${taskId} has spent its ${task.max_attempts} attempts`);
  await tx.query({
    name: 'begin-attempt',
    text: `with task as (
       update tasks set status = 'running', attempt = $2, losses = 0, retry_at = null,
              started_at = coalesce(started_at, clock_timestamp()), dispatched_at = coalesce(dispatched_at, clock_timestamp()),
              admitted_at = coalesce(admitted_at, clock_timestamp())
       where id = $1
     )
     insert into attempts (task_id, attempt, started_at) values ($1, $2, clock_timestamp())`,
    values: [taskId, attempt],
  });
  // Only a failure has put anything on hold.
  if (attempt > 1) await renewHolds(tx, { id: taskId, kind: task.kind, retryAt: task.retry_at });
  return { task: { ...task, status: 'running', attempt, losses: 0, retry_at: null } };
}

/** Whether what is under way of the task should go on: false once it has ended, or someone holds it back. */
export async function mayGoOn(db: Queryable, taskId: string): Promise<boolean> {
  const { rows } = await db.query<{ on: boolean }>(
    `select t.status = 'running' and c.paused_at is null as on
     from tasks t join computations c on c.id = t.computation_id where t.id = $1`,
    [taskId],
  );
  return rows[0]?.on ?? false;
}

export type CancelReason = 'asked' | 'discarded' | 'superseded' | 'obsolete';

/** Ends a locked task without an outcome that anyone waits for: its audit event, its held alerts are suppressed. */
export async function endCancelled(
  tx: Transaction,
  task: TaskRow,
  because: CancelReason,
  by: { actor?: Actor; reason?: string } = {},
): Promise<void> {
  const { rows } = await tx.query<{ started_at: Date | null; ended_at: Date }>(
    `with ended as (
       update attempts set outcome = 'cancelled', ended_at = clock_timestamp() where task_id = $1 and outcome is null
       returning started_at
     )
     update tasks set status = 'cancelled', cancelled_because = $2, ended_at = clock_timestamp(), retry_at = null,
            waiting_until = null, waiting_for = null
     where id = $1
     returning (select started_at from ended), ended_at`,
    [task.id, because],
  );
  for (const { started_at: startedAt, ended_at: endedAt } of rows) {
    if (startedAt !== null) observeAttemptEnd(tx, task, { startedAt, endedAt, outcome: 'cancelled' });
  }
  observeTaskEnd(tx, task, 'cancelled');
  await endExecutions(tx, task.id, { outcome: 'interrupted' });
  await recordAuditEvent(tx, {
    workspaceId: task.workspace_id,
    spaceId: task.space_id,
    type: taskEventType(task, 'Cancelled'),
    actor: by.actor ?? SYSTEM_ACTOR,
    resource: { type: task.computation_kind, id: task.computation_id, name: task.computation_name },
    taskId: task.id,
    attempt: task.attempt,
    details: {
      because,
      ...(by.reason === undefined ? {} : { reason: by.reason }),
      ...(task.destination_id === null
        ? {}
        : { destinationId: task.destination_id, destinationName: task.destination_name }),
    },
  });
  await onTaskCancelled(tx, task.id);
}

/** Cancels a task whose workflow was cancelled in Temporal itself, and says what the task's outcome is. */
export async function cancelAbandonedTask(pool: PostgresPool, taskId: string): Promise<TaskOutcome> {
  return await inTransaction(pool, async (tx) => {
    const task = await lockTask(tx, taskId);
    if (isEnded(task.status)) return task.status;
    await endCancelled(tx, task, 'asked', { reason: 'its workflow was cancelled in Temporal' });
    return 'cancelled';
  });
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
     where computation_id = $1 and ($2::text is null or connection_id = $2) and ended_at is null
     order by id`,
    [of.computationId, of.connectionId ?? null],
  );
  // All of them are locked before one is ended: a run that commits waits for the ends of the syncs that it finds open.
  const tasks: TaskRow[] = [];
  for (const { id } of rows) tasks.push(await lockTask(tx, id));
  const cancelled: string[] = [];
  for (const task of tasks) {
    if (isEnded(task.status)) continue;
    await endCancelled(tx, task, 'obsolete');
    cancelled.push(task.id);
  }
  return cancelled;
}

/** Milliseconds from now, by PostgreSQL's clock, which also wrote the time; 0 for none. */
async function msUntil(db: Queryable, time: Date | null): Promise<number> {
  if (time === null) return 0;
  const { rows } = await db.query<{ ms: number }>(
    'select greatest(0, extract(epoch from $1::timestamptz - clock_timestamp()) * 1000)::float8 as ms',
    [time],
  );
  return Math.ceil(rows[0]?.ms ?? 0);
}
