import { RequestError } from '../../errors.ts';
import type { TaskKind } from '../model/kinds.ts';
import type { TaskOutcome } from '../model/task.ts';

const OUTCOMES: Record<TaskOutcome, string> = {
  succeeded: 'has succeeded',
  failed: 'has failed',
  cancelled: 'was cancelled',
};

/** There is no such task in the workspace. */
export function taskNotFound(taskId: string): RequestError {
  return new RequestError('not_found', 'task_not_found', `There is no task ${taskId} in this workspace.`, {
    field: 'taskId',
  });
}

/** A task that has had its outcome: `cannot` says what can't be done with it, `instead` what can. */
export function taskEnded(
  task: { id: string; kind: TaskKind; status: TaskOutcome },
  cannot: string,
  instead: string,
): RequestError {
  return new RequestError(
    'conflict',
    'task_ended',
    `The ${task.kind} ${task.id} ${OUTCOMES[task.status]}: can't ${cannot} what is done. ${instead}`,
    { field: 'taskId', data: { status: task.status } },
  );
}

/** A task that has not had its outcome yet, where one is needed. */
export function taskOpen(task: { id: string; kind: TaskKind; status: string }, purpose: string): RequestError {
  return new RequestError(
    'conflict',
    'task_open',
    `The ${task.kind} ${task.id} is still open (${task.status}). Wait for its outcome, or cancel it, ${purpose}.`,
    { field: 'taskId', data: { status: task.status } },
  );
}

/** Another task of the kind is open: there is one run of a computation, and one sync of a connection, at a time. */
export function alreadyOpen(kind: TaskKind, name: string, openTaskId: string | null, field: string): RequestError {
  return new RequestError(
    'conflict',
    `${kind}_open`,
    `A ${kind} of ${name} is open already${openTaskId === null ? '' : `: ${openTaskId}`}. Wait for its outcome, or cancel it.`,
    { field, data: { taskId: openTaskId } },
  );
}
