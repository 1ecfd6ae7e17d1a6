import type { Queryable } from '../../store/index.ts';
import { viewTasks } from './read-task.ts';
import { standingHardFailures } from './standing-failures.ts';
import type { TaskView } from './task-view.ts';

export interface Overview {
  /** Newest first. */
  runs: TaskView[];
  /** Newest first, of every connection. */
  syncs: TaskView[];
  /** The latest outcome of the runs, and of the syncs to each destination, where it is a hard failure. */
  hardFailures: TaskView[];
}

/** What the Overview page of a computation shows: its latest runs, and the latest syncs of each of its connections. */
export async function readOverview(
  db: Queryable,
  query: { workspaceId: string; computationId: string; limit: number },
): Promise<Overview> {
  const { rows } = await db.query<{ id: string }>(
    `(select id from tasks
      where workspace_id = $1 and computation_id = $2 and kind = 'run' order by created_at desc limit $3)
     union all
     (select latest.id from connections n
      cross join lateral (
        select id from tasks where workspace_id = $1 and connection_id = n.id order by created_at desc limit $3
      ) latest
      where n.computation_id = $2)`,
    [query.workspaceId, query.computationId, query.limit],
  );
  const tasks = await viewTasks(
    db,
    query.workspaceId,
    rows.map((row) => row.id),
  );
  return {
    runs: tasks.filter((task) => task.kind === 'run'),
    syncs: tasks.filter((task) => task.kind === 'sync'),
    hardFailures: await standingHardFailures(db, { ...query, computationIds: [query.computationId] }),
  };
}

/** The workspace's latest tasks of all computations, newest first. */
export async function latestTasks(db: Queryable, query: { workspaceId: string; limit: number }): Promise<TaskView[]> {
  const { rows } = await db.query<{ id: string }>(
    'select id from tasks where workspace_id = $1 order by created_at desc, id desc limit $2',
    [query.workspaceId, query.limit],
  );
  return await viewTasks(
    db,
    query.workspaceId,
    rows.map((row) => row.id),
  );
}
