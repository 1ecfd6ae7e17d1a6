import { LRUCache } from 'lru-cache';

export interface RateLimit {
  perSecond: number;
  burst: number;
}

// So many actors at once; beyond them the one that was idle the longest begins anew with a full bucket.
const MAX_BUCKETS = 100_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

/** What taking one request out of a bucket came to. Seconds are whole, as in HTTP headers. */
export interface Allowance {
  allowed: boolean;
  remaining: number;
  /** Until the bucket is full again. */
  resetSeconds: number;
  /** Until the next request is allowed; 0 if one is allowed now. */
  retryAfterSeconds: number;
}

/** Token buckets by key, of the keys that were used last. A bucket that has had the time to be full is as good as none. */
export class TokenBuckets {
  readonly #limit: RateLimit;
  readonly #nowMs: () => number;
  readonly #buckets = new LRUCache<string, Bucket>({
    // Not as max, which takes the memory of them all from the start.
    maxSize: MAX_BUCKETS,
    sizeCalculation: () => 1,
  });

  constructor(limit: RateLimit, nowMs: () => number = Date.now) {
    this.#limit = limit;
    this.#nowMs = nowMs;
  }

  take(key: string): Allowance {
    const { perSecond, burst } = this.#limit;
    const nowMs = this.#nowMs();
    const known = this.#buckets.get(key);
    let tokens = known === undefined ? burst : this.#refilled(known, nowMs);
    const allowed = tokens >= 1;
    if (allowed) tokens -= 1;
    this.#buckets.set(key, { tokens, atMs: nowMs });
    return {
      allowed,
      remaining: Math.floor(tokens),
      resetSeconds: Math.ceil((burst - tokens) / perSecond),
      retryAfterSeconds: tokens >= 1 ? 0 : Math.max(1, Math.ceil((1 - tokens) / perSecond)),
    };
  }

  #refilled(bucket: Bucket, nowMs: number): number {
    const elapsedSeconds = Math.max(0, nowMs - bucket.atMs) / 1_000;
    return Math.min(this.#limit.burst, bucket.tokens + elapsedSeconds * this.#limit.perSecond);
  }
}
