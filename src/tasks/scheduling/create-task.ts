import { newId, type Queryable } from '../../store/index.ts';
import { MAX_ATTEMPTS } from '../model/retry-policy.ts';
import { stepsOf, type TaskKind } from '../model/kinds.ts';

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
  /** The schedule's slot that a run is for. */
  slotAt?: Date | null;
  /** How long after that slot's time the run was made, in milliseconds. */
  lateMs?: number | null;
  /** Slots after that one that passed as well: the run is for them too. */
  missedSlots?: number;
}

/**
 * Writes a task with its steps, to be admitted after the transaction commits.
 * Returns its id, or null where one of its kind is open already: one run per computation, one sync per connection at a time.
 */
export async function createTask(tx: Queryable, task: NewTask): Promise<string | null> {
  return (await createTasks(tx, [task]))[0] ?? null;
}

/** Writes several tasks as one statement; gives each one's id, or null where one of its kind is open already, in their order. */
export async function createTasks(tx: Queryable, tasks: readonly NewTask[]): Promise<(string | null)[]> {
  if (tasks.length === 0) return [];
  const ids = tasks.map(() => newId('task'));
  const { rows } = await tx.query<{ id: string }>(
    `with task as (
       insert into tasks (id, workspace_id, space_id, computation_id, connection_id, parent_task_id, kind, reason,
         slot_at, late_ms, missed_slots, max_attempts, destination_id)
       select new.*, $12::integer, (select n.destination_id from connections n where n.id = new.connection_id)
       from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
         $9::timestamptz[], $10::bigint[], $11::integer[])
         as new (id, workspace_id, space_id, computation_id, connection_id)
       on conflict do nothing
       returning id, kind
     ), made as (
       insert into steps (task_id, position, name)
       select task.id, step.position, step.name
       from task join unnest($13::text[], $14::smallint[], $15::text[]) as step (kind, position, name) using (kind)
     )
     select id from task`,
    [
      ids,
      tasks.map((task) => task.workspaceId),
      tasks.map((task) => task.spaceId),
      tasks.map((task) => task.computationId),
      tasks.map((task) => task.connectionId ?? null),
      tasks.map((task) => task.parentTaskId ?? null),
      tasks.map((task) => task.kind),
      tasks.map((task) => task.reason),
      tasks.map((task) => task.slotAt ?? null),
      tasks.map((task) => task.lateMs ?? null),
      tasks.map((task) => task.missedSlots ?? 0),
      MAX_ATTEMPTS,
      ...stepColumns([...new Set(tasks.map((task) => task.kind))]),
    ],
  );
  const written = new Set(rows.map((row) => row.id));
  return ids.map((id) => (written.has(id) ? id : null));
}

/** The steps of these kinds, as columns: kind, position, name. */
function stepColumns(kinds: readonly TaskKind[]): [string[], number[], string[]] {
  const steps = kinds.flatMap((kind) => stepsOf(kind).map(({ name }, position) => ({ kind, position, name })));
  return [steps.map(({ kind }) => kind), steps.map(({ position }) => position), steps.map(({ name }) => name)];
}
