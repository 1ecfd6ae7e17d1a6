import { TaskFailure } from '../../errors.ts';
import type {
  CoreDestination,
  CoreEventResult,
  CoreSubscription,
  JsonObject,
  OauthTokens,
} from '../actions-core/actions-core.ts';
import { callCore, type CallGate } from '../actions-core/call-core.ts';
import { classifyError, classifyStatus, shorten, type ClassifyContext } from '../actions-core/classify.ts';
import type { DestinationCallDeps } from '../deps.ts';
import type { OutgoingMessage, SegmentMessage } from './messages.ts';
import type { DeliveryStop, MessageOutcome, Refusal } from '../actions-core/outcome.ts';
import type { WholeEvents } from './whole-event.ts';

const DELIVERED: MessageOutcome = { status: 'delivered' };

/** One subscription of one destination, ready to be sent to. */
export interface Channel {
  core: CoreDestination;
  /** How batches are sent where the action takes whole events; its action is then `core`'s. */
  whole: WholeEvents | null;
  settings: JsonObject;
  subscription: CoreSubscription;
  signal: AbortSignal | undefined;
  gate: CallGate;
  deps: DestinationCallDeps;
  classify: ClassifyContext;
  onTokenRefresh: (tokens: OauthTokens) => Promise<void>;
}

/** What one request came to: outcomes of its events, with what stops further sending; or nothing but a refusal or a stop. */
export type Answer =
  | { kind: 'answered'; outcomes: MessageOutcome[]; stop: DeliveryStop | null }
  | Refusal
  | { kind: 'stopped'; stop: DeliveryStop };

/**
 * Sends messages to one subscription in one request (or what the action makes of them), by actions-core's onBatch. That call
 * has no retries but one: after a 401 it refreshes an OAuth token and tries once more. All other retries are the workflow's.
 */
export async function sendBatch(channel: Channel, messages: readonly OutgoingMessage[]): Promise<Answer> {
  let results: (CoreEventResult | undefined)[];
  try {
    const call = async (some: readonly object[]) => await callBatch(channel, some);
    results =
      channel.whole === null
        ? await call(messages.map(({ event }) => event))
        : await channel.whole.send(messages, call);
  } catch (error) {
    return toAnswer(classifyError(error, channel.classify));
  }
  const whole = wholeAnswer(results, messages.length);
  if (whole !== null) return toAnswer(classifyStatus(whole.status, reasonOf(whole, channel), retryAfter(channel)));
  return eventAnswers(channel, messages.length, results);
}

async function callBatch(channel: Channel, events: readonly object[]): Promise<(CoreEventResult | undefined)[]> {
  const [result] = await callCore(
    channel.deps,
    channel.signal,
    (signal) =>
      channel.core.onBatch(events, withSubscription(channel), { signal, onTokenRefresh: channel.onTokenRefresh }),
    channel.gate,
  );
  return result?.multistatus ?? [];
}

/** Sends one event, by the action's `perform`. */
export async function sendSingle(channel: Channel, event: SegmentMessage): Promise<Answer> {
  try {
    await callCore(
      channel.deps,
      channel.signal,
      (signal) =>
        channel.core.onEvent(event, withSubscription(channel), { signal, onTokenRefresh: channel.onTokenRefresh }),
      channel.gate,
    );
    return { kind: 'answered', outcomes: [{ status: 'delivered' }], stop: null };
  } catch (error) {
    return toAnswer(classifyError(error, channel.classify));
  }
}

function withSubscription(channel: Channel): JsonObject {
  return { ...channel.settings, subscriptions: [channel.subscription] };
}

function toAnswer(classified: Refusal | DeliveryStop): Answer {
  return classified.kind === 'refused' ? classified : { kind: 'stopped', stop: classified };
}

/**
 * An action that doesn't let an HTTP error be thrown gives its answer to every event that passed the checks: the same failing
 * status, and no message of its own. That is one refusal, not as many.
 */
function wholeAnswer(results: (CoreEventResult | undefined)[], count: number): CoreEventResult | null {
  const [first] = results;
  if (first === undefined || results.length !== count || first.status < 300) return null;
  return results.every((result) => result?.status === first.status && result.errormessage === undefined) ? first : null;
}

function eventAnswers(channel: Channel, count: number, results: (CoreEventResult | undefined)[]): Answer {
  const someDelivered = results.some((result) => result !== undefined && result.status < 300);
  let stop: DeliveryStop | null = null;
  const outcomes = Array.from({ length: count }, (_, position): MessageOutcome => {
    const result = results[position];
    if (result === undefined) {
      stop ??= {
        kind: 'failed',
        failure: new TaskFailure('unknown', 'an event of the batch was left without an answer'),
      };
      return { status: 'retry' };
    }
    if (result.status < 300) return DELIVERED;
    const reason = reasonOf(result, channel);
    // 403 for a few events of a batch that was accepted is about these, not about the credentials.
    if (result.status === 403 && someDelivered) return { status: 'rejected', httpStatus: 403, reason };
    const classified = classifyStatus(result.status, reason, retryAfter(channel));
    if (classified.kind === 'refused') return { status: 'rejected', httpStatus: classified.httpStatus, reason };
    if (stop === null || classified.kind === 'rate_limited') stop = classified;
    return { status: 'retry' };
  });
  return { kind: 'answered', outcomes, stop };
}

function reasonOf(result: CoreEventResult, channel: Channel): string {
  const said =
    result.errormessage ?? (typeof result.body === 'string' ? result.body : JSON.stringify(result.body ?? ''));
  return shorten(channel.classify.redact(`${result.status}: ${said}`));
}

/** The answer is gone where an action turned it into statuses, but the destination object keeps every answer it got. */
function retryAfter(channel: Channel): string | null {
  const last = channel.core.responses.findLast((response) => response.status === 429 || response.status === 503);
  return last?.headers.get('retry-after') ?? null;
}
