import type { Queryable } from '../../store/index.ts';

/** A task that may have to be mended, as it was when it was looked at. Times are text: PostgreSQL's are finer than a Date. */
export interface SuspectRow {
  id: string;
  /** When its workflow was started. */
  dispatched_at: string | null;
  stuck_at: string | null;
  /** The last sign that its workflow was alive, by what it left in PostgreSQL. */
  last_sign_at: string | null;
  /** How long ago it should have gone on, in milliseconds; negative where that is still to come. */
  overdue_ms: number;
  /** Someone holds it back: nothing is expected of it. */
  held: boolean;
  /** What the reconciler may do: not the same again until there was a sign of life, or an hour is over. */
  episode: 'none' | 'woken' | 'replaced';
  /** How long ago that was, in milliseconds. */
  episode_ms: number | null;
}

// Whoever wrote a task, or ended it, is just doing what the reconciler would find missing.
const SETTLE = '15 seconds';
// A task that should have gone on so long ago does not.
export const OVERDUE_MS = 30_000;

/**
 * An open task's signs of life. When it should have gone on: a pending one since it was dispatched, one that backs off or waits
 * since that was over, one whose step is under way since it began (so that someone looks whether it still is), any other that
 * runs since its last sign. Nothing is expected of one that is paused, or waits for an approval.
 */
const SUSPECTS = `
  select t.id, t.dispatched_at::text, t.stuck_at::text, sign.at::text as last_sign_at,
    extract(epoch from now() - expected.at)::float8 * 1000 as overdue_ms, expected.held,
    case when t.stuck_at is null or sign.at > t.stuck_at then 'none'
         when t.dispatched_at > t.stuck_at then 'replaced' else 'woken' end as episode,
    extract(epoch from now() - t.stuck_at)::float8 * 1000 as episode_ms
  from tasks t
  join computations c on c.id = t.computation_id
  cross join lateral (
    select max(greatest(e.started_at, e.ended_at)) as at, max(e.started_at) filter (where e.ended_at is null) as executing_since
    from step_executions e where e.task_id = t.id
  ) steps
  cross join lateral (
    select max(greatest(a.started_at, a.ended_at)) as at from attempts a where a.task_id = t.id
  ) attempts
  cross join lateral (select greatest(steps.at, attempts.at, t.approved_at) as at) sign
  cross join lateral (
    select greatest(t.dispatched_at, case
      when c.paused_at is not null or t.status = 'awaiting_approval' then null
      when t.status = 'pending' then t.admitted_at
      when t.status = 'backing_off' then t.retry_at
      else greatest(t.waiting_until, steps.executing_since, sign.at)
    end) as at, c.paused_at is not null or t.status = 'awaiting_approval' as held
  ) expected
  where t.ended_at is null and t.dispatched_at < now() - interval '${SETTLE}'`;

/** Open tasks that should have gone on a while ago, up to `limit` of them, in no order: each has its turn to be looked at. */
export async function readOverdue(db: Queryable, limit: number): Promise<SuspectRow[]> {
  const { rows } = await db.query<SuspectRow>(
    // One whose bookkeeping is refused is tried again by its workflow, and no other would get further.
    `${SUSPECTS} and not expected.held and t.unrecorded_at is null and expected.at < now() - $1 * interval '1 ms' order by random() limit $2`,
    [OVERDUE_MS, limit],
  );
  return rows;
}

/** Of these tasks, up to `limit` that are open and were dispatched a while ago, in no order. */
export async function readSuspects(db: Queryable, taskIds: readonly string[], limit: number): Promise<SuspectRow[]> {
  if (taskIds.length === 0) return [];
  const { rows } = await db.query<SuspectRow>(`${SUSPECTS} and t.id = any ($1) order by random() limit $2`, [
    taskIds,
    limit,
  ]);
  return rows;
}

/** The open tasks that should have a workflow: those that were dispatched a while ago. */
export async function readDispatched(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select id from tasks where ended_at is null and dispatched_at < now() - interval '${SETTLE}'`,
  );
  return rows.map(({ id }) => id);
}

/** A task that no workflow should execute any more: it ended so many milliseconds ago, or there is no such task. */
export interface UnwantedRow {
  id: string;
  ended_ms: number | null;
}

/** Of these tasks, those that no workflow should execute any more, for a while. */
export async function readUnwanted(db: Queryable, taskIds: readonly string[], limit: number): Promise<UnwantedRow[]> {
  const { rows } = await db.query<UnwantedRow>(
    `select wanted.id, extract(epoch from now() - t.ended_at)::float8 * 1000 as ended_ms
     from unnest($1::text[]) as wanted (id) left join tasks t using (id)
     where t.id is null or t.ended_at < now() - interval '${SETTLE}'
     order by random() limit $2`,
    [taskIds, limit],
  );
  return rows;
}

/** Tasks whose step goes on although their computation is paused: whoever paused it could not tell their workflow. */
export async function readUnheard(db: Queryable, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select distinct t.id from computations c
     join tasks t on t.computation_id = c.id
     join step_executions e on e.task_id = t.id
     where c.paused_at < now() - interval '${SETTLE}' and t.ended_at is null and e.ended_at is null limit $1`,
    [limit],
  );
  return rows.map(({ id }) => id);
}
