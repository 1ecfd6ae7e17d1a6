import { setTimeout as wait } from 'node:timers/promises';
import { advanceBaseline, readChanges, type Change } from '../compute/index.ts';
import {
  buildMessages,
  changeOutcomes,
  changesPerBatch,
  circuitOutcome,
  deliverBatch,
  enterCircuit,
  keepRefreshedTokens,
  reportToCircuit,
  type DeliveryStop,
  type MessageOutcome,
} from '../destinations/index.ts';
import { TaskFailure } from '../errors.ts';
import { countDeliveryRows, inBatchSpan } from '../metrics/index.ts';
import { inTransaction, type Transaction } from '../store/index.ts';
import type { ActivityStep, ActivityStepContext } from './engine.ts';
import { DELIVER_TURN_MS } from './kinds.ts';
import { openSync, type OpenSync } from './open-sync.ts';
import { outputOf, type ExtractOutput } from './step-outputs.ts';
import { countDelivered } from './step-executions.ts';
import { lockForAttempt, moveCursor, StepWaits } from './steps.ts';

/** How far a delivery is. Every change below `next` is settled, except those in `redo`. */
interface DeliverCursor {
  next: number;
  /** Changes of earlier batches that were not acknowledged. */
  redo: number[];
  delivered: number;
  rejected: number;
  skipped: number;
  /** How long this attempt has waited for the destination since it last took anything, in milliseconds. */
  waited: { attempt: number; ms: number };
}

// A destination may ask to wait this long, without taking anything meanwhile, before it costs the attempt (design: within a bound).
const MAX_WAIT_MS = 60 * 60_000;
const DEFAULT_RATE_LIMIT_WAIT_MS = 5_000;
// A wait as short as this is not worth giving the worker back for.
const WAIT_IN_PLACE_MS = 2_000;
// How often a destination that answers is said to, in milliseconds: each time is a write.
const REPORT_EVERY_MS = 30_000;

/**
 * deliver: sends the frozen changes in batches. After each, in this order: the baseline of what was acknowledged, then the
 * cursor. A worker that dies between any two of these leaves at most this one batch to be sent again, under the same message
 * ids. Being asked to slow down, or to leave a destination alone that is down, is waited out without a worker, and costs no
 * attempt before an hour has passed in which nothing was taken.
 */
export const deliver: ActivityStep = async (context) => {
  const { deps, task } = context;
  const sync = await openSync(deps, task);
  const extracted = outputOf(task, 'extract');
  const size = changesPerBatch(sync.destination);
  const endsAt = performance.now() + DELIVER_TURN_MS;
  let cursor = openCursor(context);
  let reportAt = 0;
  if (hasMore(cursor, extracted)) await passCircuit(context, sync, cursor, extracted);
  while (hasMore(cursor, extracted)) {
    const changes = await nextBatch(context, extracted, cursor, size);
    const { outcomes, stopped } = await sendChanges(context, sync, extracted, changes);
    const settled = await settle(context, sync, extracted, cursor, changes, outcomes);
    cursor = settled.cursor;
    const heard = circuitOutcome(stopped);
    if (heard !== null && (stopped !== null || performance.now() >= reportAt)) {
      await reportToCircuit(
        deps.pool,
        sync.circuit,
        heard,
        stopped?.kind === 'failed' ? stopped.failure.code : undefined,
      );
      reportAt = performance.now() + REPORT_EVERY_MS;
    }
    if (stopped === null) refuseSilence(cursor, changes);
    else cursor = await waitOrThrow(context, cursor, extracted, stopped);
    // Whoever paused it, or waits for the worker, has their turn at a batch's end: the cursor says where to go on.
    if (settled.paused || performance.now() > endsAt) throw new StepWaits(0);
  }
  return { output: { delivered: cursor.delivered, rejected: cursor.rejected, skipped: cursor.skipped } };
};

function openCursor({ cursor, task }: ActivityStepContext): DeliverCursor {
  const known = cursor as Partial<DeliverCursor> | null;
  const { next = 0, redo = [], delivered = 0, rejected = 0, skipped = 0 } = known ?? {};
  const waited = known?.waited?.attempt === task.attempt ? known.waited : { attempt: task.attempt, ms: 0 };
  return { next, redo, delivered, rejected, skipped, waited };
}

function hasMore(cursor: DeliverCursor, extracted: ExtractOutput): boolean {
  return cursor.next < extracted.changes || cursor.redo.length > 0;
}

