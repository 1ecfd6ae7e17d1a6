import { TaskFailure } from '../../errors.ts';

/** What became of one message. */
export type MessageOutcome =
  | { status: 'delivered' }
  /** The destination, or the check of what it takes, refused it for good. `partly`: and took another part of it. */
  | { status: 'rejected'; httpStatus: number | null; reason: string; partly?: true }
  /** No subscription is for it. */
  | { status: 'skipped'; reason: string }
  /** Not acknowledged: it has to be sent again, under the same message id. */
  | { status: 'retry' };

/** Why messages were left with the outcome `retry`. */
export type DeliveryStop =
  | { kind: 'failed'; failure: TaskFailure }
  /** The destination asked to slow down. `retryAfterMs` is what its Retry-After said, null for nothing. */
  | { kind: 'rate_limited'; retryAfterMs: number | null; failure: TaskFailure }
  /** The caller's signal. */
  | { kind: 'aborted' }
  /** What it was opened with is not so any more: switched off, edited, or taken away. Nothing failed. */
  | { kind: 'withdrawn' };

export interface DeliveryResult {
  /** One for each message, in their order. */
  outcomes: MessageOutcome[];
  /** Not null exactly where an outcome is `retry`. */
  stopped: DeliveryStop | null;
}

/** An answer that refuses what was sent for good: the whole request, so perhaps only one of its events is to blame. */
export interface Refusal {
  kind: 'refused';
  httpStatus: number | null;
  reason: string;
}

const RANK = { skipped: 0, delivered: 1, rejected: 2, retry: 3 } as const;

/** The outcome of what was sent in several parts (to two subscriptions, or as two messages): the worst of theirs. */
export function worseOutcome(one: MessageOutcome, other: MessageOutcome): MessageOutcome {
  const [worse, better] = RANK[other.status] > RANK[one.status] ? [other, one] : [one, other];
  const partly = worse.status === 'rejected' && (better.status === 'delivered' || isPartly(better));
  return partly ? { ...worse, partly: true } : worse;
}

function isPartly(outcome: MessageOutcome): boolean {
  return outcome.status === 'rejected' && outcome.partly === true;
}

/**
 * The outcomes of changes from those of their messages: a change is delivered when every message that a subscription is for was,
 * and skipped when there is none such. Keys are the changes' idx.
 */
export function changeOutcomes(
  messages: readonly { idx: number }[],
  outcomes: readonly MessageOutcome[],
): Map<number, MessageOutcome> {
  const changes = new Map<number, MessageOutcome>();
  for (const [position, { idx }] of messages.entries()) {
    const outcome = outcomes[position] ?? { status: 'retry' };
    const known = changes.get(idx);
    changes.set(idx, known === undefined ? outcome : worseOutcome(known, outcome));
  }
  return changes;
}
