import type { Transaction } from '../store/index.ts';
import type { ComputationKind } from './computations.ts';
import { countSlots, jittered, nextSlot, scheduleOf, type Schedule, type ScheduleColumns } from './schedule.ts';

export interface DueComputation {
  id: string;
  workspaceId: string;
  spaceId: string;
  kind: ComputationKind;
  name: string;
  /** Why it is due: its first run, an edit that has not been computed, or its schedule. */
  reason: 'created' | 'edited' | 'scheduled';
  /** The slot that the run is for, the earliest that had no run; null where it is due before its slot: when it is new, edited or enabled. */
  slotAt: Date | null;
  /** How long after its time (the slot and its jitter) it was taken, in milliseconds; null without a slot. */
  lateMs: number | null;
  /** Slots after slotAt that passed as well, and have no run of their own. */
  missedSlots: number;
  /** Whether it is late by more than the grace although nothing that it had to wait for was running. */
  missed: boolean;
}

export interface TakenComputations {
  due: DueComputation[];
  /** Those whose next slot can't be told, with why: no run, and looked at again in ten minutes. */
  unscheduled: { id: string; error: unknown }[];
  /** Whether there may be more than the limit let through. */
  more: boolean;
}

interface DueRow extends ScheduleColumns {
  id: string;
  workspace_id: string;
  space_id: string;
  kind: ComputationKind;
  name: string;
  reason: DueComputation['reason'];
  next_slot_at: Date;
  next_run_at: Date;
  now: Date;
}

interface TakenRow extends DueComputation {
  nextSlotAt: Date;
  nextRunAt: Date;
  dueAt: Date;
  graceMs: number;
}

// A run that begins later than this after its time, or than a tenth of what lies between two slots, is said to be late.
const GRACE_MS = 60_000;
const GRACE_SHARE = 0.1;
const LOOK_AGAIN_MS = 10 * 60_000;

// What is looked up for a row is a subquery of its own, limited to the one row there can be: so a planner without figures looks
// it up too, and does not read all there is to join it.
const openRunOf = (computation: 'c' | 'u'): string =>
  `(select t.status from tasks t where t.computation_id = ${computation}.id and t.kind = 'run' and t.ended_at is null)`;

/**
 * The computations `c` that are due now, and may run. One that has a run open stays due until that has its outcome: an edit in the
 * meantime would else not be computed before its next slot. One that refers to others waits for those that run, or will by their
 * own slot or edit; not for one that is paused, disabled or waits for people, nor for one that has had a run since, whatever came of
 * it: one that runs all the time would else hold it up for ever.
 */
export const ARE_DUE = `
  from computations c
  where c.enabled and c.deleted_at is null and c.paused_at is null and c.next_run_at <= now()
    and ${openRunOf('c')} is null
    and not exists (
      select from unnest(coalesce(c.computed_traits, c.refers_to)) as referred (key)
      cross join lateral (
        select u.id, u.enabled and u.paused_at is null as active, least(u.next_slot_at, u.next_run_at) <= now() as due,
          ${openRunOf('u')} as run
        from computations u
        where u.space_id = c.space_id and u.key = referred.key and u.deleted_at is null
        limit 1
      ) u
      where u.id <> c.id and u.active and case when u.run is null then u.due else u.run <> 'awaiting_approval' end
        and not exists (
          select from tasks t
          where t.computation_id = u.id and t.kind = 'run' and t.created_at >= c.next_run_at and t.ended_at is not null
        )
    )`;

const DUE = `
  select c.id, c.workspace_id, c.space_id, c.kind, c.name,
    c.schedule_interval_seconds, c.schedule_cron, c.schedule_time_zone, c.schedule_jitter_seconds,
    c.next_slot_at, c.next_run_at, now() as now,
    case when c.live_version is null then 'created'
         when c.live_definition_version <> c.definition_version then 'edited'
         else 'scheduled' end as reason
  ${ARE_DUE}
  order by c.next_run_at
  limit $1
  for no key update of c skip locked`;

/**
 * The compute service's answer to the scheduler: which computations are due now, oldest first. Their next slot is set in the
 * same transaction, in their own rhythm, and what another scheduler is looking at is passed over: so a slot is taken once. Slots
 * that were missed are taken together, as one. Where a run is made by someone else in the same moment, that one stands for the
 * slot: it has not begun yet, and will see all that this one would have seen. `random` gives jitter its values from [0, 1).
 */
