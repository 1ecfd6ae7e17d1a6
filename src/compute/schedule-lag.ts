import type { Queryable } from '../store/index.ts';

/**
 * How far the schedule is behind: how many computations are due without a run, and for how many seconds the oldest of them has
 * been (0 where there is none). One whose run is still open waits for that, and is not late. A schedule that keeps up is behind by
 * no more than its beat.
 */
export async function scheduleLag(db: Queryable): Promise<{ due: number; seconds: number }> {
  const { rows } = await db.query<{ due: number; seconds: number }>(
    `select count(*) as due, coalesce(extract(epoch from now() - min(next_run_at)), 0)::float8 as seconds
     from computations c
     where enabled and deleted_at is null and paused_at is null and next_run_at <= now()
       and not exists (select from tasks t where t.computation_id = c.id and t.kind = 'run' and t.ended_at is null)`,
  );
  return rows[0] ?? { due: 0, seconds: 0 };
}
