import type { MiddlewareHandler } from 'hono';
import { LRUCache } from 'lru-cache';
import { RequestError } from '../../errors.ts';
import type { ApiEnv, RateLimit } from '../deps.ts';

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

/** Limits each access token and user, and says in X-RateLimit-* headers, as Segment's Public API does, how much is left. */
export function rateLimit(limit: RateLimit): MiddlewareHandler<ApiEnv> {
  const buckets = new TokenBuckets(limit);
  return async (c, next) => {
    const allowance = buckets.take(c.get('principal').actor.id);
    c.header('X-RateLimit-Limit', String(limit.burst));
    c.header('X-RateLimit-Remaining', String(allowance.remaining));
    c.header('X-RateLimit-Reset', String(allowance.resetSeconds));
    if (!allowance.allowed) {
      c.header('Retry-After', String(allowance.retryAfterSeconds));
      throw new RequestError(
        'rate_limited',
        'rate_limited',
        `More than ${limit.perSecond} requests per second. Try again in ${allowance.retryAfterSeconds} s.`,
        { data: { retryAfterSeconds: allowance.retryAfterSeconds } },
      );
    }
    await next();
  };
}
