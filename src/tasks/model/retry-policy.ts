/** The retry policy of tasks. Pure: workflows and the alerts' hold time come from the same numbers. */

/** The first attempt and up to five retries (the page: "Engage will retry up to 5 times"). */
export const MAX_ATTEMPTS = 6;

export interface Backoff {
  /** Wait before the first retry, in milliseconds; each further one doubles it. */
  readonly baseMs: number;
  /** No wait is longer than this, in milliseconds. */
  readonly maxMs: number;
}

export const DEFAULT_BACKOFF: Backoff = { baseMs: 5_000, maxMs: 10 * 60_000 };

/**
 * The wait after failed attempt number `attempt` (1 is the first), in milliseconds: exponential, with jitter of ±25 %
 * so that tasks which failed together do not come back together. `random` is in [0, 1).
 */
export function retryDelayMs(attempt: number, random: number, backoff: Backoff = DEFAULT_BACKOFF): number {
  const full = Math.min(backoff.baseMs * 2 ** (attempt - 1), backoff.maxMs);
  return Math.round(full * (0.75 + random * 0.5));
}

/** The longest that the waits between all attempts can last, in milliseconds. */
export function retryBudgetMs(backoff: Backoff = DEFAULT_BACKOFF, maxAttempts = MAX_ATTEMPTS): number {
  return waitsLeftMs(0, backoff, maxAttempts);
}

/** The longest that the waits after attempt number `attempt + 1` and all later ones can last, in milliseconds. */
export function waitsLeftMs(attempt: number, backoff: Backoff = DEFAULT_BACKOFF, maxAttempts = MAX_ATTEMPTS): number {
  let total = 0;
  for (let later = attempt + 1; later < maxAttempts; later++) total += retryDelayMs(later, 1, backoff);
  return total;
}
