import {
  clearConnectionFailures,
  countConnectionFailure,
  countConnections,
  suspendConnection,
} from '../../connections/index.ts';
import { clearRunFailures, countRunFailure, disableComputation } from '../../computations/index.ts';
import { notify } from '../../alerts/index.ts';
import { recordAuditEvent, SYSTEM_ACTOR, type AuditEventInput } from '../../audit/index.ts';
import { FAILURES, type FailureCode } from '../../errors.ts';
import type { Transaction } from '../../store/index.ts';
import type { TaskRow } from '../model/task.ts';

/**
 * What fails for good again and again is stopped by the system, so that it burns nobody's slot and alerts nobody for ever: a
 * computation whose runs do, and a connection whose syncs do. Who enables or resumes it starts clean (src/computations, src/tasks/control).
 */

/** What ended the task's last attempt. */
export interface HardFailure {
  step: string | null;
  code: FailureCode;
  /** Safe to show. */
  message: string;
}

/** For a workspace that has no settings. */
const DEFAULT_DISABLE_AFTER = 3;
const NOUNS = { audience: 'Audience', computed_trait: 'Computed trait' } as const;
const SUSPENDED = {
  audience: 'Audience Destination Sync Suspended',
  computed_trait: 'Computed Trait Destination Sync Suspended',
} as const;
const DISABLED = { audience: 'Audience Disabled', computed_trait: 'Computed Trait Disabled' } as const;

/**
 * Counts a task's hard failure, in the transaction that records it and with the task's row locked. At the workspace's limit of
 * hard failures in a row, runs disable their computation and syncs suspend their connection; a computation that has no connection
 * left to send to is disabled with the last one. Each is an audit event of the system and one notice to people.
 *
 * Failures whose reason all computations share are not counted (`counts` in src/errors.ts), and do not end a row either.
 */
export async function countHardFailure(tx: Transaction, task: TaskRow, failure: HardFailure): Promise<void> {
  if (!FAILURES[failure.code].counts) return;
  const limit = await readLimit(tx, task.workspace_id);
  if (task.kind === 'run') await countRun(tx, task, failure, limit);
  else await countSync(tx, task, failure, limit);
}

/** Ends the row of hard failures that a task's success is the end of, in the success's transaction with the task's row locked. */
export async function clearHardFailures(tx: Transaction, task: TaskRow): Promise<void> {
  if (task.kind === 'run') await clearRunFailures(tx, task.computation_id);
  else await clearConnectionFailures(tx, task.connection_id);
}

/** After how many hard failures in a row; null for never. */
async function readLimit(tx: Transaction, workspaceId: string): Promise<number | null> {
  const { rows } = await tx.query<{ auto_disable_after: number | null }>(
    'select auto_disable_after from workspace_settings where workspace_id = $1',
    [workspaceId],
  );
  return rows[0] === undefined ? DEFAULT_DISABLE_AFTER : rows[0].auto_disable_after;
}

async function countRun(tx: Transaction, task: TaskRow, failure: HardFailure, limit: number | null): Promise<void> {
  const row = await countRunFailure(tx, task.computation_id);
  if (row === undefined || !row.enabled || limit === null || row.hardFailures < limit) return;
  await disable(tx, task, {
    reason: `${inARow(row.hardFailures, 'run')} failed for good. The last one${at(failure)}: ${failure.message}`,
    action: FAILURES[failure.code].action,
    details: { because: 'hard_failures', ...detailsOf(failure, row.hardFailures, limit) },
  });
}

async function countSync(tx: Transaction, task: TaskRow, failure: HardFailure, limit: number | null): Promise<void> {
  // The computation first: of two connections that reach their limit at once, the second finds the first one suspended.
  const computation = await tx.query<{ enabled: boolean }>(
    'select enabled from computations where id = $1 and deleted_at is null for no key update',
    [task.computation_id],
  );
  const row = await countConnectionFailure(tx, task.connection_id);
  if (row === undefined || row.suspended || limit === null || row.hardFailures < limit) return;

  const to = `Syncs to ${task.destination_name}`;
  const last = `The last one${at(failure)}: ${failure.message}`;
  const reason = `${inARow(row.hardFailures, 'sync')} failed for good. ${last}`;
  await suspendConnection(tx, task.connection_id, reason);
  const details = {
    ...detailsOf(failure, row.hardFailures, limit),
    connectionId: task.connection_id,
    destinationId: task.destination_id,
    destinationName: task.destination_name,
  };
  const event = await recordAuditEvent(tx, { ...about(task), type: SUSPENDED[task.computation_kind], details });
  const { on, left } = await countConnections(tx, task.computation_id);
  if (left === 0 && computation.rows[0]?.enabled === true) {
    // One message tells of both.
    await disable(tx, task, {
      reason:
        on <= 1
          ? `It has nowhere to be sent any more: ${inARow(row.hardFailures, 'sync')} to ${task.destination_name} failed for good. ${last}`
          : `None of its ${on} destinations is left: syncs to all of them are suspended. ${to} were the last. ${last}`,
      action: FAILURES[failure.code].action,
      details: { because: 'no_destination_left', ...details, destinations: on },
    });
    return;
  }
  await notify(tx, {
    event,
    computationId: task.computation_id,
    title: `${subjectOf(task)}: syncs to ${task.destination_name} are suspended`,
    body: [
      reason,
      FAILURES[failure.code].action,
      `Nothing more is sent to ${task.destination_name} until someone resumes it; it then gets what it has missed.`,
      left === 1 ? 'Its other destination goes on.' : `Its ${left} other destinations go on.`,
    ].join('\n'),
  });
}

async function disable(
  tx: Transaction,
  task: TaskRow,
  why: { reason: string; action: string; details: Record<string, unknown> },
): Promise<void> {
  await disableComputation(tx, task.computation_id, why.reason);
  const event = await recordAuditEvent(tx, {
    ...about(task),
    type: DISABLED[task.computation_kind],
    details: { reason: why.reason, ...why.details },
    before: { enabled: true },
    after: { enabled: false, disabledReason: why.reason },
  });
  await notify(tx, {
    event,
    computationId: task.computation_id,
    title: `${subjectOf(task)} was disabled`,
    body: [why.reason, why.action, 'It does not run until someone enables it again; it then starts clean.'].join('\n'),
  });
}

function about(task: TaskRow): Omit<AuditEventInput, 'type'> {
  return {
    workspaceId: task.workspace_id,
    spaceId: task.space_id,
    actor: SYSTEM_ACTOR,
    resource: { type: task.computation_kind, id: task.computation_id, name: task.computation_name },
    taskId: task.id,
    attempt: task.attempt,
  };
}

function detailsOf(failure: HardFailure, hardFailures: number, limit: number): Record<string, unknown> {
  return { hardFailures, autoDisableAfter: limit, step: failure.step, code: failure.code, message: failure.message };
}

function subjectOf(task: TaskRow): string {
  return `${NOUNS[task.computation_kind]} "${task.computation_name}"`;
}

function inARow(count: number, what: 'run' | 'sync'): string {
  return count === 1 ? `A ${what}` : `${count} ${what}s in a row`;
}

function at(failure: HardFailure): string {
  return failure.step === null ? '' : `, at the step ${failure.step}`;
}
