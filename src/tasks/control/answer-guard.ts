import { recordAuditEvent, type Actor } from '../../audit/index.ts';
import { KIND_NAMES } from '../../computations/index.ts';
import { RequestError } from '../../errors.ts';
import type { Transaction } from '../../store/index.ts';
import { endCancelled } from '../attempts/attempts.ts';
import { isEnded, type TaskRow } from '../model/task.ts';
import { outputOf } from '../model/task.ts';
import { lockControlledTask, type TaskAddress } from './lock-controlled.ts';
import { requireActive } from './requirements.ts';
import { taskEnded } from './refusals.ts';

/**
 * Lets a run commit that the guard stopped; wake it then. Throws RequestError `not_awaiting_approval`, `task_ended`,
 * `computation_disabled` or `task_not_found`. While the computation is paused the approval is kept, and the run goes on when
 * it is resumed.
 */
export async function approveRun(tx: Transaction, address: TaskAddress, actor: Actor): Promise<void> {
  const task = await lockAwaiting(tx, address, 'approve');
  requireActive({ name: task.computation_name, enabled: task.computation_enabled, paused: false }, 'taskId');
  await tx.query(
    `update tasks set status = 'running', approved_at = clock_timestamp(), approved_by = $2 where id = $1`,
    [task.id, actor.id],
  );
  await recordAnswer(tx, task, 'Approved', actor);
}

/**
 * Ends a run that the guard stopped: what is live stays. Wake it then. Throws RequestError `not_awaiting_approval`, `task_ended`
 * or `task_not_found`.
 */
export async function discardRun(tx: Transaction, address: TaskAddress, actor: Actor): Promise<void> {
  const task = await lockAwaiting(tx, address, 'discard');
  await endCancelled(tx, task, 'discarded', { actor });
  await recordAnswer(tx, task, 'Discarded', actor);
}

async function lockAwaiting(tx: Transaction, address: TaskAddress, verb: 'approve' | 'discard'): Promise<TaskRow> {
  const task = await lockControlledTask(tx, address);
  if (task.status === 'awaiting_approval') return task;
  if (isEnded(task.status)) {
    throw taskEnded({ ...task, status: task.status }, verb, `Run ${task.computation_name} again to have another one.`);
  }
  throw new RequestError(
    'conflict',
    'not_awaiting_approval',
    task.approved_at === null
      ? `The ${task.kind} ${task.id} does not wait for approval (${task.status}): there is nothing to ${verb}.`
      : `The ${task.kind} ${task.id} was approved already, and goes on. To stop it all the same, cancel it.`,
    { field: 'taskId', data: { status: task.status } },
  );
}

async function recordAnswer(
  tx: Transaction,
  task: TaskRow,
  what: 'Approved' | 'Discarded',
  actor: Actor,
): Promise<void> {
  const { entered, exited } = outputOf(task, 'diff');
  await recordAuditEvent(tx, {
    workspaceId: task.workspace_id,
    spaceId: task.space_id,
    type: `${KIND_NAMES[task.computation_kind]} Run ${what}`,
    actor,
    resource: { type: task.computation_kind, id: task.computation_id, name: task.computation_name },
    taskId: task.id,
    attempt: task.attempt,
    details: {
      before: outputOf(task, 'pin').liveSize ?? 0,
      after: outputOf(task, 'compute').size,
      entered,
      exited,
    },
  });
}
