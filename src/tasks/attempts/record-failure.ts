import { HOLD_GRACE_MS, onTaskFailed, setHoldEnd } from '../../alerts/index.ts';
import { recordAuditEvent, SYSTEM_ACTOR } from '../../audit/index.ts';
import { cutText } from '../../cut-text.ts';
import { FAILURES, type FailureClass, type FailureCode } from '../../errors.ts';
import { inTransaction, type PostgresPool, type Transaction } from '../../store/index.ts';
import { describeThrown } from '../../thrown.ts';
import { endCancelled } from './attempts.ts';
import { countHardFailure } from './auto-disable.ts';
import { taskEventType } from '../model/event-types.ts';
import { isEnded, isObsolete, type TaskOutcome } from '../model/task.ts';
import { lockTask } from '../model/lock-task.ts';
import { observeAttemptEnd, observeLoss, observeTaskEnd } from './observe.ts';
import { retryDelayMs, waitsLeftMs, type Backoff } from '../model/retry-policy.ts';
import { endExecutions } from './step-executions.ts';
import { forgetUnrecorded, isOutage } from './unrecorded.ts';

/** What an attempt ended with, as the workflow saw it. */
export interface AttemptFailure {
  taskId: string;
  attempt: number;
  /** How often the attempt had lost a worker when it ended; not known where an older version's workflow saw it. */
  losses?: number | undefined;
  /** The step that failed; null where the attempt failed outside of one. */
  step: string | null;
  code: FailureCode;
  /** For those who operate Trailmark; not shown to others. */
  detail: string;
  /** How long the destination wants to be left alone, in milliseconds. */
  retryAfterMs?: number | undefined;
}

/** What the workflow does next. `lost`: the attempt goes on, because a step that was lost with its worker has not failed. */
export type FailureDecision = { next: 'retry'; delayMs: number; lost?: true } | { next: 'end'; outcome: TaskOutcome };

// That heartbeats stop does not say whose fault it is. So often in one attempt it is taken to be nobody's; what loses its worker once
// more is taken to be what kills it.
const MAX_LOSSES = 2;
// A destination that wants to be left alone is, but a task does not wait for longer than this between two attempts.
const MAX_RETRY_AFTER_MS = 24 * 3_600_000;

/**
 * The one place that every failure passes. Whatever came with a failure from outside must not keep it from being written: where the
 * whole of it is refused for a reason that a retry does not heal, it is written with its code alone.
 *
 * A step that was lost with its worker is interrupted, MAX_LOSSES times in an attempt, and executed again in the same one.
 */
export async function recordFailure(
  pool: PostgresPool,
  failure: AttemptFailure,
  policy: { backoff: Backoff; random: () => number },
): Promise<FailureDecision> {
  try {
    return await writeFailure(pool, failure, policy);
  } catch (error) {
    if (isOutage(error)) throw error;
    const { taskId, attempt, losses, step, code } = failure;
    const detail = `what was known besides could not be recorded: ${describeThrown(error)}`;
    return await writeFailure(pool, { taskId, attempt, losses, step, code, detail }, policy);
  }
}

/**
 * Writes a failure. Writes the attempt's end, its audit event, on the last one the hard failure's
 * event too, the task's next state and the alert's decision, in one transaction. Called twice for one attempt, it writes once;
 * for an attempt that another has followed, or that has lost a worker since, nothing: the workflow then asks where its task stands. A task whose computation
 * or connection was taken away meanwhile is cancelled: that it could not go on is what that person wanted, and no failure.
 */
