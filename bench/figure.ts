/** One figure: ours against the best that a person could write by hand, both measured in one run; medians. */
export interface Figure {
  name: string;
  unit: string;
  ours: number;
  /** null where there is nothing to compare with */
  reference: number | null;
  /** ours / reference; null where there is no reference */
  ratio: number | null;
  runs: number;
  /** What else the run saw, for people. */
  notes?: Record<string, number | string>;
}

/** A figure that this machine can't take; the message says what it lacks. */
export class NotMeasurable extends Error {
  override readonly name = 'NotMeasurable';
}

/** The middle value; of an even number of values, the mean of the middle two. Throws on none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle];
  if (high === undefined) throw new Error('the median of nothing');
  const low = sorted[middle - 1];
  return sorted.length % 2 === 1 || low === undefined ? high : (low + high) / 2;
}

/** Rounded to three significant digits or to whole numbers, whichever says more. */
export function rounded(value: number): number {
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3));
}
