import { cutText } from '../../../cut-text.ts';
import type { Change, ChangeRange } from '../../../compute/index.ts';
import type { MessageOutcome } from '../../../destinations/index.ts';
import { jsonText, type PostgresPool } from '../../../store/index.ts';
import { SENDS_UNDER, SWITCHED_ON } from './open-sync.ts';
import { toRanges, type SettledRange } from './settled-ranges.ts';
import { StaleAttemptError, type BegunTask } from '../../attempts/checkpoints.ts';

/** How far a delivery is. Every change below `next` is settled, except those in `redo`. */
export interface DeliverCursor {
  next: number;
  /** Changes of earlier batches that were not acknowledged. */
  redo: number[];
  delivered: number;
  rejected: number;
  skipped: number;
  /** How long this attempt has waited for the destination since it last took anything, in milliseconds. */
  waited: { attempt: number; ms: number };
}

/** What became of a batch: its changes by their outcome, and where that leaves the delivery. */
export interface BatchResult {
  cursor: DeliverCursor;
  acknowledged: number[];
  rejected: { change: Change; outcome: MessageOutcome & { status: 'rejected' } }[];
  skipped: number;
  /** Settled without being acknowledged, though the destination may have them: by a part of their messages, or an earlier time. */
  indeterminate: number[];
  /** Not acknowledged: they are in the cursor's `redo`. */
  again: number;
}

/**
 * Takes a batch into account that was sent from where the cursor was. `inFlight` is what an execution before this one may have sent
 * and not settled. A destination may have taken that, and what it did not acknowledge before, and refuse it now: then nobody knows
 * whether it has it.
 */
export function countBatch(
  cursor: DeliverCursor,
  attempt: number,
  { changes, outcomes }: { changes: readonly Change[]; outcomes: ReadonlyMap<number, MessageOutcome> },
  inFlight: ChangeRange | null,
): BatchResult {
  const redone = cursor.redo.length === 0 ? null : new Set(cursor.redo);
  const mayBeThere = ({ idx }: Change): boolean =>
    redone?.has(idx) === true || (inFlight !== null && idx >= inFlight.first && idx < inFlight.end);
  const acknowledged: number[] = [];
  const rejected: BatchResult['rejected'] = [];
  const again: number[] = [];
  const indeterminate: number[] = [];
  let skipped = 0;
  let next = cursor.next;
  for (const change of changes) {
    const outcome = outcomes.get(change.idx) ?? { status: 'retry' };
    if (outcome.status === 'delivered') acknowledged.push(change.idx);
    else if (outcome.status === 'rejected') rejected.push({ change, outcome });
    else if (outcome.status === 'skipped') skipped += 1;
    else again.push(change.idx);
    if (outcome.status === 'rejected' || outcome.status === 'skipped') {
      const inPart = outcome.status === 'rejected' && outcome.partly === true;
      if (inPart || mayBeThere(change)) indeterminate.push(change.idx);
    }
    next = Math.max(next, change.idx + 1);
  }
  for (const { idx } of changes) redone?.delete(idx);
  return {
    acknowledged,
    rejected,
    skipped,
    indeterminate,
    again: again.length,
    cursor: {
      next,
      redo: [...(redone ?? []), ...again].sort((a, b) => a - b),
      delivered: cursor.delivered + acknowledged.length,
      rejected: cursor.rejected + rejected.length,
      skipped: cursor.skipped + skipped,
      waited: again.length < changes.length ? { attempt, ms: 0 } : cursor.waited,
    },
  };
}

/** What of an extract's changes one execution of `deliver` has noted as taken. */
export interface Noted {
  connectionId: string;
  extractId: number;
  /** The range that was noted last: where the next one goes on from its end, it grows. */
  last: SettledRange | null;
}

/**
 * Settles a batch in one statement, which is its own transaction: what the destination took, rejected rows, cursor, progress and
 * the counts of the step's execution. Says whether it may go on: false where it was paused or switched off, or what it sends under
 * was changed. Throws StaleAttemptError.
 */
