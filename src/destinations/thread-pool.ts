import { TaskFailure } from '../errors.ts';
import type { AddressRules } from '../security/index.ts';
import type { DeliverInput } from './deliver-input.ts';
import type { PrepareInput } from './audience-input.ts';
import { DestinationThread, type ThreadCallbacks } from './thread.ts';
import { PermitWithdrawn } from './classify.ts';
import type { DeliveryResult } from './outcome.ts';
import { fromStopParts } from './stop-parts.ts';
import type { ThreadJob, ThreadResult, ThreadSetup } from './thread-messages.ts';
import type { WrittenEvents } from './written-events.ts';

/** Threads at once: each has one job. A worker has fewer places for syncs than that, so none waits for another's. */
const MAX_THREADS = 32;
/** Of one workspace: others always find one. */
const MAX_OF_WORKSPACE = 24;
/** Threads without a job that are kept, and for how long. */
const MAX_IDLE = 4;
const IDLE_MS = 30_000;

interface Waiting {
  workspaceId: string;
  goOn: () => void;
}

/** Executes calls to destinations in threads, one at a time in each, and ends what takes more than a batch may. */
export class ThreadPool {
  readonly #setup: ThreadSetup;
  readonly #refusedAddresses: () => readonly string[];
  readonly #idle: { thread: DestinationThread; timer: NodeJS.Timeout }[] = [];
  readonly #underWay = new Map<string, number>();
  readonly #waiting: Waiting[] = [];

  constructor(rules: AddressRules, requestTimeoutMs: number) {
    const { allowPrivateAddresses, allowedAddresses = [], refusedAddresses = () => [] } = rules;
    this.#setup = { allowPrivateAddresses, allowedAddresses, requestTimeoutMs };
    this.#refusedAddresses = refusedAddresses;
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
    await this.#turn(workspaceId);
    try {
      if (callbacks.signal?.aborted === true) return { kind: 'stopped', stopped: { kind: 'aborted' } };
      const thread = this.#take();
      const result = await thread.execute(job, callbacks);
      this.#keep(thread);
      return result;
    } finally {
      this.#ended(workspaceId);
    }
  }

  #take(): DestinationThread {
    const idle = this.#idle.pop();
    if (idle === undefined) return new DestinationThread(this.#setup, this.#refusedAddresses);
    clearTimeout(idle.timer);
    return idle.thread;
  }

  #keep(thread: DestinationThread): void {
    if (thread.isOver) return;
    if (this.#idle.length >= MAX_IDLE) {
      thread.end();
      return;
    }
    const timer = setTimeout(() => {
      this.#idle.splice(this.#idle.indexOf(idle), 1);
      thread.end();
    }, IDLE_MS);
    timer.unref();
    const idle = { thread, timer };
    this.#idle.push(idle);
  }

  async #turn(workspaceId: string): Promise<void> {
    if (!this.#hasPlace(workspaceId)) {
      await new Promise<void>((goOn) => this.#waiting.push({ workspaceId, goOn }));
      return;
    }
    this.#begin(workspaceId);
  }

  #hasPlace(workspaceId: string): boolean {
    let all = 0;
    for (const count of this.#underWay.values()) all += count;
    return all < MAX_THREADS && (this.#underWay.get(workspaceId) ?? 0) < MAX_OF_WORKSPACE;
  }

  #begin(workspaceId: string): void {
    this.#underWay.set(workspaceId, (this.#underWay.get(workspaceId) ?? 0) + 1);
  }

  #ended(workspaceId: string): void {
    const left = (this.#underWay.get(workspaceId) ?? 1) - 1;
    if (left === 0) this.#underWay.delete(workspaceId);
    else this.#underWay.set(workspaceId, left);
    const at = this.#waiting.findIndex((waiting) => this.#hasPlace(waiting.workspaceId));
    const [next] = at < 0 ? [] : this.#waiting.splice(at, 1);
    if (next === undefined) return;
    this.#begin(next.workspaceId);
    next.goOn();
  }
}
