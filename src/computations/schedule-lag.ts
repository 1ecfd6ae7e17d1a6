import type { Queryable } from '../store/index.ts';
import { ARE_DUE } from './due.ts';

/**
 * How far the schedule is behind: how many computations are due without a run, and for how many seconds the oldest of them has
 * been (0 where there is none). One that waits for its own run, or for those it refers to, is not late. A schedule that keeps up is
 * behind by no more than its tick.
 */
export async function scheduleLag(db: Queryable): Promise<{ due: number; seconds: number }> {
  const { rows } = await db.query<{ due: number; seconds: number }>(
    `select count(*) as due, coalesce(extract(epoch from now() - min(c.next_run_at)), 0)::float8 as seconds ${ARE_DUE}`,
  );
  return rows[0] ?? { due: 0, seconds: 0 };
}
