import { setImmediate as othersTurn } from 'node:timers/promises';
import type { Change } from '../../../compute/index.ts';
import {
  changeOutcomes,
  changesPerBatch,
  deliverBatch,
  keepRefreshedTokens,
  messageBuilder,
  type DeliveryStop,
  type MessageOutcome,
  type OauthTokens,
  type OutgoingMessage,
} from '../../../destinations/index.ts';
import { inBatchSpan } from '../../../metrics/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { createChangeReader, type ChangeReader } from './change-reader.ts';
import type { ActivityStepContext } from '../contract.ts';
import type { OpenSync } from './open-sync.ts';
import type { DeliverCursor } from './settle-batch.ts';
import type { ExtractOutput } from '../../model/task.ts';

/** What came of a batch: the outcome of each of its changes, by idx, and why the rest was not sent. */
export interface BatchAnswer {
  changes: readonly Change[];
  outcomes: ReadonlyMap<number, MessageOutcome>;
  stopped: DeliveryStop | null;
}

interface Batch {
  changes: readonly Change[];
  messages: readonly OutgoingMessage[];
}

interface Sending {
  batch: Promise<Batch>;
  /** Whether it has gone out; false where it was called off before. */
  gone: Promise<boolean>;
  answer: Promise<Pick<BatchAnswer, 'outcomes' | 'stopped'>>;
}

// A request that is made before it may go out has its time running.
const MAX_AHEAD_MS = 1_000;

/**
 * Sends an extract's changes in batches, one request at a time, and makes the next one ready meanwhile: its messages while a batch
 * is at the destination, its request while that batch is being settled.
 */
export class BatchSender {
  readonly #context: ActivityStepContext;
  readonly #sync: OpenSync;
  readonly #total: number;
  readonly #size: number;
  readonly #reader: ChangeReader;
  readonly #build: ReturnType<typeof messageBuilder>;
  /** The messages of the batch after the one that was sent last; null where there is none in order. */
  #following: Promise<Batch> | null = null;
  /** What goOn has begun to send. */
  #ahead: Sending | null = null;
  /** Aborts what is under way. */
  #sending = new AbortController();

  constructor(context: ActivityStepContext, sync: OpenSync, extracted: ExtractOutput) {
    this.#context = context;
    this.#sync = sync;
    this.#total = extracted.changes;
    this.#size = changesPerBatch(sync.destination);
    const { clickhouse } = context.deps;
    this.#reader = createChangeReader({ ...context, clickhouse }, extracted.extractId, extracted.changes);
    this.#build = messageBuilder(sync.computation, {
      connectionId: sync.connectionId,
      extractId: extracted.extractId,
      timestamp: new Date(extracted.asOf),
      externalAudienceId: sync.externalAudienceId,
      audienceSettings: sync.audienceSettings,
    });
    context.signal.addEventListener('abort', this.#abort);
  }

  /** Sends the batch that is next where the cursor is, unless goOn has, and waits for its answer. */
  async send(cursor: DeliverCursor): Promise<BatchAnswer> {
    const ahead = this.#ahead;
    this.#ahead = null;
    const batch = await (ahead?.batch ?? this.#next(cursor));
    const answer = ahead !== null && (await ahead.gone) ? ahead.answer : this.#deliver(batch);
    this.#following = this.#after(cursor, batch);
    const { outcomes, stopped } = await answer;
    return { changes: batch.changes, outcomes, stopped };
  }

  /**
   * Begins to send the batch after the one that was sent last and taken as a whole: makes its request at once, which goes out when
   * `settled` says true. Where that says false, is rejected or takes too long, nothing goes out.
   */
  goOn(settled: Promise<boolean>): void {
    const batch = this.#following;
    if (batch === null) return;
    const controller = new AbortController();
    this.#sending = controller;
    const since = performance.now();
    const gone = settled
      .catch(() => false)
      .then((may) => {
        if (may && performance.now() - since < MAX_AHEAD_MS) return true;
        controller.abort();
        return false;
      });
    const begin = async (): Promise<Pick<BatchAnswer, 'outcomes' | 'stopped'>> => {
      const ready = await batch;
      // What settles the batch before it shall be on its way first.
      await othersTurn();
      return await this.#deliver(ready, controller, gone.then(ignore));
    };
    const answer = begin();
    answer.catch(ignore);
    this.#ahead = { batch, gone, answer };
  }

  /** Ends what is under way, and takes back what has not gone out. */
  close(): void {
    this.#context.signal.removeEventListener('abort', this.#abort);
    this.#sending.abort();
  }

  // Made once: what a destination is given outlives the batch until a full collection, and a function of #deliver's would refer to it.
  readonly #keepTokens = async (tokens: OauthTokens): Promise<void> => {
    const { deps } = this.#context;
    await inTransaction(deps.pool, async (tx) => {
      await keepRefreshedTokens(tx, deps.destinations, this.#sync.destination, tokens);
    });
  };

  readonly #abort = (): void => this.#sending.abort(this.#context.signal.reason);

  async #next({ redo, next }: DeliverCursor): Promise<Batch> {
    if (redo.length > 0) return this.#makeMessages(await this.#reader.some(redo.slice(0, this.#size)));
    return this.#makeMessages(await this.#reader.range(next, Math.min(next + this.#size, this.#total)));
  }

  #after(cursor: DeliverCursor, batch: Batch): Promise<Batch> | null {
    const last = batch.changes.at(-1);
    if (cursor.redo.length > 0 || last === undefined || last.idx + 1 >= this.#total) return null;
    const following = othersTurn().then(async () => await this.#next({ ...cursor, next: last.idx + 1 }));
    following.catch(ignore);
    return following;
  }

  #makeMessages(changes: readonly Change[]): Batch {
    return { changes, messages: this.#build(changes) };
  }

  async #deliver(
    { changes, messages }: Batch,
    controller = new AbortController(),
    until?: Promise<void>,
  ): Promise<Pick<BatchAnswer, 'outcomes' | 'stopped'>> {
    const { deps, signal } = this.#context;
    const { destination } = this.#sync;
    this.#sending = controller;
    if (signal.aborted) controller.abort(signal.reason);
    const { outcomes, stopped } = await inBatchSpan(
      { destination: destination.slug, rows: changes.length },
      async () =>
        await deliverBatch(deps.destinations, {
          destination,
          messages,
          signal: controller.signal,
          ...(until === undefined ? {} : { until }),
          mayGo: this.#sync.permit.ask,
          onTokenRefresh: this.#keepTokens,
        }),
      (result) => (result.stopped !== null && 'failure' in result.stopped ? result.stopped.failure.code : null),
    );
    return { outcomes: changeOutcomes(messages, outcomes), stopped };
  }
}

function ignore(): void {}
