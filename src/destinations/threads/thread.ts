import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { TaskFailure } from '../../errors.ts';
import type { OauthTokens } from '../actions-core/actions-core.ts';
import { observeEnded } from '../actions-core/observe-call.ts';
import { processorMs, stepBack } from './thread-clock.ts';
import { stopOfError, toFailureParts } from './stop-parts.ts';
import {
  sharedNow,
  type FromThread,
  type ThreadJob,
  type ThreadReply,
  type ThreadResult,
  type ThreadSetup,
  type ToThread,
} from './thread-messages.ts';

/** So long may a thread be on a processor for one job, in milliseconds; waiting for a tool's answer does not count. */
export const MAX_COMPUTE_MS = 10_000;
/** So much longer may it be busy where others keep the processors from it. */
const BUSY_FACTOR = 30;
const LOOK_EVERY_MS = 100;
/** More than most honest jobs compute. */
const LONG_MS = 300;
/** One that has computed for so long for a job, which few honest ones do, steps back behind everybody else. */
const STEP_BACK_AFTER_MS = 1_000;
/** For loading what it needs. */
const MAX_START_MS = 60_000;
/** Whoever gives a job up waits so long for its end, and then ends the thread. */
const ABORT_GRACE_MS = 1_000;
const LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 } as const;

const SOURCES = import.meta.url.endsWith('.ts');

let bundle: string | undefined;

/** The thread of the build, or of the sources. */
function startWorker(options: WorkerOptions): Worker {
  if (!SOURCES) return new Worker(new URL('./destination-thread.js', import.meta.url), options);
  bundle ??= bundleSources();
  return new Worker(bundle, { ...options, eval: true });
}

/** What esbuild takes and gives, so far as it is used here. */
interface Esbuild {
  buildSync(options: Record<string, unknown>): { outputFiles: { text: string }[] };
}

/**
 * The sources of a thread as one script. A new thread knows no TypeScript, and would take more than a second of a core to learn it and to
 * read file after file: so the sources are put together once a process, with what tsx itself reads them with.
 */
function bundleSources(): string {
  const entry = fileURLToPath(new URL('./destination-thread.ts', import.meta.url));
  const esbuild = createRequire(createRequire(import.meta.url).resolve('tsx'))('esbuild') as Esbuild;
  const { outputFiles } = esbuild.buildSync({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    packages: 'external',
    keepNames: true,
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(entry).href) },
  });
  const code = outputFiles.map(({ text }) => text).join('');
  // Packages are found from the sources, and not from where the process was started.
  return `globalThis.require = require('node:module').createRequire(${JSON.stringify(entry)});\n${code}`;
}

/** What a job needs of the thread that it was given by. */
export interface ThreadCallbacks {
  signal: AbortSignal | undefined;
  mayGo: (() => Promise<void>) | undefined;
  onTokenRefresh: ((tokens: OauthTokens) => Promise<void>) | undefined;
}

/** One thread, which executes one job at a time. A job that takes too much time or memory is the end of it. */
export class DestinationThread {
  readonly #worker: Worker;
  readonly #refusedAddresses: () => readonly string[];
  /** Fulfilled once it can work, or is over. */
  readonly started: Promise<void>;
  #callbacks: ThreadCallbacks | null = null;
  #settle: ((result: ThreadResult) => void) | null = null;
  #over = false;
  readonly #maxComputeMs: number;
  #systemId: number | null = null;
  #steppedBack = false;
  #computesLong = false;