/** Goes on where the destination is not left alone, or is to be tried; else waits until then. */
async function passCircuit(
  context: ActivityStepContext,
  sync: OpenSync,
  cursor: DeliverCursor,
  extracted: ExtractOutput,
): Promise<void> {
  const circuit = await enterCircuit(context.deps.pool, sync.destination.id);
  if (circuit.state !== 'open') return;
  const failure = new TaskFailure('destination_circuit_open', `left alone for ${circuit.retryAfterMs} ms more`);
  await waitFor(context, cursor, extracted, { for: 'circuit', delayMs: circuit.retryAfterMs, failure });
}

async function nextBatch(
  { deps }: ActivityStepContext,
  extracted: ExtractOutput,
  cursor: DeliverCursor,
  size: number,
): Promise<Change[]> {
  const redo = cursor.redo.slice(0, size);
  const to = Math.min(cursor.next + size, extracted.changes);
  const changes = await readChanges(
    deps.clickhouse,
    extracted.extractId,
    redo.length > 0 ? { also: redo } : { from: cursor.next, to },
  );
  const expected = redo.length > 0 ? redo.length : to - cursor.next;
  if (changes.length !== expected) {
    throw new TaskFailure(
      'extract_incomplete',
      `extract ${extracted.extractId} gave ${changes.length} changes where there should be ${expected}`,
    );
  }
  return changes;
}

async function sendChanges(
  { deps, signal }: ActivityStepContext,
  sync: OpenSync,
  extracted: ExtractOutput,
  changes: readonly Change[],
): Promise<{ outcomes: Map<number, MessageOutcome>; stopped: DeliveryStop | null }> {
  const messages = changes.flatMap((change) =>
    buildMessages(sync.computation, change, {
      connectionId: sync.connectionId,
      extractId: extracted.extractId,
      timestamp: new Date(extracted.asOf),
      externalAudienceId: sync.externalAudienceId,
      audienceSettings: sync.audienceSettings,
    }),
  );
  const { outcomes, stopped } = await inBatchSpan(
    { destination: sync.destination.slug, rows: changes.length },
    async () =>
      await deliverBatch(deps.destinations, {
        destination: sync.destination,
        messages,
        signal,
        onTokenRefresh: async (tokens) => {
          await inTransaction(deps.pool, async (tx) => {
            await keepRefreshedTokens(tx, deps.destinations, sync.destination, tokens);
          });
        },
      }),
    (result) => (result.stopped === null || result.stopped.kind === 'aborted' ? null : result.stopped.failure.code),
  );
  return { outcomes: changeOutcomes(messages, outcomes), stopped };
}

/** Keeps what became of a batch: the baseline first, then rejected rows and the cursor in one transaction. */
async function settle(
  { deps, task, progress }: ActivityStepContext,
  sync: OpenSync,
  extracted: ExtractOutput,
  cursor: DeliverCursor,
  changes: readonly Change[],
  outcomes: ReadonlyMap<number, MessageOutcome>,
): Promise<{ cursor: DeliverCursor; paused: boolean }> {
  const outcomeOf = (change: Change): MessageOutcome => outcomes.get(change.idx) ?? { status: 'retry' };
  const acknowledged = changes.filter((change) => outcomeOf(change).status === 'delivered');
  const rejected = changes.flatMap((change) => {
    const outcome = outcomeOf(change);
    return outcome.status === 'rejected' ? [{ change, outcome }] : [];
  });
  const skipped = changes.filter((change) => outcomeOf(change).status === 'skipped').length;
  const again = changes.filter((change) => outcomeOf(change).status === 'retry').map((change) => change.idx);
  const tried = new Set(changes.map((change) => change.idx));
  const settled = changes.length - again.length;
  const moved: DeliverCursor = {
    waited: settled > 0 ? { attempt: task.attempt, ms: 0 } : cursor.waited,
    next: Math.max(cursor.next, ...changes.map((change) => change.idx + 1)),
    redo: [...cursor.redo.filter((idx) => !tried.has(idx)), ...again].sort((a, b) => a - b),
    delivered: cursor.delivered + acknowledged.length,
    rejected: cursor.rejected + rejected.length,
    skipped: cursor.skipped + skipped,
  };
  const takenInPart = rejected.filter(({ outcome }) => outcome.partly === true).map(({ change }) => change);
  await advanceBaseline(deps.clickhouse, sync.connectionId, extracted.extractId, acknowledged, takenInPart);
  const paused = await inTransaction(deps.pool, async (tx) => {
    const locked = await lockForAttempt(tx, task.id, task.attempt);
    if (rejected.length > 0) await keepRejected(tx, task.id, rejected);
    await moveCursor(tx, task.id, 'deliver', moved, progressOf(moved, extracted));
    await countDelivered(tx, task.id, { in: settled, out: acknowledged.length, rejected: rejected.length });
    return locked.computation_paused;
  });
  countDeliveryRows(sync.destination.slug, {
    delivered: acknowledged.length,
    rejected: rejected.length,
    skipped,
    retry: again.length,
  });
  const { done, total } = progressOf(moved, extracted);
  progress(done, total);
  return { cursor: moved, paused };
}

