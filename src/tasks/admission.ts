import type { Logger } from '../logger.ts';
import { inTransaction, type PostgresPool } from '../store/index.ts';
import type { TaskStarter } from './dispatch.ts';

export interface Admitter {
  /**
   * Lets tasks begin whose turn has come, as far as the caps allow, and starts their workflows. Whose turn it is does not depend
   * on who asks: of `taskIds`, some may have to wait. Says how many began (of `taskIds`, where they are given). A workflow that
   * can't be started is logged, and started by a later call without taskIds. Throws what PostgreSQL threw.
   */
  admit(taskIds?: readonly string[]): Promise<number>;
  /** Soon looks for tasks that can begin, because a place may have become free. Returns at once, and never throws. */
  poke(): void;
}

export interface RunningAdmitter extends Admitter {
  /** Ends what poke has begun or was about to. Call it before the pool is closed. */
  close(): Promise<void>;
}

// Whoever writes tasks.admitted_at holds this lock, so that nobody counts what somebody else is about to add.
const ADMISSION_LOCK = 'trailmark.admission';
const LOCK_TIMEOUT = '10s';
// Ends of tasks come in bursts; one look serves them all. And looking must not take more than a part of the time.
const POKE_DELAY_MS = 50;
const POKE_REST = 4;
// A task this long admitted and not dispatched was left by someone who could not start it.
const UNDISPATCHED_AFTER = '2 seconds';
const UNDISPATCHED_BATCH = 500;

/**
 * What is admitted, in one statement.
 *
 * held: tasks that have a place. One that waits for approval, or whose computation is paused, has given its place up; when it
 * goes on it does so at once, and while that is more than a cap allows nothing else is admitted under that cap. `busy` is
 * whether it may occupy a worker: between attempts, and while it waits for a destination, it keeps its place in its space or
 * at its destination, but not one of all that are in flight.
 *
 * A cap belongs to a space (runs, and among them backfills: first runs, edits, backfills that someone asked for) or to a
 * destination (syncs). Those it has room for are its oldest; a backfill that has none lets the younger ones pass. Then
 * workspaces take turns: the next place goes to the one with the fewest in flight, and there to the oldest.
 */
const ADMIT = `
  with paused as materialized (
    select id from computations where paused_at is not null
  ), held as materialized (
    select t.workspace_id, coalesce(n.destination_id, t.space_id) as cap, t.reason = any ($1) as backfill,
      coalesce(greatest(t.retry_at, t.waiting_until) <= now(), true) as busy
    from tasks t left join connections n on n.id = t.connection_id
    where t.ended_at is null and t.admitted_at is not null and t.status <> 'awaiting_approval'
      and t.computation_id not in (select id from paused)
  ), waiting as materialized (
    select t.id, t.workspace_id, coalesce(n.destination_id, t.space_id) as cap, t.reason = any ($1) as backfill, t.created_at
    from tasks t left join connections n on n.id = t.connection_id
    where t.ended_at is null and t.admitted_at is null and t.computation_id not in (select id from paused)
  ), room as materialized (
    select cap, tasks - coalesce(held, 0) as tasks, backfills - coalesce(held_backfills, 0) as backfills
    from (
      select id as cap, max_runs as tasks, max_backfills as backfills from spaces
      union all
      select id, max_syncs, max_syncs from destinations
    ) caps
    left join (
      select cap, count(*) as held, count(*) filter (where backfill) as held_backfills from held group by cap
    ) counted using (cap)
    where cap in (select cap from waiting)
  ), in_flight as (
    select workspace_id, count(*) as tasks from held where busy group by workspace_id
  ), within_backfills as (
    select w.*, room.tasks as room, room.backfills as room_backfills,
      row_number() over (partition by w.cap, w.backfill order by w.created_at, w.id) as nth
    from waiting w join room using (cap)
    where room.tasks > 0
  ), within_caps as (
    select *, row_number() over (partition by cap order by created_at, id) as nth_of_cap
    from within_backfills
    where not backfill or nth <= room_backfills
  ), in_turn as (
    select w.id, w.created_at, coalesce(f.tasks, 0)
      + row_number() over (partition by w.workspace_id order by w.created_at, w.id) as turn
    from within_caps w left join in_flight f using (workspace_id)
    where nth_of_cap <= room
  ), next as (
    select id from in_turn
    order by turn, created_at, id
    limit greatest(0, $2 - (select count(*) from held where busy))
  ), free as (
    -- one that someone is about to cancel, say, is left for the next time
    select t.id from tasks t join next using (id)
    where t.ended_at is null and t.admitted_at is null
    for no key update of t skip locked
  )
  update tasks t set admitted_at = clock_timestamp()
  from free where t.id = free.id
  returning t.id`;

