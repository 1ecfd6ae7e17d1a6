import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MAX_ATTEMPTS, retryBudgetMs, retryDelayMs } from '../../src/tasks/index.ts';

const backoffs = fc.record({
  baseMs: fc.integer({ min: 1, max: 60_000 }),
  maxMs: fc.integer({ min: 60_000, max: 3_600_000 }),
});

test('a wait is within a quarter of its exponential, and never over a quarter above the bound', () => {
  fc.assert(
    fc.property(
      backoffs,
      fc.integer({ min: 1, max: 5 }),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      (backoff, attempt, random) => {
        const full = Math.min(backoff.baseMs * 2 ** (attempt - 1), backoff.maxMs);
        const wait = retryDelayMs(attempt, random, backoff);
        expect(wait).toBeGreaterThanOrEqual(Math.floor(full * 0.75));
        expect(wait).toBeLessThanOrEqual(Math.ceil(full * 1.25));
      },
    ),
  );
});

test('the budget is never shorter than the waits of a task that fails until its last attempt', () => {
  fc.assert(
    fc.property(
      backoffs,
      fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { minLength: 5, maxLength: 5 }),
      (backoff, randoms) => {
        const waits = randoms.map((random, index) => retryDelayMs(index + 1, random, backoff));
        expect(waits).toHaveLength(MAX_ATTEMPTS - 1);
        expect(retryBudgetMs(backoff)).toBeGreaterThanOrEqual(waits.reduce((sum, wait) => sum + wait, 0));
      },
    ),
  );
});
