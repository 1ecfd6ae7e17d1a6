import { FAILURES, TaskFailure } from '../../errors.ts';
import { createRedactor, type Redact } from '../../security/index.ts';
import { createCoreDestination } from '../actions-core/actions-core.ts';
import { batchSizeOf, groupByBatchKeys, sendsSingly } from './batching.ts';
import { UNCHECKED } from '../catalogue/catalogue.ts';
import { OwnError } from '../actions-core/classify.ts';
import type { DeliverInput } from '../threads/deliver-input.ts';
import type { DestinationCallDeps } from '../deps.ts';
import type { OutgoingMessage, SegmentMessage } from './messages.ts';
import { observeCall } from '../actions-core/observe-call.ts';
import type { OpenDestination, OpenSubscription } from '../opened-destination.ts';
import { worseOutcome, type DeliveryResult, type DeliveryStop, type MessageOutcome } from '../actions-core/outcome.ts';
import { sendBatch, sendSingle, type Answer, type Channel } from './send-batch.ts';
import { redactorOf } from '../settings/secrets.ts';
import { parseTrigger } from '../catalogue/trigger.ts';
import { wholeEvents } from './whole-event.ts';

/** Requests at once to a destination that takes one event each. */
const SINGLE_CONCURRENCY = 5;
/** A refusal with one of these may be about one event of the batch; with any other it is about the request. */
const SPLIT_STATUSES = new Set<number | null>([null, 400, 409, 413, 422]);
/** So many events refused one by one and none accepted: then it is not about the events. */
const GIVE_UP_AFTER = 32;

/** No call of deliverBatch takes more changes than this. */
export const MAX_CHANGES_PER_BATCH = 500;

/**
 * How many changes a caller takes for one call of deliverBatch: as many as fit into one request, so that a worker that dies has
 * at most one batch in flight. A change becomes up to two messages, and each subscription that both are for takes them together.
 */
export function changesPerBatch(destination: OpenDestination): number {
  const sizes = destination.subscriptions.map((subscription) =>
    sendsSingly(destination.slug, subscription.action, subscription.mapping)
      ? 2 * SINGLE_CONCURRENCY
      : batchSizeOf(destination.slug, subscription.action, subscription.mapping),
  );
  return Math.max(1, Math.floor(Math.min(...sizes, 2 * MAX_CHANGES_PER_BATCH) / 2));
}

/**
 * Sends messages to a destination, to every subscription whose trigger matches, and says of each what became of it. It does not
 * throw for what a destination answers: what was acknowledged before a failure is in the outcomes, the rest is `retry`, and
 * `stopped` says why. The caller keeps what was acknowledged first, and acts on `stopped` then.
 *
 * A batch that is refused as a whole is split until the events are found that are to blame: those are rejected, the others
 * delivered, all under their own message ids. Where the destination answers for each event, that is its answer.
 * A message that two subscriptions are for and one failed on is sent to both again.
 *
 * What people and third parties wrote (mappings, triggers, the code of actions) is executed in a thread of its own, and ended where
 * it takes more than a batch may: `stopped` is destination_code_overran then. Whole events to a webhook are sent from here: nothing of
 * that takes longer for what someone wrote.
 */
export async function deliverBatch(deps: DestinationCallDeps, input: DeliverInput): Promise<DeliveryResult> {
  if (deps.threads === null || isPlain(input.destination)) return await deliverHere(deps, input);
  return await deps.threads.deliver(input);
}

/** A trigger of so many characters is soon looked through. One with `match` may be what third parties make of a pattern. */
const PLAIN_TRIGGER = 500;
const PLAIN_MAPPING = 20_000;

function isPlain({ slug, subscriptions }: OpenDestination): boolean {
  return (
    slug === 'webhook' &&
    subscriptions.every(
      ({ action, trigger, mapping }) =>
        trigger.length <= PLAIN_TRIGGER &&
        !trigger.includes('match') &&
        JSON.stringify(mapping).length <= PLAIN_MAPPING &&
        wholeEvents(slug, action, mapping) !== null,
    )
  );
}

/** Does what deliverBatch says in the thread that calls it. */
export async function deliverHere(deps: DestinationCallDeps, input: DeliverInput): Promise<DeliveryResult> {
  const { destination, messages } = input;
  const stopped = refuseUnchecked(deps, destination.slug);
  if (stopped !== null) return { outcomes: messages.map(() => ({ status: 'retry' })), stopped };
  // Those have clients of their own, which know nothing of waiting.
  if (UNCHECKED.has(destination.slug)) await input.until;
  const delivery = new Delivery(deps, input);
  for (const subscription of destination.subscriptions) await delivery.sendTo(subscription);
  return delivery.result();
}

/** The stop for a destination whose connections nobody could check, where that matters; else null. */
function refuseUnchecked(deps: DestinationCallDeps, slug: string): DeliveryStop | null {
  if (deps.allowPrivateAddresses || !UNCHECKED.has(slug)) return null;
  const detail = `${slug} has a network client of its own, which the check of addresses does not reach`;
  return { kind: 'failed', failure: new TaskFailure('destination_address_refused', detail) };
}

class Delivery {
  readonly #deps: DestinationCallDeps;
  readonly #input: DeliverInput;
  readonly #outcomes: (MessageOutcome | undefined)[];
  #stop: DeliveryStop | null = null;

  constructor(deps: DestinationCallDeps, input: DeliverInput) {
    this.#deps = deps;
    this.#input = input;
    this.#outcomes = input.messages.map(() => undefined);
  }

