import { newId, type Queryable } from '../store/index.ts';
import { MAX_ATTEMPTS } from './retry-policy.ts';
import { stepsOf, type TaskKind } from './kinds.ts';

export type TaskReason =
  | 'scheduled'
  | 'created'
  | 'edited'
  | 'run_now'
  | 'backfill'
  | 'fan_out'
  | 'catch_up'
  | 'resync'
  | 'redrive'
  | 'retry';

export interface NewTask {
  workspaceId: string;
  spaceId: string;
  computationId: string;
  kind: TaskKind;
  reason: TaskReason;
  /** The connection that a sync delivers to. */
  connectionId?: string;
  /** The run that a sync comes from; the task that is retried, or whose rejected rows are sent again. */
  parentTaskId?: string;
}

/**
 * Writes a task with its steps, to be dispatched after the transaction commits.
 * Returns its id, or null where one of its kind is open already: one run per computation, one sync per connection at a time.
 */
export async function createTask(tx: Queryable, task: NewTask): Promise<string | null> {
  const steps = stepsOf(task.kind);
  const { rows } = await tx.query<{ id: string }>(
    `with task as (
       insert into tasks (id, workspace_id, space_id, computation_id, connection_id, parent_task_id, kind, reason, max_attempts)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
       on conflict do nothing
       returning id
     ), made as (
       insert into steps (task_id, position, name)
       select task.id, step.position - 1, step.name
       from task, unnest($10::text[]) with ordinality as step (name, position)
     )
     select id from task`,
    [
      newId('task'),
      task.workspaceId,
      task.spaceId,
      task.computationId,
      task.connectionId ?? null,
      task.parentTaskId ?? null,
      task.kind,
      task.reason,
      MAX_ATTEMPTS,
      steps.map((step) => step.name),
    ],
  );
  return rows[0]?.id ?? null;
}
