import { DAY_MS, HOUR_MS, startOfDay } from './values/instant.ts';
import type { InstantRange, OrderComparator, Test } from './plan.ts';
import { decimalOf, instantOf, type Value } from './values/value.ts';

/**
 * Whether a test holds of a value: the semantics of every comparator, in one place. The evaluator asks it of each profile
 * and event; the compiler asks it what holds of profiles that have nothing to compare, and writes the same rules as SQL.
 *
 * The answer is always true or false. Of an absent value only `absent` and `omits` hold (`omits` is the reference's
 * `NOT contains`); against an absent operand nothing holds.
 */
export function holds(test: Test, subject: Value | null, operand: Value | null, asOfMs: number): boolean {
  if (test.kind === 'absent') return subject === null;
  if (subject === null) return test.kind === 'omits';
  switch (test.kind) {
    case 'exists':
      return true;
    case 'equals':
      return operand !== null && areEqual(subject, operand);
    case 'differs':
      return operand !== null && !areEqual(subject, operand);
    case 'greater_than':
    case 'at_least':
    case 'less_than':
    case 'at_most':
      return operand !== null && areOrdered(test.kind, subject, operand);
    case 'one_of':
      return test.values.some((value) => areEqual(subject, value));
    case 'none_of':
      return !test.values.some((value) => areEqual(subject, value));
    case 'contains':
      return test.texts.some((text) => subject.text.includes(text));
    case 'omits':
      return !test.texts.some((text) => subject.text.includes(text));
    case 'starts_with':
      return test.texts.some((text) => subject.text.startsWith(text));
    case 'ends_with':
      return test.texts.some((text) => subject.text.endsWith(text));
    case 'instant': {
      const instant = instantOf(subject);
      const { fromMs, untilMs } = boundsOf(test.range, asOfMs);
      return instant !== null && instant >= fromMs && instant < untilMs;
    }
    default:
      return test satisfies never;
  }
}

/**
 * With a number on either side: equal as numbers, and a numeric string is one. Otherwise equal as texts; a date literal is
 * also equal to another spelling of the same instant.
 */
function areEqual(a: Value, b: Value): boolean {
  if (a.type === 'number' || b.type === 'number') {
    const decimal = decimalOf(a);
    return decimal !== null && decimal === decimalOf(b);
  }
  if (a.text === b.text) return true;
  if (a.type !== 'date' && b.type !== 'date') return false;
  const instant = instantOf(a);
  return instant !== null && instant === instantOf(b);
}

/** Two numbers or numeric strings by size, two dates by time. Anything else has no order, and no order holds. */
function areOrdered(comparator: OrderComparator, a: Value, b: Value): boolean {
  const left = decimalOf(a) ?? instantOf(a);
  const right = decimalOf(b) ?? instantOf(b);
  if (left === null || right === null || typeof left !== typeof right) return false;
  switch (comparator) {
    case 'greater_than':
      return left > right;
    case 'at_least':
      return left >= right;
    case 'less_than':
      return left < right;
    case 'at_most':
      return left <= right;
    default:
      return comparator satisfies never;
  }
}

/** ISO 8601 as the language takes it ends long before; both are safe integers. */
const EVER_MS = 8_640_000_000_000_000;

/**
 * A range of dates as milliseconds since 1970 UTC, `fromMs` in it and `untilMs` not. Ranges in hours count from as-of to
 * the millisecond. Ranges in days are of whole days in UTC, today and the day they end on included, as the reference has
 * it ("the date range between today and …, inclusive"): a birthday today is `within_next(7 days)` the whole day long.
 */
export function boundsOf(range: InstantRange, asOfMs: number): { fromMs: number; untilMs: number } {
  if ('instantMs' in range) {
    return range.kind === 'before'
      ? { fromMs: -EVER_MS, untilMs: range.instantMs }
      : { fromMs: range.instantMs + 1, untilMs: EVER_MS };
  }
  const inDays = range.unit === 'day';
  const amountMs = range.amount * (inDays ? DAY_MS : HOUR_MS);
  const now = inDays ? startOfDay(asOfMs) : asOfMs;
  const unitEnd = inDays ? DAY_MS : 1;
  switch (range.kind) {
    case 'within_last':
      return { fromMs: now - amountMs, untilMs: now + unitEnd };
    case 'before_last':
      return { fromMs: -EVER_MS, untilMs: now - amountMs + unitEnd };
    case 'within_next':
      return { fromMs: now, untilMs: now + amountMs + unitEnd };
    case 'after_next':
      return { fromMs: now + amountMs, untilMs: EVER_MS };
    default:
      return range satisfies never;
  }
}