  constructor(setup: ThreadSetup, options: { maxComputeMs: number; refusedAddresses: () => readonly string[] }) {
    const { maxComputeMs, refusedAddresses } = options;
    this.#maxComputeMs = maxComputeMs;
    this.#refusedAddresses = refusedAddresses;
    this.#worker = startWorker({
      workerData: setup,
      resourceLimits: LIMITS,
      // What third parties wrote reads no secret of ours there.
      env: {},
    });
    this.started = new Promise((started) => {
      this.#worker.once('exit', () => started());
      this.#worker.on('message', (message: FromThread) => {
        if (message.type !== 'ready') {
          this.#hear(message);
          return;
        }
        this.#systemId = message.systemId;
        started();
      });
    });
    this.#worker.on('error', (error: NodeJS.ErrnoException) => {
      this.#over = true;
      const memory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
      this.#end(
        memory
          ? new TaskFailure('destination_code_overran', `more than ${LIMITS.maxOldGenerationSizeMb} MB of memory`)
          : new TaskFailure('unknown', `the code of the destination ended its thread: ${error.name}`),
      );
    });
    this.#worker.on('exit', (code) => {
      this.#over = true;
      this.#end(new TaskFailure('unknown', `the thread of the destination ended with ${code}`));
    });
  }

  /** Whether it can have no other job. */
  get isOver(): boolean {
    return this.#over;
  }

  /** Whether it leaves the processors to others. It can't be taken back: that takes rights that we should not have. */
  get hasSteppedBack(): boolean {
    return this.#steppedBack;
  }

  /** Whether the job that it has is one that computes for long. */
  get computesLong(): boolean {
    return this.#computesLong;
  }

  async execute(job: ThreadJob, callbacks: ThreadCallbacks): Promise<ThreadResult> {
    this.#worker.ref();
    this.#callbacks = callbacks;
    const result = new Promise<ThreadResult>((settle) => {
      this.#settle = settle;
    });
    const watch = this.#watch(callbacks.signal);
    let grace: NodeJS.Timeout | undefined;
    const abort = (): void => {
      this.#post({ type: 'abort' });
      grace = setTimeout(() => {
        this.end();
        this.#settle?.({ kind: 'stopped', stopped: { kind: 'aborted' } });
      }, ABORT_GRACE_MS);
    };
    callbacks.signal?.addEventListener('abort', abort, { once: true });
    if (callbacks.signal?.aborted === true) abort();
    try {
      await Promise.race([this.started, result]);
      watch.begin();
      this.#post({ type: 'job', job, refusedAddresses: this.#refusedAddresses() });
      return await result;
    } finally {
      watch.stop();
      clearTimeout(grace);
      callbacks.signal?.removeEventListener('abort', abort);
      this.#settle = null;
      this.#callbacks = null;
      this.#computesLong = false;
      this.#worker.unref();
    }
  }

  /** Ends it, whatever it does. */
  end(): void {
    this.#over = true;
    void this.#worker.terminate();
  }

  /** Ends the thread where it takes longer than a job may, by the system's own account and its event loop's: it need not answer. */
  #watch(signal: AbortSignal | undefined): { begin(): void; stop(): void } {
    const startedAt = performance.now();
    let before: { busy: number; computed: number } | null = null;
    const busyMs = (): number => this.#worker.performance.eventLoopUtilization().active;
    const computedMs = (): number => processorMs(this.#systemId) ?? busyMs();
    const overran = (took: string): void => {
      this.end();
      this.#end(new TaskFailure('destination_code_overran', `more than ${took} of computing`));
    };
    const timer = setInterval(() => {
      if (before === null) {
        if (performance.now() - startedAt < MAX_START_MS) return;
        this.end();
        this.#end(new TaskFailure('worker_exhausted', `no thread was ready after ${MAX_START_MS} ms`));
        return;
      }
      const computed = computedMs() - before.computed;
      const maxMs = this.#maxComputeMs;
      if (computed > LONG_MS) this.#computesLong = true;
      if (computed > STEP_BACK_AFTER_MS) this.#stepBack();
      if (signal?.aborted === true) return;
      if (computed > maxMs) overran(`${maxMs} ms`);
      else if (busyMs() - before.busy > maxMs * BUSY_FACTOR)
        overran(`${maxMs * BUSY_FACTOR} ms, with waiting for a processor,`);
    }, LOOK_EVERY_MS);
    return {
      begin: () => {
        before = { busy: busyMs(), computed: computedMs() };
      },
      stop: () => clearInterval(timer),
    };
  }

  #stepBack(): void {
    if (this.#steppedBack || this.#over) return;
    this.#steppedBack = true;
    stepBack(this.#systemId);
  }

  #hear(message: Exclude<FromThread, { type: 'ready' }>): void {
    if (message.type === 'result') this.#settle?.(message.result);
    else if (message.type === 'call_ended') observeEnded(message.call);
    else void this.#answer(message);
  }

  async #answer(message: Extract<FromThread, { question: number }>): Promise<void> {
    const callbacks = this.#callbacks;
    let reply: ThreadReply;
    try {
      // Of a job that is over: nothing goes out for it any more.
      if (callbacks === null) throw new Error('nobody waits for it');
      if (message.type === 'tokens') await callbacks.onTokenRefresh?.(message.tokens);
      else await callbacks.mayGo?.();
      reply = { ok: true, at: sharedNow(), refusedAddresses: this.#refusedAddresses() };
    } catch (error) {
      reply = { ok: false, stopped: stopOfError(error) };
    }
    this.#post({ type: 'reply', question: message.question, reply });
  }

  #post(message: ToThread): void {
    if (this.#over) return;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(message);
  }

  #end(failure: TaskFailure): void {
    this.#settle?.({ kind: 'stopped', stopped: { kind: 'failed', failure: toFailureParts(failure) } });
  }
}
