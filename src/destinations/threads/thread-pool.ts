import { availableParallelism } from 'node:os';
import { TaskFailure } from '../../errors.ts';
import { FairSlots } from '../../fair-slots.ts';
import type { AddressRules } from '../../security/index.ts';
import type { DeliverInput } from './deliver-input.ts';
import type { PrepareInput } from './audience-input.ts';
import { DestinationThread, MAX_COMPUTE_MS, type ThreadCallbacks } from './thread.ts';
import { PermitWithdrawn } from '../actions-core/classify.ts';
import type { DeliveryResult } from '../actions-core/outcome.ts';
import { fromStopParts } from './stop-parts.ts';
import type { ThreadJob, ThreadResult, ThreadSetup } from './thread-messages.ts';
import type { WrittenEvents } from '../delivery/written-events.ts';

/** Threads at once: each has one job. A worker has fewer slots for syncs than that, where nothing else is set. */
const MAX_THREADS = 32;
/** To start one takes 0.6 s of a processor: a crowd of starts leaves half of them to others. */
const STARTS_AT_ONCE = Math.max(1, Math.floor(availableParallelism() / 2));
/** A workspace of which so many compute for long begins no other job until one is over. */
const LONG_AT_ONCE = 2;
/** Threads without a job that are kept, and for how long. */
const MAX_IDLE = 4;
const IDLE_MS = 30_000;

const ABORTED: ThreadResult = { kind: 'stopped', stopped: { kind: 'aborted' } };

interface Idle {
  thread: DestinationThread;
  /** Whose job it had last. */
  workspaceId: string;
  timer: NodeJS.Timeout;
}

/** Executes calls to destinations in threads, one at a time in each, and ends what takes more than a batch may. */
export class ThreadPool {
  readonly #setup: ThreadSetup;
  readonly #limits: { maxComputeMs: number; refusedAddresses: () => readonly string[] };
  readonly #slots = new FairSlots(MAX_THREADS);
  readonly #starts = new FairSlots(STARTS_AT_ONCE);
  readonly #idle: Idle[] = [];
  readonly #working = new Map<string, Set<DestinationThread>>();
  #held: { workspaceId: string; goOn: () => void }[] = [];

  constructor(rules: AddressRules, requestTimeoutMs: number, maxComputeMs = MAX_COMPUTE_MS) {
    const { allowPrivateAddresses, allowedAddresses = [], refusedAddresses = () => [] } = rules;
    this.#setup = { allowPrivateAddresses, allowedAddresses, requestTimeoutMs };
    this.#limits = { maxComputeMs, refusedAddresses };
  }

  /** As deliverBatch: it does not throw, but says what became of each message. */
  async deliver(input: DeliverInput): Promise<DeliveryResult> {
    const { destination, messages, signal, mayGo, onTokenRefresh } = input;
    await input.until;
    const written = [...new Set(messages.map((message) => message.written))];
    const numbers = new Map<WrittenEvents, number>(written.map((events, number) => [events, number]));
    const job: ThreadJob = {
      kind: 'deliver',
      destination,
      messages: messages.map(({ idx, event, written: events, place }) => ({
        idx,
        event,
        written: numbers.get(events) ?? 0,
        place,
      })),
      written: written.map((events) => events.parts()),
    };
    const result = await this.#run(destination.workspaceId, job, { signal, mayGo, onTokenRefresh });
    if (result.kind === 'delivered') {
      return { outcomes: result.outcomes, stopped: result.stopped === null ? null : fromStopParts(result.stopped) };
    }
    const stopped =
      result.kind === 'stopped'
        ? fromStopParts(result.stopped)
        : { kind: 'failed' as const, failure: new TaskFailure('unknown', 'a thread answered something else') };
    return { outcomes: messages.map(() => ({ status: 'retry' })), stopped };
  }

  /** As prepareAudience. */
  async prepare({ signal, mayGo, ...input }: PrepareInput): Promise<string | null> {
    const job: ThreadJob = { kind: 'prepare', input };
    const result = await this.#run(input.destination.workspaceId, job, { signal, mayGo, onTokenRefresh: undefined });
    if (result.kind === 'prepared') return result.externalAudienceId;
    const stopped = result.kind === 'stopped' ? fromStopParts(result.stopped) : null;
    if (stopped?.kind === 'withdrawn') throw new PermitWithdrawn();
    if (stopped?.kind === 'aborted') {
      signal?.throwIfAborted();
      throw new TaskFailure('worker_lost', 'the call was aborted');
    }
    throw stopped?.failure ?? new TaskFailure('unknown', 'a thread answered something else');
  }