export async function settleBatch(
  pool: PostgresPool,
  task: BegunTask,
  result: BatchResult,
  progress: { done: number; total: number },
  noted: Noted,
  under: string,
): Promise<{ goesOn: boolean }> {
  const { cursor, acknowledged, rejected } = result;
  const ranges = rangesOf(result, noted.last);
  const { rows } = await pool.query<{ goes_on: boolean }>({
    // Prepared once a connection: to plan it takes longer than to execute it.
    name: 'settle-batch',
    text: `with task as (
       select t.id, ${SWITCHED_ON} and ${SENDS_UNDER} = $21 as goes_on
       from tasks t
       join connections n on n.id = t.connection_id
       join computations c on c.id = n.computation_id
       join destinations d on d.id = n.destination_id
       where t.id = $1 and t.status = 'running' and t.attempt = $2 and t.losses = $22
       for update of t
     ), moved as (
       update steps set cursor = $3, progress_done = $4, progress_total = $5
       from task where steps.task_id = task.id and steps.name = 'deliver' and steps.completed_at is null
     ), counted as (
       update step_executions
       set rows_in = coalesce(rows_in, 0) + $6, rows_out = coalesce(rows_out, 0) + $7,
           rejected = coalesce(rejected, 0) + $8
       from task where step_executions.task_id = task.id and step = 'deliver' and ended_at is null
     ), taken as (
       insert into settled_ranges (connection_id, extract_id, first_idx, end_idx, whole)
       select $9, $10, range.* from task cross join unnest($11::int[], $12::int[], $13::boolean[]) as range
       on conflict (connection_id, extract_id, first_idx)
       do update set end_idx = greatest(settled_ranges.end_idx, excluded.end_idx)
     ), refused as (
       insert into rejected_rows (task_id, idx, profile, status, reason, user_id, anonymous_id, value)
       select task.id, row.*
       from task
       cross join unnest($14::int[], $15::int[], $16::int[], $17::text[], $18::text[], $19::text[], $20::text[]) as row
       on conflict do nothing
     )
     select goes_on from task`,
    values: [
      task.id,
      task.attempt,
      jsonText(cursor),
      progress.done,
      progress.total,
      acknowledged.length + rejected.length + result.skipped,
      acknowledged.length,
      rejected.length,
      noted.connectionId,
      noted.extractId,
      ranges.map(({ first }) => first),
      ranges.map(({ end }) => end),
      ranges.map(({ whole }) => whole),
      rejected.map(({ change }) => change.idx),
      rejected.map(({ change }) => change.profile),
      rejected.map(({ outcome }) => statusOf(outcome.httpStatus)),
      rejected.map(({ outcome }) => cutText(outcome.reason, 2_000)),
      rejected.map(({ change }) => change.userId),
      rejected.map(({ change }) => change.anonymousId),
      rejected.map(({ change }) => change.value),
      under,
      task.losses,
    ],
  });
  const [row] = rows;
  if (row === undefined) throw new StaleAttemptError(task.id, task.attempt);
  noted.last = ranges.at(-1) ?? null;
  return { goesOn: row.goes_on };
}

// A tool may say any number in the answer about a row.
function statusOf(httpStatus: number | null): number | null {
  return httpStatus !== null && Number.isInteger(httpStatus) && Math.abs(httpStatus) < 1_000 ? httpStatus : null;
}

/** What a destination took of a batch, or may have taken, in order; the first range begins where `last` did that it goes on from. */
function rangesOf({ acknowledged, indeterminate }: BatchResult, last: SettledRange | null): SettledRange[] {
  const ranges = [
    ...toRanges(acknowledged).map((range) => ({ ...range, whole: true })),
    ...toRanges(indeterminate).map((range) => ({ ...range, whole: false })),
  ].sort((a, b) => a.first - b.first);
  const [first] = ranges;
  if (first !== undefined && last?.end === first.first && last.whole === first.whole) first.first = last.first;
  return ranges;
}
