import { decimalOfInteger } from './values/decimal.ts';
import type { EventField, Reducer } from './plan.ts';
import { decimalOf, jsonOfValue, valueOfDecimal, type Value } from './values/value.ts';

/** What a reducer looks at besides the field it reduces: the order that `first` and `last` go by. */
interface OrderedEvent {
  readonly timestampMs: number;
  readonly messageId: string;
}

/**
 * Reduces a profile's events to one value: the semantics of every reducer, in one place. Events whose field is absent count
 * for `count` only. Without a value to reduce the result is absent, but a count is 0.
 */
export function reduce<Event extends OrderedEvent>(
  reducer: Reducer,
  events: readonly Event[],
  fieldOf: (event: Event, field: EventField) => Value | null,
): Value | null {
  if (reducer.kind === 'count') return valueOfDecimal(decimalOfInteger(events.length));
  const found = events.flatMap((event) => {
    const value = fieldOf(event, reducer.of);
    return value === null ? [] : [{ event, value }];
  });
  const values = found.map(({ value }) => value);
  switch (reducer.kind) {
    case 'sum':
    case 'avg': {
      const decimals = decimalsOf(values);
      if (decimals.length === 0) return null;
      const sum = decimals.reduce((total, decimal) => total + decimal, 0n);
      // Division of bigints cuts off towards 0, and so does ClickHouse's division of decimals.
      return valueOfDecimal(reducer.kind === 'sum' ? sum : sum / BigInt(decimals.length));
    }
    case 'max':
    case 'min': {
      const sign = reducer.kind === 'max' ? -1 : 1;
      if (reducer.as === 'string') {
        const text = values.map((value) => value.text).sort((a, b) => sign * compareBytes(a, b))[0];
        return text === undefined ? null : { type: 'string', text };
      }
      const decimal = decimalsOf(values).sort((a, b) => sign * (a < b ? -1 : Number(a > b)))[0];
      return decimal === undefined ? null : valueOfDecimal(decimal);
    }
    case 'mode':
      return mostFrequent(values, reducer.minFrequency);
    case 'first':
    case 'last': {
      // Of two events in the same millisecond the lower message id is first, so that no run differs from the next.
      const sign = reducer.kind === 'last' ? -1 : 1;
      const sorted = found.sort(
        (a, b) =>
          sign *
          (a.event.timestampMs - b.event.timestampMs ||
            compareBytes(a.event.messageId, b.event.messageId) ||
            compareBytes(jsonOfValue(a.value), jsonOfValue(b.value))),
      );
      return sorted[0]?.value ?? null;
    }
    case 'unique': {
      const list = distinct(values);
      return list.length === 0 ? null : { type: 'json', text: `[${list.join(',')}]` };
    }
    case 'unique_count':
      return valueOfDecimal(decimalOfInteger(distinct(values).length));
    default:
      return reducer satisfies never;
  }
}

/** Values are counted by their text, so 5 and '5' are the same; of equally frequent ones the first in byte order wins. */
function mostFrequent(values: readonly Value[], minFrequency: number): Value | null {
  const counts = new Map<string, number>();
  for (const { text } of values) counts.set(text, (counts.get(text) ?? 0) + 1);
  const [best] = [...counts].sort(([a, countA], [b, countB]) => countB - countA || compareBytes(a, b));
  return best === undefined || best[1] < minFrequency ? null : { type: 'string', text: best[0] };
}

/** Values keep their type here: 5 and '5' are two. In byte order of their JSON, so that the list is the same every time. */
function distinct(values: readonly Value[]): string[] {
  return [...new Set(values.map(jsonOfValue))].sort(compareBytes);
}

function decimalsOf(values: readonly Value[]): bigint[] {
  return values.flatMap((value) => decimalOf(value) ?? []);
}

/** The order of UTF-8 bytes, which is ClickHouse's order of strings; JavaScript's own differs beyond U+FFFF. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
