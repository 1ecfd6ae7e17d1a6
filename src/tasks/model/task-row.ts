import type { Queryable } from '../../store/index.ts';
import type { StepOutputs } from './step-outputs.ts';
import { stepsOf, type StepName, type TaskKind } from './kinds.ts';

export type TaskOutcome = 'succeeded' | 'failed' | 'cancelled';
export type TaskStatus = 'pending' | 'running' | 'backing_off' | 'awaiting_approval' | TaskOutcome;

/** A task with what it is about: the row that steps, failures and successes work on. */
export interface TaskRow {
  id: string;
  workspace_id: string;
  space_id: string;
  computation_id: string;
  connection_id: string | null;
  kind: TaskKind;
  status: TaskStatus;
  attempt: number;
  max_attempts: number;
  /** When the next attempt may begin, where the task is backing off. */
  retry_at: Date | null;
  /** How often the present attempt has gone on after it lost the worker of a step (see record-failure.ts). */
  losses: number;
  /** Until when a step waits for its destination, without costing an attempt. */
  waiting_until: Date | null;
  approved_at: Date | null;
  /** Since when PostgreSQL refuses the task's bookkeeping (see unrecorded.ts). */
  unrecorded_at: Date | null;
  computation_kind: 'audience' | 'computed_trait';
  computation_key: string;
  computation_name: string;
  computation_deleted: boolean;
  computation_enabled: boolean;
  computation_paused: boolean;
  /** of the definition that stands now; a run has pinned the one of its beginning */
  definition_version: number;
  guard_share: number | null;
  guard_min_members: number;
  /** null for a run */
  destination_id: string | null;
  destination_name: string | null;
  /** whether the connection of a sync is there, switched on and not suspended, true for a run */
  connected: boolean;
  /** What the steps that have their checkpoint put out, by their names. */
  outputs: Partial<StepOutputs>;
}

/** Whether a task has had its outcome: it is never executed again. */
export function isEnded(status: TaskStatus): status is TaskOutcome {
  return status === 'succeeded' || status === 'failed' || status === 'cancelled';
}

/**
 * Whether what the task is about is gone: its computation was deleted, or its connection or destination taken away or switched off. A
 * sync's also where its computation is off: nothing of that goes out any more. A run that is under way ends as it would have.
 */
export function isObsolete(task: TaskRow): boolean {
  return task.computation_deleted || !task.connected || (task.kind === 'sync' && !task.computation_enabled);
}

/** The names of the task's steps that had their checkpoint when it was read, in order. */
export function completedSteps(task: TaskRow): StepName[] {
  return stepsOf(task.kind).flatMap(({ name }) => (name in task.outputs ? [name] : []));
}

/** The select that reads a task ($1) with what it is about, and locks its row. Also for a statement that goes on from it. */
export const LOCK_TASK = `select t.id, t.workspace_id, t.space_id, t.computation_id, t.connection_id, t.kind, t.status, t.attempt, t.max_attempts,
            t.losses, t.retry_at, t.waiting_until, t.approved_at, t.unrecorded_at,
            c.kind as computation_kind, c.key as computation_key, c.name as computation_name,
            c.deleted_at is not null as computation_deleted, c.enabled as computation_enabled,
            c.paused_at is not null as computation_paused, c.definition_version, c.guard_share, c.guard_min_members,
            d.id as destination_id, d.name as destination_name,
            (t.kind = 'run' or coalesce(n.enabled and n.suspended_at is null and d.enabled and d.deleted_at is null, false)) as connected,
            coalesce((select jsonb_object_agg(s.name, s.output) from steps s
                      where s.task_id = t.id and s.completed_at is not null), '{}') as outputs
     from tasks t
     join computations c on c.id = t.computation_id
     left join connections n on n.id = t.connection_id
     left join destinations d on d.id = n.destination_id
     where t.id = $1
     for update of t`;

/** Locks the task's row until the transaction ends and returns it. Throws if there is no such task. */
export async function lockTask(tx: Queryable, taskId: string): Promise<TaskRow> {
  // Named, as are the other statements of every step: PostgreSQL plans them once a connection, which takes longer than they do.
  const { rows } = await tx.query<TaskRow>({ name: 'lock-task', text: LOCK_TASK, values: [taskId] });
  const task = rows[0];
  if (task === undefined) throw new Error(`no task ${taskId}`);
  return task;
}