export async function takeDueComputations(
  tx: Transaction,
  limit: number,
  random: () => number = Math.random,
): Promise<TakenComputations> {
  // A planner whose figures are old or small would rather read the whole table for a batch.
  await tx.query('set local enable_seqscan = off');
  const { rows } = await tx.query<DueRow>(DUE, [limit]);
  const taken: TakenRow[] = [];
  const unscheduled: TakenComputations['unscheduled'] = [];
  for (const row of rows) {
    try {
      taken.push(take(row, random));
    } catch (error) {
      unscheduled.push({ id: row.id, error });
    }
  }
  await setNext(tx, taken);
  await tx.query(`update computations set next_run_at = now() + $2 * interval '1 millisecond' where id = any ($1)`, [
    unscheduled.map(({ id }) => id),
    LOOK_AGAIN_MS,
  ]);
  const late = taken.filter((one) => one.lateMs !== null && one.lateMs > one.graceMs);
  const busyUntil = await busyUntilOf(tx, late);
  for (const one of late) {
    const free = Math.max(one.dueAt.getTime(), busyUntil.get(one.id)?.getTime() ?? 0);
    one.missed = one.dueAt.getTime() + (one.lateMs ?? 0) - free > one.graceMs;
  }
  return { due: taken, unscheduled, more: rows.length === limit };
}

/**
 * Says that a run which is about to be written stands for the one that the computation is due for before its slot: because it is new,
 * edited or enabled again. One that is not due, or whose slot has passed, or that waits for others, stays as it is.
 */
export async function takeEarlyRun(
  tx: Transaction,
  computationId: string,
  random: () => number = Math.random,
): Promise<void> {
  const { rows } = await tx.query<ScheduleColumns & { next_slot_at: Date }>(
    `select c.schedule_interval_seconds, c.schedule_cron, c.schedule_time_zone, c.schedule_jitter_seconds, c.next_slot_at
     ${ARE_DUE} and c.id = $1 and c.next_slot_at > now()
     for no key update of c`,
    [computationId],
  );
  for (const row of rows) {
    await tx.query('update computations set next_run_at = $2 where id = $1', [
      computationId,
      jittered(scheduleOf(row), row.next_slot_at, random),
    ]);
  }
}

/** What is taken of a row that is due, and when it is due again. Throws where its schedule can't be followed. */
function take(row: DueRow, random: () => number): TakenRow {
  const schedule = scheduleOf(row);
  const { next_slot_at: slot, now } = row;
  const passed = slot <= now;
  const next = passed ? nextSlot(schedule, now, slot) : slot;
  const dueAt = row.next_run_at > slot ? row.next_run_at : slot;
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    spaceId: row.space_id,
    kind: row.kind,
    name: row.name,
    reason: row.reason,
    slotAt: passed ? slot : null,
    lateMs: passed ? now.getTime() - dueAt.getTime() : null,
    missedSlots: passed ? countSlots(schedule, slot, now) : 0,
    missed: false,
    nextSlotAt: next,
    nextRunAt: jittered(schedule, next, random),
    dueAt,
    graceMs: Math.max(GRACE_MS, GRACE_SHARE * intervalMs(schedule, slot)),
  };
}

function intervalMs(schedule: Schedule, slot: Date): number {
  return nextSlot(schedule, slot).getTime() - slot.getTime();
}

async function setNext(tx: Transaction, taken: readonly TakenRow[]): Promise<void> {
  if (taken.length === 0) return;
  await tx.query(
    `update computations c set next_slot_at = next.slot_at, next_run_at = next.run_at
     from unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) as next (id, slot_at, run_at)
     where c.id = next.id`,
    [taken.map(({ id }) => id), taken.map(({ nextSlotAt }) => nextSlotAt), taken.map(({ nextRunAt }) => nextRunAt)],
  );
}

/** Until when a run of each of these, or of what it refers to, was under way after the time it was due. */
async function busyUntilOf(tx: Transaction, late: readonly TakenRow[]): Promise<Map<string, Date>> {
  if (late.length === 0) return new Map();
  const { rows } = await tx.query<{ id: string; busy_until: Date | null }>(
    `select late.id, (
       select max(t.ended_at) from tasks t
       where t.kind = 'run' and t.ended_at > late.due_at
         and t.computation_id = any (array[c.id] || array(
           select u.id from unnest(coalesce(c.computed_traits, c.refers_to)) as referred (key)
           join computations u on u.space_id = c.space_id and u.key = referred.key and u.deleted_at is null
         ))
     ) as busy_until
     from unnest($1::text[], $2::timestamptz[]) as late (id, due_at)
     join computations c on c.id = late.id`,
    [late.map(({ id }) => id), late.map(({ dueAt }) => dueAt)],
  );
  return new Map(rows.flatMap(({ id, busy_until }) => (busy_until === null ? [] : [[id, busy_until] as const])));
}