async function writeFailure(
  pool: PostgresPool,
  failure: AttemptFailure,
  policy: { backoff: Backoff; random: () => number },
): Promise<FailureDecision> {
  return await inTransaction(pool, async (tx) => {
    const task = await lockTask(tx, failure.taskId);
    if (isEnded(task.status)) return { next: 'end', outcome: task.status };
    await forgetUnrecorded(tx, task);
    const { losses = task.losses } = failure;
    if (task.attempt !== failure.attempt || task.losses !== losses) return { next: 'retry', delayMs: 0 };
    if (task.status === 'backing_off') return { next: 'retry', delayMs: await remainingDelayMs(tx, task.id) };
    // A person has held or paused it meanwhile: what they stopped did not fail.
    if (task.status !== 'running') return { next: 'retry', delayMs: 0 };
    if (isObsolete(task)) {
      await endCancelled(tx, task, 'obsolete');
      return { next: 'end', outcome: 'cancelled' };
    }
    if (failure.code === 'worker_lost' && failure.step !== null && task.losses < MAX_LOSSES) {
      // From here on nothing is taken from the execution that was given up: it may not know yet.
      await tx.query('update tasks set losses = losses + 1 where id = $1', [task.id]);
      await endExecutions(tx, task.id, { outcome: 'interrupted', code: failure.code });
      observeLoss(tx, task, failure.step);
      return { next: 'retry', delayMs: 0, lost: true };
    }
    const definition = FAILURES[failure.code];
    const spent = failure.attempt >= task.max_attempts;
    const failureClass: FailureClass = spent ? 'hard' : definition.class;
    const hard = failureClass === 'hard';
    const askedMs = Math.min(failure.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
    const delayMs = hard ? null : Math.max(retryDelayMs(failure.attempt, policy.random(), policy.backoff), askedMs);

    // Before the task's end is in hand: a run's commit has the computation, and waits for the ends of the syncs that it finds open.
    if (hard) await tx.query('select from computations where id = $1 for no key update', [task.computation_id]);
    const { startedAt, endedAt } = await endAttempt(tx, failure, failureClass, definition.sentence);
    observeAttemptEnd(tx, task, {
      startedAt,
      endedAt,
      outcome: 'failed',
      failure: { code: failure.code, class: failureClass },
    });
    if (hard) observeTaskEnd(tx, task, 'failed');
    const retryAt = delayMs === null ? null : new Date(endedAt.getTime() + delayMs);
    await tx.query(
      hard
        ? `update tasks set status = 'failed', ended_at = $2, retry_at = null, waiting_until = null, waiting_for = null where id = $1`
        : `update tasks set status = 'backing_off', retry_at = $2, waiting_until = null, waiting_for = null where id = $1`,
      [task.id, retryAt ?? endedAt],
    );

    const details = {
      attempt: failure.attempt,
      maxAttempts: task.max_attempts,
      step: failure.step,
      code: failure.code,
      class: failureClass,
      message: definition.sentence,
      action: definition.action,
      ...(retryAt === null ? {} : { retryAt: retryAt.toISOString() }),
      ...(task.destination_id === null
        ? {}
        : { destinationId: task.destination_id, destinationName: task.destination_name }),
    };
    const common = {
      workspaceId: task.workspace_id,
      spaceId: task.space_id,
      actor: SYSTEM_ACTOR,
      resource: { type: task.computation_kind, id: task.computation_id, name: task.computation_name },
      outcome: 'failure' as const,
      taskId: task.id,
      attempt: failure.attempt,
    };
    const event = await recordAuditEvent(tx, { ...common, type: taskEventType(task, 'Failed'), details });
    const hardEvent = hard
      ? await recordAuditEvent(tx, {
          ...common,
          type: taskEventType(task, 'Hard Failure'),
          details: { ...details, reason: spent ? 'retries_spent' : 'cannot_heal_by_itself' },
        })
      : null;
    // From now on, and not from the first failure: what the task has taken so far says nothing of what it may still take. The next
    // attempt puts it off by its own time limit when it begins.
    const waitsMs = (delayMs ?? 0) + waitsLeftMs(failure.attempt, policy.backoff, task.max_attempts);
    const holdEnd = new Date(endedAt.getTime() + waitsMs + HOLD_GRACE_MS);
    await onTaskFailed(tx, {
      event,
      hardEvent,
      task: {
        id: task.id,
        workspaceId: task.workspace_id,
        spaceId: task.space_id,
        computationId: task.computation_id,
        kind: task.kind,
      },
      computationName: task.computation_name,
      attempt: failure.attempt,
      maxAttempts: task.max_attempts,
      failure: {
        step: failure.step,
        code: failure.code,
        class: failureClass,
        message: definition.sentence,
        action: definition.action,
      },
      holdUntil: holdEnd,
    });
    if (delayMs !== null) {
      await setHoldEnd(tx, task.id, holdEnd);
      return { next: 'retry', delayMs };
    }
    await countHardFailure(tx, task, { step: failure.step, code: failure.code, message: definition.sentence });
    return { next: 'end', outcome: 'failed' };
  });
}

async function endAttempt(
  tx: Transaction,
  failure: AttemptFailure,
  failureClass: FailureClass,
  message: string,
): Promise<{ startedAt: Date; endedAt: Date }> {
  const { rows } = await tx.query<{ started_at: Date; ended_at: Date }>(
    `with ended as (
       update attempts set ended_at = clock_timestamp(), outcome = 'failed', step = $3, code = $4, failure_class = $5,
              message = $6, detail = $7
       where task_id = $1 and attempt = $2
       returning started_at, ended_at
     ),
     ended_execution as (
       update step_executions set ended_at = clock_timestamp(), outcome = case when step = $3 then 'failed' else 'interrupted' end,
              code = case when step = $3 then $4 end
       where task_id = $1 and ended_at is null
       returning step
     ),
     -- a step that is a transaction has left nothing behind, not even that it was begun
     rolled_back as (
       update steps s set executions = executions + 1
       where s.task_id = $1 and s.name = $3 and s.completed_at is null
         and not exists (select from step_executions e where e.task_id = $1 and e.step = $3 and e.ended_at is null)
       returning s.executions
     ),
     told as (
       insert into step_executions (task_id, step, execution, attempt, ended_at, outcome, code)
       select $1, $3, executions, $2, clock_timestamp(), 'failed', $4 from rolled_back
     )
     select started_at, ended_at from ended`,
    [
      failure.taskId,
      failure.attempt,
      failure.step,
      failure.code,
      failureClass,
      message,
      cutText(failure.detail, 4_000),
    ],
  );
  const row = rows[0];
  if (row === undefined) throw new Error(`attempt ${failure.attempt} of ${failure.taskId} is not there`);
  return { startedAt: row.started_at, endedAt: row.ended_at };
}

async function remainingDelayMs(tx: Transaction, taskId: string): Promise<number> {
  const { rows } = await tx.query<{ ms: number }>(
    'select greatest(0, extract(epoch from retry_at - clock_timestamp()) * 1000)::float8 as ms from tasks where id = $1',
    [taskId],
  );
  return Math.round(rows[0]?.ms ?? 0);
}
