import { WorkflowNotFoundError, type Client, type WorkflowExecutionDescription } from '@temporalio/client';
import { readAttributes } from '../scheduling/search-attributes.ts';
import { taskIdOf, workflowIdOf } from '../scheduling/dispatch.ts';

/** What Temporal says of a task's workflow, as far as it matters to whether the task goes on. */
export type WorkflowState =
  /** There is none that could go on. `status` is how the last one ended; NOT_FOUND where Temporal knows of none. */
  | { is: 'missing'; status: string }
  /** It is asked to go on again and again, and fails each time, in its own code: its history does not replay, say. */
  | { is: 'failing'; runId: string; because: string; executing: boolean }
  /** A worker has it, or one will as soon as there is one: a step is under way or queued, or a workflow task is. */
  | { is: 'busy'; runId: string }
  /** It waits for a timer or a signal, and for nothing else. */
  | { is: 'idle'; runId: string };

/** The task that a running workflow was started for, by its search attributes: for one whose row is gone. */
export interface StartedFor {
  workspaceId: string | undefined;
  computationId: string | undefined;
  kind: string | undefined;
}

const ENDED: ReadonlySet<string> = new Set(['COMPLETED', 'FAILED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT']);
// A workflow task that fails is tried again at once; a worker that died takes one or two with it.
const FAILING_ATTEMPTS = 3;
// The end of a history is where its failed workflow task is.
const LAST_EVENTS = 20;
const PAGE = 1_000;

/** The ids of the tasks that have a running workflow, as Temporal's visibility has it: a moment behind, so nothing to act on alone. */
export async function listExecutedTasks(temporal: Client, taskQueue: string): Promise<Set<string>> {
  const query = `WorkflowType = 'executeTask' AND ExecutionStatus = 'Running' AND TaskQueue = '${taskQueue}'`;
  const taskIds = new Set<string>();
  for await (const { workflowId } of temporal.workflow.list({ query, pageSize: PAGE })) {
    const taskId = taskIdOf(workflowId);
    if (taskId !== undefined) taskIds.add(taskId);
  }
  return taskIds;
}

/** Looks at a task's workflow itself. Throws what Temporal threw where it can't be reached. */
export async function lookAtWorkflow(
  temporal: Client,
  taskId: string,
): Promise<{ state: WorkflowState; startedFor?: StartedFor }> {
  let description: WorkflowExecutionDescription;
  try {
    description = await temporal.workflow.getHandle(workflowIdOf(taskId)).describe();
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return { state: { is: 'missing', status: 'NOT_FOUND' } };
  }
  const startedFor = readAttributes(description.typedSearchAttributes);
  const { runId, status, raw } = description;
  if (ENDED.has(status.name)) return { state: { is: 'missing', status: status.name }, startedFor };
  // Somebody paused it in Temporal, and will know why.
  if (status.name !== 'RUNNING') return { state: { is: 'busy', runId }, startedFor };
  const { pendingWorkflowTask, pendingActivities } = raw;
  if ((pendingWorkflowTask?.attempt ?? 0) >= FAILING_ATTEMPTS) {
    const because = await readFailure(temporal, taskId, runId);
    if (because !== undefined) {
      const executing = pendingActivities?.some(({ lastStartedTime }) => Boolean(lastStartedTime)) ?? false;
      return { state: { is: 'failing', runId, because, executing }, startedFor };
    }
  }
  const busy = Boolean(pendingWorkflowTask) || (pendingActivities?.length ?? 0) > 0;
  return { state: { is: busy ? 'busy' : 'idle', runId }, startedFor };
}

/** Ends a run of a task's workflow. One that has ended by itself meanwhile is left alone. */
export async function terminateWorkflow(
  temporal: Client,
  taskId: string,
  runId: string,
  reason: string,
): Promise<boolean> {
  try {
    await temporal.workflow.getHandle(workflowIdOf(taskId), runId).terminate(reason);
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/**
 * Why the workflow task failed that the workflow can't get past; undefined where it merely timed out, because its workers died or
 * have too much to do.
 */
async function readFailure(temporal: Client, taskId: string, runId: string): Promise<string | undefined> {
  const { history } = await temporal.workflowService.getWorkflowExecutionHistoryReverse({
    namespace: temporal.options.namespace,
    execution: { workflowId: workflowIdOf(taskId), runId },
    maximumPageSize: LAST_EVENTS,
  });
  for (const event of history?.events ?? []) {
    if (event.workflowTaskCompletedEventAttributes) return undefined;
    const failed = event.workflowTaskFailedEventAttributes;
    if (failed) return failed.failure?.message ?? `cause ${failed.cause ?? 'unknown'}`;
  }
  return undefined;
}
