import { inTransaction, type PostgresPool } from '../../store/index.ts';

// Whoever writes tasks.admitted_at holds this lock, so that nobody counts what somebody else is about to add.
const ADMISSION_LOCK = 'trailmark.admission';
const LOCK_TIMEOUT = '10s';

// Runs that compute a definition for the first time, or as if, have a cap of their own. These expressions are those of two
// indexes, tasks_waiting_backfills and tasks_waiting_others.
const BACKFILLS = `t.reason in ('created', 'edited', 'backfill')`;
const OTHERS = `t.reason not in ('created', 'edited', 'backfill')`;
const WAITING = 't.ended_at is null and t.admitted_at is null';
const CAP = 'coalesce(t.destination_id, t.space_id)';

/** The first cap under which tasks of a sort wait: one probe of an index. */
function firstCap(sort: string, after = ''): string {
  return `select ${CAP} as cap from tasks t where ${WAITING} and ${sort} ${after} order by cap limit 1`;
}

/** All such caps: a probe for each, however many tasks there are. */
function allCaps(name: string, sort: string): string {
  return `${name} as (
    (${firstCap(sort)})
    union all
    select (${firstCap(sort, `and ${CAP} > ${name}.cap`)}) from ${name} where ${name}.cap is not null
  )`;
}

/** The oldest tasks of a sort that wait under a cap. */
function oldest(sort: string, limit: string): string {
  return `(
    select t.id, t.workspace_id, t.created_at from tasks t
    where ${WAITING} and ${sort} and ${CAP} = room.cap and t.computation_id not in (select id from paused)
    order by t.created_at, t.id limit greatest(0, ${limit})
  )`;
}

/**
 * What is admitted, in one statement; $1 is how many may be in flight.
 *
 * held: tasks that have a place. One that waits for approval, or whose computation is paused, or that can't go on because
 * PostgreSQL refuses what is to be written of it, has given its place up; when it
 * goes on it does so at once, and while that is more than a cap allows nothing else is admitted under that cap. `busy` is
 * whether it may occupy a worker: between attempts, and while it waits for a destination, it keeps its place in its space or
 * at its destination, but not one of all that are in flight.
 *
 * A cap belongs to a space (runs, and among them backfills) or to a destination (syncs). Those it has room for are its oldest;
 * a backfill that has none lets the younger ones pass. Then workspaces take turns: the next place goes to the one with the
 * fewest in flight, and there to the oldest.
 */
const ADMIT = `
  with recursive paused as materialized (
    select id from computations where paused_at is not null
  ), held as materialized (
    select t.workspace_id, ${CAP} as cap, ${BACKFILLS} as backfill,
      coalesce(greatest(t.retry_at, t.waiting_until) <= now(), true) as busy
    from tasks t
    where t.ended_at is null and t.admitted_at is not null and t.status <> 'awaiting_approval' and t.unrecorded_at is null
      and t.computation_id not in (select id from paused)
  ), free as materialized (
    select greatest(0, $1 - count(*)) as places from held where busy
  ), ${allCaps('caps_of_backfills', BACKFILLS)}, ${allCaps('caps_of_others', OTHERS)},
  room as materialized (
    select waited.cap, free.places,
      coalesce(s.max_runs, d.max_syncs) - coalesce(counted.tasks, 0) as tasks,
      coalesce(s.max_backfills, 0) - coalesce(counted.backfills, 0) as backfills
    from free, (select cap from caps_of_backfills union select cap from caps_of_others) waited
    left join spaces s on s.id = waited.cap
    left join destinations d on d.id = waited.cap
    left join (
      select cap, count(*) as tasks, count(*) filter (where backfill) as backfills from held group by cap
    ) counted on counted.cap = waited.cap
    where waited.cap is not null and free.places > 0
  ), in_flight as (
    select workspace_id, count(*) as tasks from held where busy group by workspace_id
  ), in_turn as (
    select fitting.id, fitting.created_at, coalesce(f.tasks, 0)
      + row_number() over (partition by fitting.workspace_id order by fitting.created_at, fitting.id) as turn
    from room
    cross join lateral (
      select * from (
        ${oldest(BACKFILLS, 'least(room.places, room.tasks, room.backfills)')}
        union all
        ${oldest(OTHERS, 'least(room.places, room.tasks)')}
      ) oldest
      order by created_at, id limit greatest(0, least(room.places, room.tasks))
    ) fitting
    left join in_flight f on f.workspace_id = fitting.workspace_id
  ), next as (
    select id from in_turn order by turn, created_at, id limit (select places from free)
  ), unlocked as (
    -- one that someone is about to cancel, say, is left for the next time
    select t.id from tasks t where t.id in (select id from next) and ${WAITING}
    for no key update skip locked
  )
  update tasks t set admitted_at = clock_timestamp()
  from unlocked where t.id = unlocked.id
  returning t.id`;

const ANY_WAITING = `(${firstCap(BACKFILLS)}) union all (${firstCap(OTHERS)}) limit 1`;

/**
 * Gives places to tasks that wait for their turn, and returns their ids. Strict however many processes do it at once: they
 * decide one after the other. `maxInFlight` is how many may occupy workers at once, of all workspaces together.
 */
export async function admitTasks(pool: PostgresPool, maxInFlight: number): Promise<string[]> {
  // Most of the time nothing waits, and then there is nothing to decide.
  const { rowCount } = await pool.query(ANY_WAITING);
  if (rowCount === 0) return [];
  return await inTransaction(pool, async (tx) => {
    // Without figures of its own yet, or with old ones, the planner would read whole tables for a few rows.
    await tx.query(`select set_config('enable_seqscan', 'off', true), set_config('lock_timeout', $1, true)`, [
      LOCK_TIMEOUT,
    ]);
    // A statement of its own: the one that decides has to see what the holder before committed.
    await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [ADMISSION_LOCK]);
    const { rows } = await tx.query<{ id: string }>(ADMIT, [maxInFlight]);
    return rows.map(({ id }) => id);
  });
}
