import { WorkflowExecutionAlreadyStartedError, type Client } from '@temporalio/client';
import type { PostgresPool } from '../store/index.ts';
import type { TaskKind } from './kinds.ts';

/** The task queue that workers listen on. */
export const TASK_QUEUE = 'trailmark';

/** Starts the workflow of a task that has been written. Safe to call again: a task has one workflow. */
export type TaskStarter = (taskId: string) => Promise<void>;

/**
 * A starter of workflows. If Temporal can't be reached it throws, and the task stays pending without dispatched_at:
 * the scheduler's next beat starts it.
 */
export function createTaskStarter(deps: {
  pool: PostgresPool;
  temporal: Client;
  heartbeatTimeoutMs: number;
}): TaskStarter {
  return async (taskId) => {
    const { rows } = await deps.pool.query<{ kind: TaskKind }>('select kind from tasks where id = $1', [taskId]);
    const kind = rows[0]?.kind;
    if (kind === undefined) throw new Error(`no task ${taskId}`);
    await startOnce(deps.temporal, 'executeTask', `task/${taskId}`, [
      { taskId, kind, heartbeatTimeoutMs: deps.heartbeatTimeoutMs },
    ]);
    await deps.pool.query(
      'update tasks set dispatched_at = clock_timestamp() where id = $1 and dispatched_at is null',
      [taskId],
    );
  };
}

/** Starts a workflow under its id unless one was started under it before. */
export async function startOnce(temporal: Client, type: string, workflowId: string, args: unknown[]): Promise<void> {
  try {
    await temporal.workflow.start(type, {
      workflowId,
      taskQueue: TASK_QUEUE,
      args,
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
