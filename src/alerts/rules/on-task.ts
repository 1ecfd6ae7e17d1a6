import type { AuditEventRow } from '../../audit/index.ts';
import { countAlertDecisions } from '../../metrics/index.ts';
import { onCommit, type Queryable } from '../../store/index.ts';
import { insertAlert, type AlertAttempt, type AlertRow } from '../episodes/alert-row.ts';
import { composeHardFailure, composeRecovery, composeTransientFailure } from '../episodes/compose.ts';
import { decideAlert } from './decide.ts';
import { isReducedNow } from '../channels/settings-row.ts';

/** The task that an alert is about. */
export interface AlertTask {
  id: string;
  workspaceId: string;
  spaceId: string;
  computationId: string;
  kind: 'run' | 'sync';
}

export interface TaskFailedInput {
  /** The failed attempt's audit event. */
  event: AuditEventRow;
  /** The hard failure's audit event, where the task is not tried any more. */
  hardEvent: AuditEventRow | null;
  task: AlertTask;
  computationName: string;
  attempt: number;
  maxAttempts: number;
  failure: { step: string | null; code: string; class: 'transient' | 'hard'; message: string; action: string };
  /** When the outcome of the task has to be there; a held alert is released after it. */
  holdUntil: Date;
}

/**
 * The alert about a failed attempt. Call it in the transaction that records the attempt's end, with the task's row locked.
 * A hard failure: one alert that carries every attempt, with the held ones folded into it. Otherwise sent, or held where
 * reduced notifications are on.
 */
export async function onTaskFailed(tx: Queryable, input: TaskFailedInput): Promise<AlertRow> {
  // Before anything else, and shared until commit: whoever switches the setting off waits, and then finds what was held.
  const reducedNotifications = await isReducedNow(tx, input.task.workspaceId);
  const attempts = [
    ...(await failedAttempts(tx, input.task.id)).filter((earlier) => earlier.attempt < input.attempt),
    {
      attempt: input.attempt,
      at: input.event.occurred_at.toISOString(),
      step: input.failure.step,
      code: input.failure.code,
      class: input.failure.class,
      message: input.failure.message,
    },
  ];
  const common = {
    workspaceId: input.task.workspaceId,
    taskId: input.task.id,
    computationId: input.task.computationId,
    attempts,
  };
  if (input.hardEvent === null) {
    return await insertAlert(tx, {
      ...common,
      ...composeTransientFailure(input),
      auditEventId: input.event.id,
      kind: 'transient_failure',
      verdict: decideAlert({ kind: 'transient_failure', moment: 'failed', reducedNotifications }),
      holdUntil: input.holdUntil,
    });
  }
  const alert = await insertAlert(tx, {
    ...common,
    ...composeHardFailure({ ...input, event: input.hardEvent }, attempts),
    auditEventId: input.hardEvent.id,
    kind: 'hard_failure',
    verdict: decideAlert({ kind: 'hard_failure' }),
  });
  await endHeld(tx, input.task.id, 'hard_failure', alert.id);
  return alert;
}

/**
 * A task succeeded after failed attempts. What was held is folded; where something about the task has reached people, a
 * recovery is sent that closes it. Call it in the transaction that records the success, with the task's row locked.
 */
export async function onTaskRecovered(
  tx: Queryable,
  input: { event: AuditEventRow; task: AlertTask; computationName: string; attempts: number },
): Promise<void> {
  // The lock waits for a release that is under way: either it is seen here as released, or it does not happen any more.
  const { rows } = await tx.query<Pick<AlertRow, 'decision'>>(
    'select decision from alerts where task_id = $1 order by id for update',
    [input.task.id],
  );
  const reachedPeople = rows.some((alert) => alert.decision === 'sent' || alert.decision === 'released');
  let recoveryId: string | null = null;
  if (reachedPeople) {
    const attempts = await failedAttempts(tx, input.task.id);
    const recovery = await insertAlert(tx, {
      ...composeRecovery(input, attempts),
      workspaceId: input.task.workspaceId,
      auditEventId: input.event.id,
      taskId: input.task.id,
      computationId: input.task.computationId,
      kind: 'recovery',
      verdict: decideAlert({ kind: 'recovery' }),
      attempts,
    });
    recoveryId = recovery.id;
  }
  await endHeld(tx, input.task.id, 'recovered', recoveryId);
}

/** A task was cancelled: what was held about it has nobody who needs it any more. */
export async function onTaskCancelled(tx: Queryable, taskId: string): Promise<void> {
  await endHeld(tx, taskId, 'cancelled', null);
}

/** Tells people of an audit event that is about no task: one alert, sent. It may be about a computation. */
export async function notify(
  tx: Queryable,
  input: { event: AuditEventRow; computationId?: string; title: string; body: string },
): Promise<AlertRow> {
  return await insertAlert(tx, {
    workspaceId: input.event.workspace_id,
    auditEventId: input.event.id,
    ...(input.computationId === undefined ? {} : { computationId: input.computationId }),
    kind: 'notice',
    verdict: decideAlert({ kind: 'notice' }),
    title: input.title,
    body: input.body,
  });
}

async function endHeld(
  tx: Queryable,
  taskId: string,
  moment: 'recovered' | 'hard_failure' | 'cancelled',
  foldedInto: string | null,
): Promise<void> {
  const { decision, rule } = decideAlert({ kind: 'transient_failure', moment });
  const ended = await tx.query(
    `with held as (select id from alerts where task_id = $1 and decision = 'held' order by id for update)
     update alerts set decision = $2, rule = $3, folded_into = $4, hold_until = null, decided_at = clock_timestamp()
     from held where alerts.id = held.id`,
    [taskId, decision, rule, foldedInto],
  );
  onCommit(tx, () => countAlertDecisions({ kind: 'transient_failure', decision, count: ended.rowCount ?? 0 }));
}

async function failedAttempts(tx: Queryable, taskId: string): Promise<AlertAttempt[]> {
  const { rows } = await tx.query<Omit<AlertAttempt, 'at'> & { at: Date }>(
    `select attempt, ended_at as at, step, code, failure_class as class, message
     from attempts where task_id = $1 and outcome = 'failed' order by attempt`,
    [taskId],
  );
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
}