async function keepRejected(
  tx: Transaction,
  taskId: string,
  rejected: readonly { change: Change; outcome: MessageOutcome & { status: 'rejected' } }[],
): Promise<void> {
  await tx.query(
    `insert into rejected_rows (task_id, idx, profile, status, reason, user_id, anonymous_id, value)
     select $1, row.*
     from unnest($2::int[], $3::int[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[])
       as row (idx, profile, status, reason, user_id, anonymous_id, value)
     on conflict do nothing`,
    [
      taskId,
      rejected.map(({ change }) => change.idx),
      rejected.map(({ change }) => change.profile),
      rejected.map(({ outcome }) => outcome.httpStatus),
      rejected.map(({ outcome }) => outcome.reason.slice(0, 2_000)),
      rejected.map(({ change }) => change.userId),
      rejected.map(({ change }) => change.anonymousId),
      rejected.map(({ change }) => change.value),
    ],
  );
}

/** Changes that came back unacknowledged without a reason would be sent again and again without a pause. */
function refuseSilence(cursor: DeliverCursor, sent: readonly Change[]): void {
  const again = new Set(cursor.redo);
  if (!sent.some((change) => again.has(change.idx))) return;
  throw new TaskFailure('unknown', 'the delivery left changes unacknowledged and did not say why');
}

/** Waits where the destination asked to slow down and the bound allows it; throws for any other stop. */
async function waitOrThrow(
  context: ActivityStepContext,
  cursor: DeliverCursor,
  extracted: ExtractOutput,
  stopped: DeliveryStop,
): Promise<DeliverCursor> {
  if (stopped.kind === 'aborted') {
    context.signal.throwIfAborted();
    throw new TaskFailure('worker_lost', 'the delivery was aborted');
  }
  if (stopped.kind === 'failed') throw stopped.failure;
  return await waitFor(context, cursor, extracted, {
    for: 'rate_limit',
    delayMs: Math.max(stopped.retryAfterMs ?? DEFAULT_RATE_LIMIT_WAIT_MS, 100),
    failure: stopped.failure,
  });
}

/**
 * Waits a short time in place and gives the worker back for a longer one; throws the failure where that would be more than a
 * destination may ask for.
 */
async function waitFor(
  { deps, task, signal }: ActivityStepContext,
  cursor: DeliverCursor,
  extracted: ExtractOutput,
  wanted: { for: 'rate_limit' | 'circuit'; delayMs: number; failure: TaskFailure },
): Promise<DeliverCursor> {
  const waited = { attempt: task.attempt, ms: cursor.waited.ms + wanted.delayMs };
  if (waited.ms > MAX_WAIT_MS) throw wanted.failure;
  const moved = { ...cursor, waited };
  if (wanted.delayMs <= WAIT_IN_PLACE_MS) {
    await wait(wanted.delayMs, undefined, { signal });
    return moved;
  }
  await inTransaction(deps.pool, async (tx) => {
    await lockForAttempt(tx, task.id, task.attempt);
    await moveCursor(tx, task.id, 'deliver', moved, progressOf(moved, extracted));
    await tx.query(
      `update tasks set waiting_for = $2, waiting_until = clock_timestamp() + $3 * interval '1 millisecond' where id = $1`,
      [task.id, wanted.for, wanted.delayMs],
    );
  });
  throw new StepWaits(wanted.delayMs);
}

function progressOf(cursor: DeliverCursor, extracted: ExtractOutput): { done: number; total: number } {
  return { done: cursor.next - cursor.redo.length, total: extracted.changes };
}
