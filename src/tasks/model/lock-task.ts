import type { Queryable } from '../../store/index.ts';
import type { TaskRow } from './task.ts';

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
