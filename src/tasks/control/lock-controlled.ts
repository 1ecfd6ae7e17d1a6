import type { Transaction } from '../../store/index.ts';
import { lockTask } from '../model/lock-task.ts';
import { type TaskRow } from '../model/task.ts';
import { taskNotFound } from './refusals.ts';

/** A task as a person names it. */
export interface TaskAddress {
  workspaceId: string;
  taskId: string;
}

/**
 * The task that someone wants to control, locked until the transaction ends. Throws RequestError `task_not_found`, also for a task
 * of another workspace. What it waited for is in what it returns: the lock is taken first, and then the task is read.
 */
export async function lockControlledTask(tx: Transaction, { workspaceId, taskId }: TaskAddress): Promise<TaskRow> {
  const { rowCount } = await tx.query('select from tasks where id = $1 and workspace_id = $2 for update', [
    taskId,
    workspaceId,
  ]);
  if (rowCount === 0) throw taskNotFound(taskId);
  return await lockTask(tx, taskId);
}
