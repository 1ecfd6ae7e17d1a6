import type { Queryable } from '../../store/index.ts';
import { viewTasks } from './read-task.ts';
import type { TaskView } from './task-view.ts';

/**
 * The hard failures that stand: of each of these computations the latest outcome of its runs, and of its syncs to each
 * destination, where it is one. Newest first. What went wrong with a destination that a computation is not connected to any
 * more is history, and nobody's task.
 */
export async function standingHardFailures(
  db: Queryable,
  query: { workspaceId: string; computationIds: string[] },
): Promise<TaskView[]> {
  const { rows } = await db.query<{ id: string }>(
    `select latest.id from computations c
     cross join lateral (
       select id, status from tasks
       where computation_id = c.id and kind = 'run' and status in ('succeeded', 'failed')
       order by created_at desc limit 1
     ) latest
     where c.workspace_id = $1 and c.id = any($2) and latest.status = 'failed'
     union all
     select latest.id from connections n
     join computations c on c.id = n.computation_id
     join destinations d on d.id = n.destination_id
     cross join lateral (
       select id, status from tasks
       where connection_id = n.id and status in ('succeeded', 'failed')
       order by created_at desc limit 1
     ) latest
     where c.workspace_id = $1 and c.id = any($2) and n.enabled and d.deleted_at is null and latest.status = 'failed'`,
    [query.workspaceId, query.computationIds],
  );
  return await viewTasks(
    db,
    query.workspaceId,
    rows.map((row) => row.id),
  );
}
