import { WorkflowExecutionAlreadyStartedError, type Client } from '@temporalio/client';
import type { PostgresPool } from '../store/index.ts';
import type { TaskKind } from './kinds.ts';

/** The task queue that workers listen on. */
export const TASK_QUEUE = 'trailmark';

/** Starts the workflow of a task that has been written. Safe to call again: a task has one workflow at a time. */
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
    // A workflow that was terminated, or lost with Temporal's data, must not hold its task open for ever: one that finds its
    // task ended does nothing.
    await startWorkflow(deps.temporal, 'ALLOW_DUPLICATE', 'executeTask', `task/${taskId}`, [
      { taskId, kind, heartbeatTimeoutMs: deps.heartbeatTimeoutMs },
    ]);
    await deps.pool.query('update tasks set dispatched_at = clock_timestamp() where id = $1', [taskId]);
  };
}

/** Starts a workflow under its id unless one was started under it before. */
export async function startOnce(temporal: Client, type: string, workflowId: string, args: unknown[]): Promise<void> {
  await startWorkflow(temporal, 'REJECT_DUPLICATE', type, workflowId, args);
}

async function startWorkflow(
  temporal: Client,
  workflowIdReusePolicy: 'ALLOW_DUPLICATE' | 'REJECT_DUPLICATE',
  type: string,
  workflowId: string,
  args: unknown[],
): Promise<void> {
  try {
    await temporal.workflow.start(type, { workflowId, taskQueue: TASK_QUEUE, args, workflowIdReusePolicy });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
