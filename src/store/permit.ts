import { setTimeout as wait } from 'node:timers/promises';
import { TaskFailure } from '../errors.ts';

/**
 * For so long after it began to look may someone act on what it saw, in milliseconds. Whoever takes back what was seen waits as long
 * after the commit before saying that it is done: by then every permit from before has run out. Both measure a duration on their
 * own machine's clock, so it does not matter what time these show.
 */
export const PERMIT_MS = 200;
/** What may pass between the answer and what it allows: a timer that fires early, or a thread that hears of it late. */
const PASSED_ON_MS = 50;
const MAX_LOOKS = 50;

/** Waits until every permit has run out that was given under what was committed before this call. */
export async function outlastPermits(): Promise<void> {
  await wait(PERMIT_MS + PASSED_ON_MS);
}

/**
 * The permission to do something outside of PostgreSQL again and again, a request to a destination say, for as long as rows there
 * say so. It is asked for before each time, and looks at most once in PERMIT_MS.
 */
export class Permit {
  readonly #look: () => Promise<void>;
  #lookedAt: number;
  #looking: Promise<void> | null = null;

  /** `look` is one statement; it throws where the permission is withdrawn. `lookedAt`: when something began that saw the same. */
  constructor(look: () => Promise<void>, lookedAt = Number.NEGATIVE_INFINITY) {
    this.#look = look;
    this.#lookedAt = lookedAt;
  }

  /** Another statement, begun at this time of `performance.now()`, has seen that the permission stands. */
  renew(lookedAt: number): void {
    this.#lookedAt = Math.max(this.#lookedAt, lookedAt);
  }

  /** Fulfilled where it may be done now, and at once. Rejected with what `look` threw. */
  readonly ask = async (): Promise<void> => {
    for (let looks = 0; performance.now() - this.#lookedAt >= PERMIT_MS; looks++) {
      // An answer that comes too late says nothing of now.
      if (looks >= MAX_LOOKS)
        throw new TaskFailure('postgres_contention', 'no look at what stands was answered in time');
      this.#looking ??= this.#lookOnce().finally(() => {
        this.#looking = null;
      });
      await this.#looking;
    }
  };

  async #lookOnce(): Promise<void> {
    const since = performance.now();
    await this.#look();
    this.renew(since);
  }
}
