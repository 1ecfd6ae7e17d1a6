import { readTask } from '../../../tasks/index.ts';
import type { ApiDeps } from '../../deps.ts';
import { toTaskResponse, type TaskResponse } from './tasks-schema.ts';

/** A task that a request has made or changed, as it is once that is committed. */
export async function readBack(deps: ApiDeps, workspaceId: string, taskId: string): Promise<TaskResponse> {
  const task = await readTask(deps.pool, { workspaceId, taskId });
  if (task === null) throw new Error(`task ${taskId} is not there after its commit`);
  return toTaskResponse(task, deps);
}