  async #run(workspaceId: string, job: ThreadJob, callbacks: ThreadCallbacks): Promise<ThreadResult> {
    const { signal } = callbacks;
    const slot = await this.#slots.take(workspaceId, signal).catch(() => null);
    if (slot === null) return ABORTED;
    try {
      const thread = await this.#takeThread(workspaceId, signal);
      if (thread === null) return ABORTED;
      const result = await this.#execute(thread, workspaceId, async () => await thread.execute(job, callbacks));
      this.#keep(thread, workspaceId);
      return result;
    } finally {
      slot.leave();
      this.#goOn(workspaceId);
    }
  }

  async #execute<T>(thread: DestinationThread, workspaceId: string, work: () => Promise<T>): Promise<T> {
    const working = this.#working.get(workspaceId) ?? new Set();
    this.#working.set(workspaceId, working.add(thread));
    try {
      return await work();
    } catch (error) {
      // Nobody knows what it does now.
      thread.end();
      throw error;
    } finally {
      working.delete(thread);
      if (working.size === 0) this.#working.delete(workspaceId);
    }
  }

  /** How many more of a workspace's threads may compute for long. */
  #moreLong(workspaceId: string): number {
    const working = [...(this.#working.get(workspaceId) ?? [])];
    return LONG_AT_ONCE - working.filter((thread) => thread.computesLong).length;
  }

  /** Waits while threads of the workspace compute for long: what comes next from there may do the same. Also over when `signal` is aborted. */
  async #untilFewComputeLong(workspaceId: string, signal: AbortSignal | undefined): Promise<void> {
    if (this.#moreLong(workspaceId) > 0 || signal?.aborted === true) return;
    await new Promise<void>((goOn) => {
      const leave = (): void => {
        signal?.removeEventListener('abort', leave);
        this.#held = this.#held.filter((one) => one !== held);
        goOn();
      };
      const held = { workspaceId, goOn: leave };
      this.#held.push(held);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  /** A job of a workspace is over: so many of those that wait go on as may compute for long. */
  #goOn(workspaceId: string): void {
    const next = this.#held.filter((one) => one.workspaceId === workspaceId).slice(0, this.#moreLong(workspaceId));
    for (const { goOn } of next) goOn();
  }

  /** One that had to step back goes on for the workspace it did so for, and for no other. */
  #takeIdle(workspaceId: string): DestinationThread | null {
    const at = this.#idle.findLastIndex((one) => !one.thread.hasSteppedBack || one.workspaceId === workspaceId);
    const [idle] = at < 0 ? [] : this.#idle.splice(at, 1);
    if (idle === undefined) return null;
    clearTimeout(idle.timer);
    return idle.thread;
  }

  /** A thread for a job; null where `signal` is aborted before there is one. */
  async #takeThread(workspaceId: string, signal: AbortSignal | undefined): Promise<DestinationThread | null> {
    for (;;) {
      await this.#untilFewComputeLong(workspaceId, signal);
      if (signal?.aborted === true) return null;
      const idle = this.#takeIdle(workspaceId);
      if (idle !== null) return idle;
      const turn = await this.#starts.take(workspaceId, signal).catch(() => null);
      if (turn === null) return null;
      // It has waited for its turn: one may have been let go of, or others may compute for long by now.
      const letGo = this.#moreLong(workspaceId) > 0 ? this.#takeIdle(workspaceId) : null;
      if (letGo === null && this.#moreLong(workspaceId) > 0) {
        try {
          const thread = new DestinationThread(this.#setup, this.#limits);
          void thread.started.then(() => turn.leave());
          return thread;
        } catch (error) {
          // The system has no thread left, say. The next one may have better luck.
          turn.leave();
          throw error;
        }
      }
      turn.leave();
      if (letGo !== null) return letGo;
    }
  }

  #keep(thread: DestinationThread, workspaceId: string): void {
    if (thread.isOver) return;
    const timer = setTimeout(() => this.#drop(idle), IDLE_MS);
    timer.unref();
    const idle = { thread, workspaceId, timer };
    this.#idle.push(idle);
    if (this.#idle.length <= MAX_IDLE) return;
    // One that serves everybody is worth more.
    this.#drop(this.#idle.find((one) => one.thread.hasSteppedBack) ?? idle);
  }

  #drop(idle: Idle): void {
    this.#idle.splice(this.#idle.indexOf(idle), 1);
    clearTimeout(idle.timer);
    idle.thread.end();
  }
}