  result(): DeliveryResult {
    return {
      outcomes: this.#outcomes.map(
        (outcome) => outcome ?? { status: 'skipped', reason: 'No subscription of the destination is for it.' },
      ),
      stopped: this.#stop,
    };
  }

  async sendTo(subscription: OpenSubscription): Promise<void> {
    const { slug } = this.#input.destination;
    const matches = parseTrigger(subscription.trigger, 'trigger');
    const matched: { position: number; event: SegmentMessage }[] = [];
    for (const [position, { event }] of this.#input.messages.entries()) {
      if (matches(event)) matched.push({ position, event });
    }
    const single = sendsSingly(slug, subscription.action, subscription.mapping);
    const size = batchSizeOf(slug, subscription.action, subscription.mapping);
    const channel = this.#open(subscription);
    if (single) {
      await this.#sendSingles(
        channel,
        matched.map(({ position }) => position),
      );
      return;
    }
    for (const group of groupByBatchKeys(slug, subscription.action, subscription.mapping, matched)) {
      for (let from = 0; from < group.length; from += size) {
        await this.#sendParts(channel, group.slice(from, from + size), { accepted: false, refusedSingly: 0 });
      }
    }
  }

  #open(subscription: OpenSubscription): Channel {
    const { destination, signal, until, mayGo, onTokenRefresh } = this.#input;
    const whole = wholeEvents(destination.slug, subscription.action, subscription.mapping);
    const redact = redactorOf(destination);
    let refreshed: Redact = (text) => text;
    return {
      core: createCoreDestination(
        destination.slug,
        this.#deps.requestTimeoutMs,
        whole === null ? {} : { [subscription.action]: whole.action },
      ),
      whole,
      settings: destination.settings,
      subscription: {
        partnerAction: subscription.action,
        subscribe: subscription.trigger,
        mapping: subscription.mapping,
      },
      signal,
      gate: { workspaceId: destination.workspaceId, until, mayGo, ownClient: UNCHECKED.has(destination.slug) },
      deps: this.#deps,
      classify: { signal, redact: (text) => redact(refreshed(text)) },
      onTokenRefresh: async (tokens) => {
        refreshed = createRedactor([tokens.accessToken, tokens.refreshToken ?? '']);
        try {
          await onTokenRefresh?.(tokens);
        } catch (error) {
          if (error instanceof TaskFailure) throw error;
          throw new OwnError('the new tokens were not kept', { cause: error });
        }
      },
    };
  }

  async #sendSingles(channel: Channel, positions: number[]): Promise<void> {
    let next = 0;
    const lane = async () => {
      for (let at = next++; at < positions.length; at = next++) {
        const position = positions[at] ?? 0;
        if (this.#stop === null) {
          const send = async (): Promise<Answer> => await sendSingle(channel, this.#message(position).event);
          this.#settle([position], await observeCall(this.#input.destination.slug, send));
        } else this.#record(position, { status: 'retry' });
      }
    };
    await Promise.all(Array.from({ length: SINGLE_CONCURRENCY }, lane));
  }

  /**
   * Sends a batch; where it is refused, its halves, and so on. A half is every second event, so that the first ones to be tried
   * alone come from all over the batch, and a batch that is refused whatever is in it is given up soon.
   */
  async #sendParts(
    channel: Channel,
    positions: number[],
    seen: { accepted: boolean; refusedSingly: number },
  ): Promise<void> {
    if (this.#stop !== null) {
      for (const position of positions) this.#record(position, { status: 'retry' });
      return;
    }
    const messages = positions.map((position) => this.#message(position));
    const send = async (): Promise<Answer> => await sendBatch(channel, messages);
    const answer = await observeCall(this.#input.destination.slug, send);
    const split =
      answer.kind === 'refused' &&
      positions.length > 1 &&
      SPLIT_STATUSES.has(answer.httpStatus) &&
      (seen.accepted || seen.refusedSingly < GIVE_UP_AFTER);
    if (split) {
      for (const parity of [0, 1]) {
        await this.#sendParts(
          channel,
          positions.filter((_, index) => index % 2 === parity),
          seen,
        );
      }
      return;
    }
    if (answer.kind === 'refused' && positions.length === 1) seen.refusedSingly += 1;
    if (answer.kind === 'answered') seen.accepted ||= answer.outcomes.some(({ status }) => status === 'delivered');
    this.#settle(positions, answer);
  }

  #settle(positions: number[], answer: Answer): void {
    if (answer.kind !== 'refused') this.#stopFor(answer.stop);
    for (const [index, position] of positions.entries()) {
      if (answer.kind === 'stopped') this.#record(position, { status: 'retry' });
      else if (answer.kind === 'answered') this.#record(position, answer.outcomes[index] ?? { status: 'retry' });
      else this.#record(position, { status: 'rejected', httpStatus: answer.httpStatus, reason: answer.reason });
    }
  }

  #stopFor(stop: DeliveryStop | null): void {
    // Of several failures at once the first is told, but one that can't heal ends the sync whatever else there is.
    const hard = stop?.kind === 'failed' && FAILURES[stop.failure.code].class === 'hard';
    if (this.#stop === null || hard) this.#stop = stop ?? this.#stop;
  }

  #record(position: number, outcome: MessageOutcome): void {
    const known = this.#outcomes[position];
    this.#outcomes[position] = known === undefined ? outcome : worseOutcome(known, outcome);
  }

  #message(position: number): OutgoingMessage {
    const message = this.#input.messages[position];
    if (message === undefined) throw new RangeError(`no message ${position}`);
    return message;
  }
}
