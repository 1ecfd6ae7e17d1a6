import type { Queryable } from '../../store/index.ts';
import type { TaskKind } from '../model/kinds.ts';
import type { TaskStatus } from '../model/task.ts';

export interface Backlog {
  /** Open tasks of a kind in a status, those that wait for admission among the pending. Kinds and statuses without any are left out. */
  open: { kind: TaskKind; status: TaskStatus; count: number }[];
  /** Tasks of a kind whose turn has not come, and the seconds since the oldest of them was written. Every kind is there. */
  waiting: { kind: TaskKind; count: number; oldestSeconds: number }[];
}

/** The tasks that are open, and those that wait for their turn: one statement, over open tasks only. */
export async function readBacklog(db: Queryable): Promise<Backlog> {
  const { rows } = await db.query<{
    kind: TaskKind;
    status: TaskStatus;
    count: number;
    waiting: number;
    oldest_seconds: number;
  }>(
    `select kind, status, count(*) as count, count(*) filter (where admitted_at is null) as waiting,
            coalesce(extract(epoch from now() - min(created_at) filter (where admitted_at is null)), 0)::float8 as oldest_seconds
     from tasks where ended_at is null
     group by kind, status order by kind, status`,
  );
  const waiting = (['run', 'sync'] as const).map((kind) => {
    const ofKind = rows.filter((row) => row.kind === kind);
    return {
      kind,
      count: ofKind.reduce((sum, row) => sum + row.waiting, 0),
      oldestSeconds: Math.max(0, ...ofKind.map((row) => row.oldest_seconds)),
    };
  });
  return { open: rows.map(({ kind, status, count }) => ({ kind, status, count })), waiting };
}

/**
 * Open tasks that should have gone on so many seconds ago and did not: admitted, or at the end of a wait, and held back by nobody. One
 * whose step is under way is left out, however long that takes.
 */
export async function countOverdueTasks(
  db: Queryable,
  afterSeconds: number,
): Promise<{ count: number; oldest: string; seconds: number }> {
  const { rows } = await db.query<{ id: string; count: number; seconds: number }>(
    `select t.id, count(*) over () as count, extract(epoch from now() - expected.at)::float8 as seconds
     from tasks t join computations c on c.id = t.computation_id
     cross join lateral (
       select case t.status when 'pending' then t.admitted_at when 'backing_off' then greatest(t.retry_at, t.waiting_until) end as at
     ) expected
     where t.ended_at is null and t.unrecorded_at is null and c.paused_at is null
       and expected.at < now() - $1 * interval '1 second'
     order by expected.at limit 1`,
    [afterSeconds],
  );
  const [first] = rows;
  return { count: first?.count ?? 0, oldest: first?.id ?? '', seconds: first?.seconds ?? 0 };
}
