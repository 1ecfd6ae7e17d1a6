import { setTimeout as wait } from 'node:timers/promises';
import { BITMAPS_AFTER_ROWS, type ChangeRange } from '../../../compute/index.ts';
import {
  circuitOutcome,
  enterCircuit,
  MAX_CHANGES_PER_BATCH,
  reportToCircuit,
  type DeliveryStop,
} from '../../../destinations/index.ts';
import { TaskFailure } from '../../../errors.ts';
import { countDeliveryRows } from '../../../metrics/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ActivityStep, ActivityStepContext } from '../contract.ts';
import { DELIVER_TURN_MS, WANTED_TURN_MS } from '../../model/kinds.ts';
import { openSync, type OpenSync } from './open-sync.ts';
import { BatchSender } from './batch-sender.ts';
import { countBatch, settleBatch, type BatchResult, type DeliverCursor, type Noted } from './settle-batch.ts';
import { foldSettled, keepBitmaps } from './settled-ranges.ts';
import { outputOf, type ExtractOutput } from '../../model/task.ts';
import { lockForAttempt, moveCursor, StepWaits } from '../../attempts/checkpoints.ts';

// A destination may ask to wait this long, without taking anything meanwhile, before it costs the attempt (design: within a bound).
const MAX_WAIT_MS = 60 * 60_000;
const DEFAULT_RATE_LIMIT_WAIT_MS = 5_000;
// Waits as short as this, all since anything was taken together, are not worth giving the worker back for.
const WAIT_IN_PLACE_MS = 2_000;
// A destination that asks for less and takes nothing is asked more and more seldom, up to this.
const MAX_PATIENCE_MS = 60_000;
// How often a destination that answers is said to, in milliseconds: each time is a write.
const REPORT_EVERY_MS = 30_000;
// So many acknowledged changes go into the baseline at once.
const FOLD_CHANGES = 50_000;

/**
 * deliver: sends the frozen changes in batches, one request at a time. What became of a batch is settled in one commit before the
 * next one goes out, so a worker that dies leaves at most this one batch to be sent again, under the same message ids. Each request
 * has a permit (see openSync): where that is withdrawn, the step ends at its cursor, and whoever begins it again finds out whether
 * it goes on, under what there is then. Being
 * asked to slow down, or to leave a destination alone that is down, is waited out without a worker, and costs no attempt before
 * an hour has passed in which nothing was taken.
 */
export const deliver: ActivityStep = async (context) => {
  const { deps, task, signal, timeoutMs } = context;
  const sync = await openSync(deps, task);
  const extracted = outputOf(task, 'extract');
  const beganAt = performance.now();
  const mayStay = (): boolean => {
    const stayed = performance.now() - beganAt;
    return stayed <= DELIVER_TURN_MS && (stayed <= WANTED_TURN_MS || !context.isWanted());
  };
  const noted: Noted = { connectionId: sync.connectionId, extractId: extracted.extractId, last: null };
  let cursor = openCursor(context);
  const inFlight = inFlightBefore(context, cursor);
  let reportAt = 0;
  let unfolded = 0;
  if (hasMore(cursor, extracted)) await passCircuit(context, sync, cursor, extracted);
  const sender = new BatchSender(context, sync, extracted);
  try {
    while (hasMore(cursor, extracted)) {
      const answer = await sender.send(cursor);
      const { stopped } = answer;
      const result = countBatch(cursor, task.attempt, answer, inFlight);
      cursor = result.cursor;
      const lookedAt = performance.now();
      const settling = settleBatch(deps.pool, task, result, progressOf(cursor, extracted), noted, sync.under);
      // Whoever controls it, or waits for the worker, has their turn at a batch's end: the cursor says where to go on.
      const goesOn = settling.then((settled) => {
        if (settled.goesOn) sync.permit.renew(lookedAt);
        return settled.goesOn && mayStay();
      });
      if (stopped === null && result.again === 0) sender.goOn(goesOn);
      const mayGoOn = await goesOn;
      tell(context, sync, extracted, result);
      const heard = circuitOutcome(stopped);
      if (heard !== null && (stopped !== null || performance.now() >= reportAt)) {
        await reportToCircuit(
          deps.pool,
          sync.circuit,
          heard,
          stopped !== null && 'failure' in stopped ? stopped.failure.code : undefined,
        );
        reportAt = performance.now() + REPORT_EVERY_MS;
      }
      if (stopped !== null) cursor = await waitOrThrow(context, cursor, extracted, stopped);
      else if (result.again > 0) throw new TaskFailure('unknown', SILENCE);
      if (!mayGoOn) throw new StepWaits(0);
      unfolded += result.acknowledged.length;
      if (unfolded < FOLD_CHANGES) continue;
      await fold(context, noted);
      unfolded = 0;
    }
  } finally {
    sender.close();
  }
  await fold(context, noted);
  // Now, and not before the next comparison, which may be of a few.
  if (task.computation_kind === 'audience' && extracted.changes >= BITMAPS_AFTER_ROWS) {
    await keepBitmaps(deps.pool, { clickhouse: deps.clickhouse, signal, timeoutMs }, sync.connectionId);
  }
  return { output: { delivered: cursor.delivered, rejected: cursor.rejected, skipped: cursor.skipped } };
};

