import { DeadlineError } from './classify.ts';
import type { DestinationDeps } from './deps.ts';
import { withOutgoing } from './guard-fetch.ts';

/** A definition may wait up to 30 s for one request, and make several of them for one batch. */
const REQUESTS_PER_CALL = 6;

/**
 * Runs one call into actions-core: with the rules for outgoing requests, under a signal that the caller's own aborts, and with a
 * deadline. It ends as soon as either says so, whether or not the call notices: some destinations have clients of their own.
 * What it would send by actions-core's fetch waits for `until`.
 */
export async function callCore<T>(
  deps: Pick<DestinationDeps, 'agents' | 'requestTimeoutMs'>,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
  until?: Promise<void>,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  const deadlineMs = deps.requestTimeoutMs * REQUESTS_PER_CALL;
  const timer = setTimeout(() => controller.abort(new DeadlineError(`no end after ${deadlineMs} ms`)), deadlineMs);
  try {
    const ended = new Promise<never>((_, reject) => {
      controller.signal.addEventListener('abort', () => reject(controller.signal.reason as Error), { once: true });
    });
    const called = withOutgoing({ agents: deps.agents, signal: controller.signal, until }, () =>
      call(controller.signal),
    );
    // Whichever loses the race may still fail, and nobody listens any more.
    called.catch(() => undefined);
    ended.catch(() => undefined);
    return await Promise.race([called, ended]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}
