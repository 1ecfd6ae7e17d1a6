import { TaskFailure } from '../../errors.ts';
import { DeadlineError, OwnError, PermitWithdrawn } from './classify.ts';
import type { DestinationCallDeps } from '../deps.ts';
import { withOutgoing } from './guard-fetch.ts';

/** A definition may wait up to 30 s for one request, and make several of them for one batch. */
const REQUESTS_PER_CALL = 6;
/** A longer answer would be parsed for longer than others should wait for the thread. */
const PARSED_HERE_BYTES = 64 * 1024;

/** Whose a call's requests are, and what holds them back. */
export interface CallGate {
  workspaceId: string;
  /** No request goes out before this is fulfilled. */
  until?: Promise<void> | undefined;
  /** Asked before each request; rejects where none may go out any more, and the call with it. */
  mayGo?: (() => Promise<void>) | undefined;
  /** The destination has a client of its own: then `mayGo` is asked before the call, because nobody can ask in it. */
  ownClient?: boolean;
}

/**
 * Runs one call into actions-core: with the rules for outgoing requests, under a signal that the caller's own aborts, and with a
 * deadline. It ends as soon as either says so, whether or not the call notices: some destinations have clients of their own.
 * What it would send by actions-core's fetch passes `gate`.
 */
export async function callCore<T>(
  deps: Pick<DestinationCallDeps, 'agents' | 'requestTimeoutMs' | 'threads'>,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
  gate: CallGate,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  const deadlineMs = deps.requestTimeoutMs * REQUESTS_PER_CALL;
  let waits = false;
  let isOver = false;
  const begin = (): NodeJS.Timeout => setTimeout(() => controller.abort(overdue(waits, deadlineMs)), deadlineMs);
  let timer = begin();
  const onTurn = (has: boolean): void => {
    // What the call left behind may still hear of its turn: no timer is left for it.
    if (isOver) return;
    waits = !has;
    clearTimeout(timer);
    timer = begin();
  };
  try {
    const ended = new Promise<never>((_, reject) => {
      controller.signal.addEventListener('abort', () => reject(controller.signal.reason as Error), { once: true });
    });
    const mayGo = async (): Promise<void> => {
      try {
        await gate.mayGo?.();
      } catch (error) {
        const known = error instanceof PermitWithdrawn || error instanceof TaskFailure;
        const why = known ? error : new OwnError('nobody could say whether it may go out', { cause: error });
        // An action may take any error of a request for an answer: so it is the call that ends, with this.
        controller.abort(why);
        throw why;
      }
    };
    if (gate.ownClient === true) await mayGo();
    // In the worker's own thread only a webhook is called, and of its answer a reason is read.
    const readsAtMost = deps.threads === null ? {} : { readsAtMost: PARSED_HERE_BYTES };
    const outgoing = {
      agents: deps.agents,
      workspaceId: gate.workspaceId,
      signal: controller.signal,
      until: gate.until,
      onTurn,
      mayGo,
      ...readsAtMost,
    };
    const called = withOutgoing(outgoing, () => call(controller.signal));
    // Whichever loses the race may still fail, and nobody listens any more.
    called.catch(() => undefined);
    ended.catch(() => undefined);
    return await Promise.race([called, ended]);
  } finally {
    isOver = true;
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/** What waited for our own requests to the same server is not that server's fault. */
function overdue(waits: boolean, deadlineMs: number): Error {
  return waits
    ? new TaskFailure('worker_exhausted', `no connection to the server was free for ${deadlineMs} ms`)
    : new DeadlineError(`no end after ${deadlineMs} ms`);
}
