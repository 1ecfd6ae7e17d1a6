import type { Queryable } from '../../store/index.ts';
import { TASK_TIMEOUT_MS } from '../../task-time-limits.ts';

/** What a task may take longer than its budget says before anyone calls it stuck: a worker that restarts, a busy machine. */
export const HOLD_GRACE_MS = 10 * 60_000;

/**
 * Until when a task's held alerts wait: the one end for all of them, because they are released as one. Call it with the task's row
 * locked.
 */
export async function setHoldEnd(tx: Queryable, taskId: string, until: Date): Promise<void> {
  await tx.query(`${LOCK_HELD} update alerts set hold_until = $2 from held where alerts.id = held.id`, [taskId, until]);
}

/**
 * An attempt begins: what is held waits as long as the attempt may take, and then for the waits that were left before it, which
 * are what the end so far is later than `retryAt`. Call it with the task's row locked.
 */
export async function renewHolds(
  tx: Queryable,
  task: { id: string; kind: 'run' | 'sync'; retryAt: Date | null },
): Promise<void> {
  await tx.query(
    `${LOCK_HELD}
     update alerts
     set hold_until = clock_timestamp() + $2 * interval '1 millisecond'
                      + greatest(alerts.hold_until - $3::timestamptz, $4 * interval '1 millisecond')
     from held where alerts.id = held.id`,
    [task.id, TASK_TIMEOUT_MS[task.kind], task.retryAt, HOLD_GRACE_MS],
  );
}

/** A computation goes on that was paused: the pause counts for nothing, so what is held of its tasks waits that much longer. */
export async function prolongHolds(tx: Queryable, computationId: string, pausedAt: Date): Promise<void> {
  await tx.query(
    `with held as (
       select a.id, t.kind from alerts a join tasks t on t.id = a.task_id
       where t.computation_id = $1 and a.decision = 'held' order by a.id for update of a
     )
     update alerts
     set hold_until = greatest(alerts.hold_until + (clock_timestamp() - $2::timestamptz),
                               clock_timestamp() + $3 * interval '1 millisecond')
     from held where alerts.id = held.id`,
    [computationId, pausedAt, HOLD_GRACE_MS],
  );
}

const LOCK_HELD = `with held as (select id from alerts where task_id = $1 and decision = 'held' order by id for update)`;

/**
 * Of an alert (a) that is held about a task, until when the task is alive by what it has left in PostgreSQL, whatever the hold's
 * end says: one that executes since its last sign of life, or since a wait for its destination is over, for as long as it may
 * execute at a stretch ($2 of a run, $3 of a sync, in milliseconds, the grace in it); one that a person holds back for ever.
 */
const ALIVE_UNTIL = `
  case
    when c.paused_at is not null or t.status = 'awaiting_approval' then 'infinity'::timestamptz
    when t.status = 'running' then
      greatest(
        t.waiting_until, t.approved_at,
        (select max(greatest(e.started_at, e.ended_at)) from step_executions e where e.task_id = t.id),
        (select max(started_at) from attempts where attempts.task_id = t.id)
      ) + (case t.kind when 'run' then $2::float8 else $3::float8 end) * interval '1 millisecond'
  end`;

/**
 * Locks up to `limit` held alerts whose end is over and whose task is not alive, and gives their ids. Of the tasks that are alive
 * the end is put off first. Needs PostgreSQL only. Skips what is being decided.
 */
export async function lockOverdue(tx: Queryable, now: Date, limit: number): Promise<string[]> {
  const limits = [TASK_TIMEOUT_MS.run + HOLD_GRACE_MS, TASK_TIMEOUT_MS.sync + HOLD_GRACE_MS];
  await tx.query(
    `with alive as (
       select a.id, ${ALIVE_UNTIL} as until
       from alerts a join tasks t on t.id = a.task_id join computations c on c.id = t.computation_id
       where a.decision = 'held' and a.hold_until <= $1 order by a.id for update of a skip locked
     )
     update alerts set hold_until = alive.until from alive
     where alerts.id = alive.id and alive.until > $1 and alive.until < 'infinity'`,
    [now, ...limits],
  );
  const { rows } = await tx.query<{ id: string }>(
    `select a.id from alerts a
     left join tasks t on t.id = a.task_id left join computations c on c.id = t.computation_id
     where a.decision = 'held' and a.hold_until <= $1 and coalesce(${ALIVE_UNTIL}, '-infinity') <= $1
     order by a.hold_until, a.id limit $4 for update of a skip locked`,
    [now, ...limits, limit],
  );
  return rows.map(({ id }) => id);
}
