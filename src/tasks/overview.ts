import type { Queryable } from '../store/index.ts';
import { viewTasks, type TaskView } from './read-task.ts';

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
  const { rows } = await db.query<{ id: string; stands: boolean }>(
    `(select id, true as stands from tasks
      where workspace_id = $1 and computation_id = $2 and kind = 'run' order by created_at desc limit $3)
     union all
     (select latest.id, n.enabled and d.deleted_at is null from connections n
      join destinations d on d.id = n.destination_id
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
  // What went wrong with a destination that it is not connected to any more is history, and nobody's task.
  const standing = new Set(rows.filter((row) => row.stands).map((row) => row.id));
  return {
    runs: tasks.filter((task) => task.kind === 'run'),
    syncs: tasks.filter((task) => task.kind === 'sync'),
    hardFailures: latestOutcomes(tasks.filter((task) => standing.has(task.id))).filter(
      (task) => task.status === 'failed',
    ),
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

// The tasks come newest first, so the first with an outcome is the latest.
function latestOutcomes(tasks: TaskView[]): TaskView[] {
  const latest = new Map<string, TaskView>();
  for (const task of tasks) {
    const line = task.destination?.connectionId ?? 'run';
    if ((task.status === 'succeeded' || task.status === 'failed') && !latest.has(line)) latest.set(line, task);
  }
  return [...latest.values()];
}
