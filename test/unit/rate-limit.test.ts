import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenBuckets } from '../../src/api/middleware/token-buckets.ts';

describe('TokenBuckets', () => {
  it('allows a burst, then says when the next is allowed, and then allows it', () => {
    let nowMs = 0;
    const buckets = new TokenBuckets({ perSecond: 2, burst: 3 }, () => nowMs);
    expect([1, 2, 3].map(() => buckets.take('a').remaining)).toEqual([2, 1, 0]);
    expect(buckets.take('a')).toEqual({ allowed: false, remaining: 0, resetSeconds: 2, retryAfterSeconds: 1 });
    expect(buckets.take('b').allowed).toBe(true);
    nowMs = 499;
    expect(buckets.take('a').allowed).toBe(false);
    nowMs = 1_000;
    expect(buckets.take('a').allowed).toBe(true);
  });

  it('never allows more than the burst and what has flowed in since', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 200 }),
        (perSecond, burst, gapsMs) => {
          let nowMs = 0;
          let allowed = 0;
          const buckets = new TokenBuckets({ perSecond, burst }, () => nowMs);
          for (const gapMs of gapsMs) {
            nowMs += gapMs;
            if (buckets.take('a').allowed) allowed += 1;
          }
          expect(allowed).toBeLessThanOrEqual(burst + (perSecond * nowMs) / 1_000 + 1e-6);
        },
      ),
    );
  });

  it('keeps a key that is over its limit when thousands of others come by', () => {
    let nowMs = 0;
    const buckets = new TokenBuckets({ perSecond: 1, burst: 1 }, () => nowMs);
    buckets.take('greedy');
    for (let other = 0; other < 20_000; other += 1) {
      nowMs += 0.001;
      buckets.take(`other-${other}`);
    }
    expect(buckets.take('greedy').allowed).toBe(false);
  });
});
