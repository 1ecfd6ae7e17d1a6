import { recordAuditEvent, type Actor } from '../../../audit/index.ts';
import { KIND_NAMES } from '../../../computations/index.ts';
import { RequestError } from '../../../errors.ts';
import type { Transaction } from '../../../store/index.ts';
import { createTask } from '../../scheduling/create-task.ts';
import { isEnded, type TaskRow } from '../../model/task.ts';
import { lockControlledTask, type TaskAddress } from '../lock-controlled.ts';
import { openSyncOf } from '../open-sync-of.ts';
import { alreadyOpen, taskOpen } from '../refusals.ts';
import { requireActive, requireReachable } from '../requirements.ts';

/**
 * Has the rejected rows of an ended sync sent again, and nothing else: what of these profiles differs from the baseline now.
 * Rows that an earlier redrive has taken are left to it, unless that one failed or was cancelled. Returns the new sync, to be
 * started, and how many rows it takes. Throws RequestError `task_is_run`, `task_open`, `nothing_rejected`, `already_redriven`,
 * `sync_open`, `computation_disabled`, `computation_paused`, `not_connected`, `destination_disabled`, `sync_suspended` or
 * `task_not_found`.
 */
export async function redriveRejected(
  tx: Transaction,
  address: TaskAddress,
  actor: Actor,
): Promise<{ taskId: string; rows: number }> {
  const task = await lockControlledTask(tx, address);
  if (task.kind === 'run' || task.connection_id === null) {
    throw new RequestError(
      'conflict',
      'task_is_run',
      `${task.id} is a run: only a sync has rejected rows. Name a sync of ${task.computation_name}.`,
      { field: 'taskId' },
    );
  }
  if (!isEnded(task.status)) throw taskOpen(task, 'before you send its rejected rows again');
  requireActive(
    { name: task.computation_name, enabled: task.computation_enabled, paused: task.computation_paused },
    'taskId',
  );
  await requireRejected(tx, task);
  await requireReachable(tx, task.connection_id);
  const taskId = await createTask(tx, {
    workspaceId: task.workspace_id,
    spaceId: task.space_id,
    computationId: task.computation_id,
    connectionId: task.connection_id,
    parentTaskId: task.id,
    kind: 'sync',
    reason: 'redrive',
  });
  if (taskId === null) {
    throw alreadyOpen('sync', task.computation_name, await openSyncOf(tx, task.connection_id), 'taskId');
  }
  const taken = await tx.query(`update rejected_rows set redriven_by = $2 where task_id = $1 and ${UNTAKEN}`, [
    task.id,
    taskId,
  ]);
  const rows = taken.rowCount ?? 0;
  await recordAuditEvent(tx, {
    workspaceId: task.workspace_id,
    spaceId: task.space_id,
    type: `${KIND_NAMES[task.computation_kind]} Destination Sync Redriven`,
    actor,
    resource: { type: task.computation_kind, id: task.computation_id, name: task.computation_name },
    taskId,
    details: {
      rejectedBy: task.id,
      rows,
      destinationId: task.destination_id,
      destinationName: task.destination_name,
    },
  });
  return { taskId, rows };
}

/** Rows that nobody has sent again, and nobody is about to. */
export const UNTAKEN = `(redriven_by is null
  or exists (select from tasks redrive where redrive.id = redriven_by and redrive.status in ('failed', 'cancelled')))`;

async function requireRejected(tx: Transaction, task: TaskRow): Promise<void> {
  const { rows } = await tx.query<{ rejected: number; untaken: number; redriven_by: string | null }>(
    `select count(*) as rejected, count(*) filter (where ${UNTAKEN}) as untaken, max(redriven_by) as redriven_by
     from rejected_rows where task_id = $1`,
    [task.id],
  );
  const { rejected = 0, untaken = 0, redriven_by: redrivenBy = null } = rows[0] ?? {};
  if (rejected === 0) {
    throw new RequestError(
      'conflict',
      'nothing_rejected',
      `The sync ${task.id} has no rejected rows: there is nothing to send again. What failed goes out with the next sync.`,
      { field: 'taskId' },
    );
  }
  if (untaken > 0) return;
  throw new RequestError(
    'conflict',
    'already_redriven',
    `The rejected rows of ${task.id} were sent again by ${redrivenBy}. What it was refused can be redriven from there.`,
    { field: 'taskId', data: { taskId: redrivenBy } },
  );
}
