import type { FailureCode } from '../../errors.ts';
import type { OauthTokens } from '../actions-core/actions-core.ts';
import type { PrepareInput } from './audience-input.ts';
import type { SegmentMessage } from '../delivery/messages.ts';
import type { CallEnded } from '../actions-core/observe-call.ts';
import type { OpenDestination } from '../opened-destination.ts';
import type { DeliveryStop, MessageOutcome } from '../actions-core/outcome.ts';
import type { WrittenParts } from '../delivery/written-events.ts';

/** What a thread is made with. */
export interface ThreadSetup {
  allowPrivateAddresses: boolean;
  allowedAddresses: readonly string[];
  requestTimeoutMs: number;
}

/** A call to a destination that is executed in a thread. */
export type ThreadJob =
  | { kind: 'deliver'; destination: OpenDestination; messages: ThreadMessage[]; written: WrittenParts[] }
  | { kind: 'prepare'; input: Omit<PrepareInput, 'signal' | 'mayGo'> };

/** An OutgoingMessage, with the number of what it is written in. */
interface ThreadMessage {
  idx: number;
  event: SegmentMessage;
  written: number;
  place: number;
}

export interface FailureParts {
  code: FailureCode;
  detail: string;
  retryAfterMs: number | undefined;
}

/** A DeliveryStop, its failure in parts: an error loses its class on the way between threads. */
export type StopParts =
  | Exclude<DeliveryStop, { failure: unknown }>
  | { kind: 'failed'; failure: FailureParts }
  | { kind: 'rate_limited'; retryAfterMs: number | null; failure: FailureParts };

/** What a job came to. */
export type ThreadResult =
  | { kind: 'delivered'; outcomes: MessageOutcome[]; stopped: StopParts | null }
  | { kind: 'prepared'; externalAudienceId: string | null }
  | { kind: 'stopped'; stopped: StopParts };

/**
 * What an asker is told. `at`: when it was true, by process.hrtime, in milliseconds. The addresses are AddressRules' own: those that
 * are refused now.
 */
export type ThreadReply =
  | { ok: true; at: number; refusedAddresses: readonly string[] }
  | { ok: false; stopped: StopParts };

export type ToThread =
  | { type: 'job'; job: ThreadJob; refusedAddresses: readonly string[] }
  | { type: 'abort' }
  | { type: 'reply'; question: number; reply: ThreadReply };

export type FromThread =
  /** `systemId`: by which the operating system knows the thread, where that can be told. */
  | { type: 'ready'; systemId: number | null }
  | { type: 'may_go'; question: number }
  | { type: 'tokens'; question: number; tokens: OauthTokens }
  | { type: 'call_ended'; call: CallEnded }
  | { type: 'result'; result: ThreadResult };

/** Milliseconds of a clock that all threads of the process share. */
export function sharedNow(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}
