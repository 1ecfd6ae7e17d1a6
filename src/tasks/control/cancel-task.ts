import { withdrawResyncWish } from '../../connections/index.ts';
import type { Actor } from '../../audit/index.ts';
import type { Transaction } from '../../store/index.ts';
import { endCancelled } from '../attempts/attempts.ts';
import { createTask } from '../scheduling/create-task.ts';
import { isEnded, type TaskRow } from '../model/task.ts';
import { lockControlledTask, type TaskAddress } from './lock-controlled.ts';
import { taskEnded } from './refusals.ts';

/**
 * Cancels an open task because someone asked for it; wake it then, so that what is under way is stopped. Returns the tasks that
 * were made: where a run went live while a sync was open it made no sync of its own, so that one is made now. Cancelling a
 * resync takes the wish back. Throws RequestError `task_ended` or `task_not_found`.
 */
export async function cancelTask(
  tx: Transaction,
  address: TaskAddress,
  by: { actor: Actor; reason?: string | undefined },
): Promise<string[]> {
  const task = await lockControlledTask(tx, address);
  if (isEnded(task.status)) {
    throw taskEnded(
      { ...task, status: task.status },
      'cancel',
      `Pause or disable ${task.computation_name} to hold back what comes next.`,
    );
  }
  await endCancelled(tx, task, 'asked', {
    actor: by.actor,
    ...(by.reason === undefined ? {} : { reason: by.reason }),
  });
  if (task.kind === 'run') return [];
  await withdrawResyncWish(tx, task.id);
  return await makeSwallowedSync(tx, task);
}

/** The sync of a version that went live while the cancelled one was open. */
async function makeSwallowedSync(tx: Transaction, task: TaskRow): Promise<string[]> {
  if (!task.connected || !task.computation_enabled || task.computation_deleted || task.connection_id === null)
    return [];
  const { rowCount } = await tx.query(
    `select from tasks sync join tasks run on run.computation_id = sync.computation_id
     where sync.id = $1 and run.kind = 'run' and run.status = 'succeeded'
       and run.ended_at > sync.created_at and run.id is distinct from sync.parent_task_id
     limit 1`,
    [task.id],
  );
  if (rowCount === 0) return [];
  const made = await createTask(tx, {
    workspaceId: task.workspace_id,
    spaceId: task.space_id,
    computationId: task.computation_id,
    connectionId: task.connection_id,
    kind: 'sync',
    reason: 'catch_up',
  });
  return made === null ? [] : [made];
}
