import fc from 'fast-check';
import { expect, it } from 'vitest';
import { toRanges } from '../../src/tasks/steps/sync/settled-ranges.ts';

it('ranges hold exactly the numbers that they were made of, and none goes on where another ends', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(60), { maxLength: 40 }), (numbers) => {
      const ascending = numbers.toSorted((a, b) => a - b);
      const ranges = toRanges(ascending);
      const held = ranges.flatMap(({ first, end }) => Array.from({ length: end - first }, (_, at) => first + at));
      expect(held).toEqual(ascending);
      for (const [at, { end }] of ranges.entries()) expect(ranges[at + 1]?.first ?? Infinity).toBeGreaterThan(end);
    }),
  );
});
