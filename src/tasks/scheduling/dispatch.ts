import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { PostgresPool } from '../../store/index.ts';
import { LOOK_SIGNAL, type ExecuteTaskInput, type TaskKind } from '../model/kinds.ts';
import { attributesOf, isUnknownAttribute } from './search-attributes.ts';

/**
 * The kinds of work that workers take, each from a task queue of its own, so that one kind can have workers of its own and a
 * crowd of one does not keep another waiting. `workflows` is the workflows themselves and their bookkeeping in PostgreSQL;
 * `compute` burdens ClickHouse, `deliver` destinations, `alerts` the channels of people.
 */
export const WORK_KINDS = ['workflows', 'compute', 'deliver', 'alerts'] as const;
export type WorkKind = (typeof WORK_KINDS)[number];

/** The name of each kind's task queue. */
export type TaskQueues = Readonly<Record<WorkKind, string>>;

/** The task queues under a name; another name (of a test, say) has workers of its own. */
export function taskQueues(name = 'trailmark'): TaskQueues {
  return { workflows: name, compute: `${name}-compute`, deliver: `${name}-deliver`, alerts: `${name}-alerts` };
}

/** Starts the workflow of a task that has been written. Safe to call again: a task has one workflow at a time. */
export type TaskStarter = (taskId: string) => Promise<void>;

/** Tells the workflow of a task to ask PostgreSQL what to do now. One that is not there hears nothing, and that is fine. */
export type TaskWaker = (taskId: string) => Promise<void>;

// Whoever waits for an answer of Temporal's has something better to do: what is not started now, the next tick starts.
const ANSWER_WITHIN_MS = 5_000;
// Where the search attributes are not known (yet), starting without them is tried first for so long.
const UNKNOWN_FOR_MS = 30_000;

/** The id of the workflow that executes a task. */
export function workflowIdOf(taskId: string): string {
  return `${WORKFLOW_PREFIX}${taskId}`;
}

/** The task that a workflow of this id executes; undefined for another's id. */
export function taskIdOf(workflowId: string): string | undefined {
  return workflowId.startsWith(WORKFLOW_PREFIX) ? workflowId.slice(WORKFLOW_PREFIX.length) : undefined;
}

const WORKFLOW_PREFIX = 'task/';

/**
 * A starter of workflows. If Temporal can't be reached it throws, and the task stays without dispatched_at: the scheduler's next
 * tick starts it. Where Temporal does not know our search attributes, workflows are started without them.
 */
export function createTaskStarter(deps: {
  pool: PostgresPool;
  temporal: Client;
  heartbeatTimeoutMs: number;
  queues?: TaskQueues;
}): TaskStarter {
  const { pool, temporal, heartbeatTimeoutMs, queues = taskQueues() } = deps;
  let unknownUntil = 0;

  async function start(task: TaskToStart, searchable: boolean): Promise<void> {
    const input: ExecuteTaskInput = {
      taskId: task.id,
      workspaceId: task.workspace_id,
      kind: task.kind,
      heartbeatTimeoutMs,
      queues: { compute: queues.compute, deliver: queues.deliver },
      searchable,
    };
    await unlessStarted(temporal, async () => {
      await temporal.workflow.start('executeTask', {
        workflowId: workflowIdOf(task.id),
        taskQueue: queues.workflows,
        args: [input],
        // A workflow that was terminated, or lost with Temporal's data, must not hold its task open for ever: one that finds its
        // task ended does nothing.
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        // Where work waits in Temporal's queues, workspaces take turns. A server that knows nothing of it, or has it off, passes it over.
        priority: { fairnessKey: task.workspace_id },
        ...(searchable ? { typedSearchAttributes: attributesOf(task) } : {}),
      });
    });
  }

  return async (taskId) => {
    const { rows } = await pool.query<TaskToStart>(
      'select id, kind, workspace_id, computation_id from tasks where id = $1',
      [taskId],
    );
    const task = rows[0];
    if (task === undefined) throw new Error(`no task ${taskId}`);
    const searchable = Date.now() >= unknownUntil;
    try {
      await start(task, searchable);
    } catch (error) {
      if (!searchable || !isUnknownAttribute(error)) throw error;
      unknownUntil = Date.now() + UNKNOWN_FOR_MS;
      await start(task, false);
    }
    await pool.query('update tasks set dispatched_at = clock_timestamp() where id = $1', [taskId]);
  };
}

interface TaskToStart {
  id: string;
  kind: TaskKind;
  workspace_id: string;
  computation_id: string;
}

/** A sender of the signal `look`. Throws if Temporal can't be reached: the reconciler wakes the task then. */
export function createTaskWaker(temporal: Client): TaskWaker {
  return async (taskId) => {
    try {
      await temporal.withDeadline(Date.now() + ANSWER_WITHIN_MS, async () => {
        await temporal.workflow.getHandle(workflowIdOf(taskId)).signal(LOOK_SIGNAL);
      });
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  };
}

/** Starts the workflow that delivers an alert to a channel, unless it was started before. */
export async function startDelivery(
  temporal: Client,
  deliveryId: string,
  queues: TaskQueues = taskQueues(),
): Promise<void> {
  await unlessStarted(temporal, async () => {
    await temporal.workflow.start('deliverAlert', {
      workflowId: `alert-delivery/${deliveryId}`,
      taskQueue: queues.workflows,
      args: [deliveryId, queues.alerts],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
    });
  });
}

async function unlessStarted(temporal: Client, start: () => Promise<void>): Promise<void> {
  try {
    await temporal.withDeadline(Date.now() + ANSWER_WITHIN_MS, start);
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