// They would be sent again and again without a pause.
const SILENCE = 'the delivery left changes unacknowledged and did not say why';

/** Puts what was acknowledged into the baseline. Nothing is settled meanwhile. */
async function fold({ deps, signal, timeoutMs }: ActivityStepContext, noted: Noted): Promise<void> {
  await foldSettled(deps.pool, { clickhouse: deps.clickhouse, signal, timeoutMs }, noted.connectionId);
  noted.last = null;
}

/** Tells those who watch what became of a settled batch, and how far that is. */
function tell(context: ActivityStepContext, sync: OpenSync, extracted: ExtractOutput, result: BatchResult): void {
  countDeliveryRows(sync.destination.slug, {
    delivered: result.acknowledged.length,
    rejected: result.rejected.length,
    skipped: result.skipped,
    retry: result.again,
  });
  const { done, total } = progressOf(result.cursor, extracted);
  context.progress(done, total);
}

function openCursor({ cursor, task }: ActivityStepContext): DeliverCursor {
  const known = cursor as Partial<DeliverCursor> | null;
  const { next = 0, redo = [], delivered = 0, rejected = 0, skipped = 0 } = known ?? {};
  const waited = known?.waited?.attempt === task.attempt ? known.waited : { attempt: task.attempt, ms: 0 };
  return { next, redo, delivered, rejected, skipped, waited };
}

/** What an execution before this one may have sent without settling it: the batch after its cursor. Null where there was none. */
function inFlightBefore({ cursor, execution }: ActivityStepContext, { next }: DeliverCursor): ChangeRange | null {
  // A task that goes on for another one has a cursor at its first execution.
  if (execution === 1 && cursor === null) return null;
  // The batch's size may have been set anew since: no batch is larger than this.
  return { first: next, end: next + MAX_CHANGES_PER_BATCH };
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
  if (stopped.kind === 'withdrawn') throw new StepWaits(0);
  if (stopped.kind === 'failed') throw stopped.failure;
  return await waitFor(context, cursor, extracted, {
    for: 'rate_limit',
    // As long again as it has been waited for in vain: one that says "at once" for ever would keep a worker's place from others.
    delayMs: Math.max(
      stopped.retryAfterMs ?? DEFAULT_RATE_LIMIT_WAIT_MS,
      Math.min(cursor.waited.ms, MAX_PATIENCE_MS),
      100,
    ),
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
  if (waited.ms <= WAIT_IN_PLACE_MS) {
    await wait(wanted.delayMs, undefined, { signal });
    return moved;
  }
  await inTransaction(deps.pool, async (tx) => {
    await lockForAttempt(tx, task);
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
