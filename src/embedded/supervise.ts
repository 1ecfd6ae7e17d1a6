import { setTimeout as sleep } from 'node:timers/promises';
import { describeExit, type Child } from './child.ts';

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
// A child that lived so long before it died was all right: the next waits are short again.
const STEADY_MS = 60_000;

/** A child that is started again when it dies. */
export interface Supervised {
  readonly name: string;
  /** undefined while it is down. */
  pid(): number | undefined;
  stop(): Promise<void>;
  /** At once, whatever it is doing. */
  kill(): void;
}

/**
 * Starts a child and keeps it running. The first start's error is the caller's; after that a child that dies is started
 * again, with growing waits while it keeps dying, and `onNotice` hears of it in sentences.
 */
export async function supervise<C extends Child>(options: {
  name: string;
  start: () => Promise<C>;
  onNotice: (sentence: string) => void;
}): Promise<{ first: C; supervised: Supervised }> {
  const { name, onNotice } = options;
  const stopping = new AbortController();
  const first = await options.start();
  let current: C | undefined = first;
  const watched = watch(first);

  async function watch(started: C): Promise<void> {
    let child = started;
    let waitMs = FIRST_WAIT_MS;
    for (;;) {
      const since = Date.now();
      const exit = await child.exited;
      current = undefined;
      if (stopping.signal.aborted) return;
      if (Date.now() - since > STEADY_MS) waitMs = FIRST_WAIT_MS;
      onNotice(`${name} ended by itself (${describeExit(exit)}) and is started again.`);
      for (;;) {
        await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined);
        waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
        if (stopping.signal.aborted) return;
        try {
          child = await options.start();
          break;
        } catch (error) {
          if (stopping.signal.aborted) return;
          onNotice(`${name} does not start: ${(error as Error).message} The next try is in ${waitMs / 1000} s.`);
        }
      }
      current = child;
      // Asked to stop while it was starting.
      if (stopping.signal.aborted) {
        await child.stop();
        return;
      }
      onNotice(`${name} is back.`);
    }
  }

  return {
    first,
    supervised: {
      name,
      pid: () => current?.pid,
      stop: async () => {
        stopping.abort();
        await current?.stop();
        await watched;
      },
      kill: () => {
        stopping.abort();
        current?.kill();
      },
    },
  };
}
