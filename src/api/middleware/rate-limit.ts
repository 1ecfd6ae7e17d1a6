import type { MiddlewareHandler } from 'hono';
import { RequestError } from '../../errors.ts';
import type { ApiEnv } from '../deps.ts';
import { TokenBuckets, type RateLimit } from './token-buckets.ts';

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
