import { setTimeout as wait } from 'node:timers/promises';
import { advanceBaseline, readChanges, type Change } from '../compute/index.ts';
import {
  buildMessages,
  changeOutcomes,
  changesPerBatch,
  deliverBatch,
  keepRefreshedTokens,
  type DeliveryStop,
  type MessageOutcome,
} from '../destinations/index.ts';
import { TaskFailure } from '../errors.ts';
import { inTransaction } from '../store/index.ts';
import type { ActivityStep, ActivityStepContext } from './engine.ts';
import { openSync, type OpenSync } from './open-sync.ts';
import { outputOf, type ExtractOutput } from './step-outputs.ts';
import { lockForAttempt, moveCursor } from './steps.ts';

/** How far a delivery is. Every change below `next` is settled, except those in `redo`. */
interface DeliverCursor {
  next: number;
  /** Changes of earlier batches that were not acknowledged. */
  redo: number[];
  delivered: number;
  rejected: number;
  skipped: number;
}

const FROM_THE_START: DeliverCursor = { next: 0, redo: [], delivered: 0, rejected: 0, skipped: 0 };

// A destination may ask to wait this long in all before it costs the attempt (design: within a bound).
const MAX_RATE_LIMIT_WAIT_MS = 60 * 60_000;
const DEFAULT_RATE_LIMIT_WAIT_MS = 5_000;

/**
 * deliver: sends the frozen changes in batches. After each, in this order: the baseline of what was acknowledged, then the
 * cursor. A worker that dies between any two of these leaves at most this one batch to be sent again, under the same message
 * ids. Being asked to slow down is waited out, and costs no attempt.
 */
export const deliver: ActivityStep = async (context) => {
  const { deps, task } = context;
  const sync = await openSync(deps, task);
  const extracted = outputOf(task, 'extract');
  const size = changesPerBatch(sync.destination);
  let cursor = (context.cursor as DeliverCursor | null) ?? FROM_THE_START;
  let waitedMs = 0;
  while (cursor.next < extracted.changes || cursor.redo.length > 0) {
    const changes = await nextBatch(context, extracted, cursor, size);
    const { outcomes, stopped } = await sendChanges(context, sync, extracted, changes);
    cursor = await settle(context, sync, extracted, cursor, changes, outcomes);
    if (stopped === null) refuseSilence(cursor, changes);
    else waitedMs += await waitOrThrow(stopped, waitedMs, context.signal);
  }
  return { output: { delivered: cursor.delivered, rejected: cursor.rejected, skipped: cursor.skipped } };
};

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
      'reconcile_mismatch',
      `extract ${extracted.extractId} gave ${changes.length} changes where there should be ${expected}`,
    );
  }
  return changes;
}

async function sendChanges(
  { deps, task, signal }: ActivityStepContext,
  sync: OpenSync,
  extracted: ExtractOutput,
  changes: readonly Change[],
): Promise<{ outcomes: Map<number, MessageOutcome>; stopped: DeliveryStop | null }> {
  const messages = changes.flatMap((change) =>
    buildMessages(sync.computation, change, {
      taskId: task.id,
      timestamp: new Date(extracted.asOf),
      externalAudienceId: sync.externalAudienceId,
      audienceSettings: sync.audienceSettings,
    }),
  );
  const { outcomes, stopped } = await deliverBatch(deps.destinations, {
    destination: sync.destination,
    messages,
    signal,
    onTokenRefresh: async (tokens) => {
      await inTransaction(deps.pool, async (tx) => {
        await keepRefreshedTokens(tx, deps.destinations, sync.destination, tokens);
      });
    },
  });
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
): Promise<DeliverCursor> {
  const outcomeOf = (change: Change): MessageOutcome => outcomes.get(change.idx) ?? { status: 'retry' };
  const acknowledged = changes.filter((change) => outcomeOf(change).status === 'delivered');
  const rejected = changes.flatMap((change) => {
    const outcome = outcomeOf(change);
    return outcome.status === 'rejected' ? [{ change, outcome }] : [];
  });
  const skipped = changes.filter((change) => outcomeOf(change).status === 'skipped').length;
  const again = changes.filter((change) => outcomeOf(change).status === 'retry').map((change) => change.idx);
  const tried = new Set(changes.map((change) => change.idx));
  const moved: DeliverCursor = {
    next: Math.max(cursor.next, ...changes.map((change) => change.idx + 1)),
    redo: [...cursor.redo.filter((idx) => !tried.has(idx)), ...again].sort((a, b) => a - b),
    delivered: cursor.delivered + acknowledged.length,
    rejected: cursor.rejected + rejected.length,
    skipped: cursor.skipped + skipped,
  };
  await advanceBaseline(deps.clickhouse, sync.connectionId, extracted.extractId, acknowledged);
  await inTransaction(deps.pool, async (tx) => {
    await lockForAttempt(tx, task.id, task.attempt);
    await tx.query(
      `insert into rejected_rows (task_id, idx, profile, status, reason)
       select $1, row.* from unnest($2::int[], $3::int[], $4::int[], $5::text[]) as row (idx, profile, status, reason)
       on conflict do nothing`,
      [
        task.id,
        rejected.map(({ change }) => change.idx),
        rejected.map(({ change }) => change.profile),
        rejected.map(({ outcome }) => outcome.httpStatus),
        rejected.map(({ outcome }) => outcome.reason.slice(0, 2_000)),
      ],
    );
    await moveCursor(tx, task.id, 'deliver', moved, {
      done: moved.next - moved.redo.length,
      total: extracted.changes,
    });
  });
  progress(moved.next - moved.redo.length, extracted.changes);
  return moved;
}

/** Changes that came back unacknowledged without a reason would be sent again and again without a pause. */
function refuseSilence(cursor: DeliverCursor, sent: readonly Change[]): void {
  const again = new Set(cursor.redo);
  if (!sent.some((change) => again.has(change.idx))) return;
  throw new TaskFailure('unknown', 'the delivery left changes unacknowledged and did not say why');
}

/** Waits where the destination asked to slow down and the bound allows it, and returns how long; throws for any other stop. */
async function waitOrThrow(stopped: DeliveryStop, waitedMs: number, signal: AbortSignal): Promise<number> {
  if (stopped.kind === 'aborted') {
    signal.throwIfAborted();
    throw new TaskFailure('worker_lost', 'the delivery was aborted');
  }
  if (stopped.kind === 'failed') throw stopped.failure;
  const delayMs = Math.max(stopped.retryAfterMs ?? DEFAULT_RATE_LIMIT_WAIT_MS, 100);
  if (waitedMs + delayMs > MAX_RATE_LIMIT_WAIT_MS) throw stopped.failure;
  await wait(delayMs, undefined, { signal });
  return delayMs;
}