/** The reasons of runs that compute a definition for the first time, or as if: they have a cap of their own. */
const BACKFILL_REASONS = ['created', 'edited', 'backfill'];

/**
 * Gives places to tasks that wait for their turn, and returns their ids. Strict however many processes do it at once: they
 * decide one after the other. `maxInFlight` is how many may occupy workers at once, of all workspaces together.
 */
export async function admitTasks(pool: PostgresPool, maxInFlight: number): Promise<string[]> {
  // Most of the time nothing waits, and then there is nothing to decide.
  const { rowCount } = await pool.query('select from tasks where ended_at is null and admitted_at is null limit 1');
  if (rowCount === 0) return [];
  return await inTransaction(pool, async (tx) => {
    await tx.query(`select set_config('lock_timeout', $1, true)`, [LOCK_TIMEOUT]);
    // A statement of its own: the one that decides has to see what the holder before committed.
    await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [ADMISSION_LOCK]);
    const { rows } = await tx.query<{ id: string }>(ADMIT, [BACKFILL_REASONS, maxInFlight]);
    return rows.map(({ id }) => id);
  });
}

/** Tasks that were admitted, each with whether its workflow was started. */
type Started = ReadonlyMap<string, Promise<boolean>>;

/**
 * The door through which tasks begin: within the caps of spaces and destinations, at most `maxInFlight` of all workspaces
 * together, and fair between those. Each process has one.
 */
export function createAdmitter(deps: {
  pool: PostgresPool;
  startTask: TaskStarter;
  logger: Logger;
  maxInFlight: number;
}): RunningAdmitter {
  // The look that has not begun yet, and the end of all so far; that never rejects.
  let next: Promise<Started> | null = null;
  let last: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let restUntil = 0;
  const starting = new Set<Promise<unknown>>();

  async function look(): Promise<Started> {
    const from = performance.now();
    const ids = await admitTasks(deps.pool, deps.maxInFlight);
    restUntil = performance.now() + POKE_REST * (performance.now() - from);
    return startAll(ids);
  }

  function startAll(ids: readonly string[]): Started {
    return new Map(ids.map((id) => [id, tracked(start(id))]));
  }

  async function start(id: string): Promise<boolean> {
    try {
      await deps.startTask(id);
      return true;
    } catch (error) {
      deps.logger.warn({ taskId: id, err: error }, 'task not started yet; the scheduler will');
      return false;
    }
  }

  function tracked(work: Promise<boolean>): Promise<boolean> {
    starting.add(work);
    void work.finally(() => starting.delete(work));
    return work;
  }

  /** A look that begins after this call. Calls that come while one is under way share the one after it. */
  function lookFromNow(): Promise<Started> {
    if (next !== null) return next;
    const looking = last.then(async () => {
      next = null;
      return await look();
    });
    next = looking;
    last = looking.catch(() => undefined);
    return looking;
  }

  async function startUndispatched(): Promise<Started> {
    const { rows } = await deps.pool.query<{ id: string }>(
      `select id from tasks
       where ended_at is null and dispatched_at is null and admitted_at < now() - $1::interval
       order by admitted_at limit $2`,
      [UNDISPATCHED_AFTER, UNDISPATCHED_BATCH],
    );
    return startAll(rows.map(({ id }) => id));
  }

  return {
    admit: async (taskIds) => {
      const admitted = await lookFromNow();
      if (taskIds !== undefined) return await count(taskIds.flatMap((id) => admitted.get(id) ?? []));
      const left = await startUndispatched();
      return await count([...admitted.values(), ...left.values()]);
    },
    poke: () => {
      if (timer !== undefined) return;
      timer = setTimeout(
        () => {
          timer = undefined;
          lookFromNow().catch((error: unknown) =>
            deps.logger.warn({ err: error }, 'no task admitted; the next look will'),
          );
        },
        Math.max(POKE_DELAY_MS, restUntil - performance.now()),
      );
      timer.unref();
    },
    close: async () => {
      clearTimeout(timer);
      timer = undefined;
      await last;
      await Promise.all(starting);
    },
  };
}

async function count(started: readonly Promise<boolean>[]): Promise<number> {
  return (await Promise.all(started)).filter(Boolean).length;
}
