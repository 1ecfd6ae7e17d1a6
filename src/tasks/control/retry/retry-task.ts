import { recordAuditEvent, type Actor } from '../../../audit/index.ts';
import { RequestError } from '../../../errors.ts';
import type { Transaction } from '../../../store/index.ts';
import { createTask } from '../../scheduling/create-task.ts';
import { taskEventType } from '../../model/event-types.ts';
import { stepsOf, type StepName } from '../../model/kinds.ts';
import { isEnded, type TaskRow } from '../../model/task.ts';
import { openRunOf } from '../../history/read-task.ts';
import { carryOver } from './carry-over.ts';
import { keepScope } from './keep-scope.ts';
import { lockControlledTask, type TaskAddress } from '../lock-controlled.ts';
import { openSyncOf } from '../open-sync-of.ts';
import { alreadyOpen, taskEnded, taskOpen } from '../refusals.ts';
import { requireActive, requireReachable } from '../requirements.ts';
import { refuseSuperseded } from './superseded.ts';

/**
 * Has a task that failed or was cancelled done again from one of its steps: by a new task, to be started, which takes over what
 * the steps before that one left, and from `deliver` on how far it came. So a task has one outcome for ever. Without `fromStep`
 * it goes on at the first step that has no checkpoint. Returns the new task's id.
 *
 * Throws RequestError `step_unknown` (400), `step_not_reached`, `task_open`, `task_ended` (it succeeded), `retry_superseded`
 * where something newer has happened, `run_open`, `sync_open`, `computation_disabled`, `computation_paused`, `not_connected`,
 * `destination_disabled`, `sync_suspended` or `task_not_found`.
 */
export async function retryTask(
  tx: Transaction,
  address: TaskAddress,
  by: { actor: Actor; fromStep?: string | undefined },
): Promise<string> {
  const task = await lockControlledTask(tx, address);
  if (!isEnded(task.status)) throw taskOpen(task, 'before you retry it');
  if (task.status === 'succeeded') {
    throw taskEnded({ ...task, status: task.status }, 'retry', `Run ${task.computation_name} now instead.`);
  }
  requireActive(
    { name: task.computation_name, enabled: task.computation_enabled, paused: task.computation_paused },
    'taskId',
  );
  if (task.connection_id !== null) await requireReachable(tx, task.connection_id);
  const { fromStep, carried } = chooseSteps(task, by.fromStep);
  const taskId = await createTask(tx, {
    workspaceId: task.workspace_id,
    spaceId: task.space_id,
    computationId: task.computation_id,
    ...(task.connection_id === null ? {} : { connectionId: task.connection_id }),
    parentTaskId: task.id,
    kind: task.kind,
    reason: 'retry',
  });
  // Once the new one is there, nothing else of its kind can begin; and what is newer is the better reason to refuse.
  await refuseSuperseded(tx, task, carried);
  if (taskId === null) {
    const open =
      task.connection_id === null ? await openRunOf(tx, task.computation_id) : await openSyncOf(tx, task.connection_id);
    throw alreadyOpen(task.kind, task.computation_name, open, 'taskId');
  }
  await carryOver(tx, { from: task.id, to: taskId, carried, fromStep });
  await keepScope(tx, task, { taskId, carried });
  await recordAuditEvent(tx, {
    workspaceId: task.workspace_id,
    spaceId: task.space_id,
    type: taskEventType(task, 'Retried'),
    actor: by.actor,
    resource: { type: task.computation_kind, id: task.computation_id, name: task.computation_name },
    taskId,
    details: {
      retriedTask: task.id,
      fromStep,
      ...(task.destination_id === null
        ? {}
        : { destinationId: task.destination_id, destinationName: task.destination_name }),
    },
  });
  return taskId;
}

/** The step that the new task begins with, and those before it, whose outputs it takes over. */
function chooseSteps(task: TaskRow, wanted: string | undefined): { fromStep: StepName; carried: StepName[] } {
  const names = stepsOf(task.kind).map((step) => step.name);
  const reached = names.findIndex((name) => !(name in task.outputs));
  // An ended task that has not succeeded lacks at least the checkpoint of its last step.
  const first = names[reached];
  if (first === undefined) throw new Error(`${task.id} is ${task.status} with all its checkpoints`);
  const at = wanted === undefined ? reached : names.findIndex((name) => name === wanted);
  const fromStep = names[at];
  if (fromStep === undefined) {
    throw new RequestError(
      'invalid',
      'step_unknown',
      `A ${task.kind} has no step ${JSON.stringify(wanted)}. Its steps are ${names.join(', ')}.`,
      { field: 'fromStep', data: { steps: names } },
    );
  }
  if (at > reached) {
    throw new RequestError(
      'conflict',
      'step_not_reached',
      `${task.id} came as far as ${first}: it can be retried from there or from an earlier step, not from ${fromStep}.`,
      { field: 'fromStep', data: { steps: names.slice(0, reached + 1) } },
    );
  }
  return { fromStep, carried: names.slice(0, at) };
}
