import type { Json, WorldEvent } from '../../src/query/index.ts';
import { AS_OF } from './query-worlds.ts';

/**
 * What comparators and reducers mean, an example a line. The reference evaluator is tested on them (test/unit), and the
 * compiled SQL too (test/db): random worlds seldom meet the rarer of them.
 */

/** A trait `t` with this value (undefined: never set), a condition on it, and whether it holds. */
export const CONDITIONS: readonly (readonly [value: Json | undefined, condition: string, holds: boolean])[] = [
  // Absence: only `absent` and `omits` hold of nothing, and nothing holds against nothing.
  [undefined, '.absent()', true],
  [null, '.absent()', true],
  [null, '.exists()', false],
  ['', '.exists()', true],
  [null, " != 'x'", false],
  [null, ".none_of('x')", false],
  [null, ".omits('x')", true],
  ['x', " != trait('gone')", false],
  [null, " = trait('gone')", false],
  // Numbers and strings are interchangeable; two strings are compared as texts.
  [5, " = '5'", true],
  [5, " = '5.0'", true],
  ['5', ' = 5', true],
  ['5.0', ' = 5', true],
  ['5.0', " = '5'", false],
  [' 5', ' = 5', false],
  ['1e3', ' = 1000', false],
  [0.1, ' = 0.10', true],
  [1e-11, ' = 0', true],
  ['abc', ' != 5', true],
  [true, " = 'true'", true],
  ['true', ' = true', true],
  [true, " = 'TRUE'", false],
  [[1, 'a'], ` = '[1,"a"]'`, true],
  // Order: numbers by size, dates by time, all else has none.
  ['10', ' > 9', true],
  [10, " > '9'", true],
  ['b', " > 'a'", false],
  [true, ' >= 1', false],
  ['2024-05-16', ' > 2024-05-15', true],
  ['2024-05-16', " > '2024-05-15T23:59:59Z'", true],
  ['2024-05-16', ' > 5', false],
  [5, ' >= 5', true],
  [5, ' > 5', false],
  // A date literal equals its instant however it is spelled; a string literal does not.
  ['2024-05-15T02:00:00+02:00', ' = 2024-05-15', true],
  ['2024-05-15T02:00:00+02:00', " = '2024-05-15'", false],
  // Texts
  ['running shoes', ".contains('boots', 'shoes')", true],
  ['Shoes', ".contains('shoes')", false],
  [1234, ".contains('23')", true],
  [1234, '.starts_with(12.0)', true],
  ['a', ".starts_with('')", true],
  [['red', 'blue'], ".contains('blue')", true],
  ['shoes', ".one_of('shirts', 'shoes')", true],
  [5, ".one_of('5.0', 'x')", true],
  ['5.0', ".one_of('5')", false],
  ['x', ".none_of('y', 5)", true],
];

/** The same for dates, as of 2024-05-15T13:30Z. */
export const DATE_CONDITIONS: readonly (readonly [value: Json, condition: string, holds: boolean])[] = [
  ['2024-05-15T13:30:00Z', '.before_date(2024-05-15T13:30:00Z)', false],
  ['2024-05-15T13:29:59.999Z', '.before_date(2024-05-15T13:30:00Z)', true],
  ['2024-05-15T13:30:00Z', '.after_date(2024-05-15T13:30:00Z)', false],
  ['2024-05-15T13:30:00.001Z', ".after_date('2024-05-15 13:30')", true],
  // Whole days in UTC, both ends included, whatever the time of day.
  ['2024-05-08', '.within_last(7 days)', true],
  ['2024-05-07T23:59:59.999Z', '.within_last(7 days)', false],
  ['2024-05-15T23:00:00Z', '.within_last(7 days)', true],
  ['2024-05-16', '.within_last(7 days)', false],
  ['2024-05-15', '.within_next(7 days)', true],
  ['2024-05-14T23:59:59.999Z', '.within_next(7 days)', false],
  ['2024-05-22T23:59:59.999Z', '.within_next(7 days)', true],
  ['2024-05-23', '.within_next(7 days)', false],
  ['2024-05-08T23:59:59.999Z', '.before_last(7 days)', true],
  ['2024-05-09', '.before_last(7 days)', false],
  ['2024-05-22', '.after_next(7 days)', true],
  ['2024-05-21T23:59:59.999Z', '.after_next(7 days)', false],
  // Hours to the millisecond.
  ['2024-05-15T12:30:00Z', '.within_last(1 hour)', true],
  ['2024-05-15T12:29:59.999Z', '.within_last(1 hour)', false],
  ['2024-05-15T13:30:00.001Z', '.within_last(1 hour)', false],
  ['2024-05-15T12:30:00Z', '.before_last(1 hour)', true],
  ['2024-05-15T14:30:00Z', '.within_next(1 hour)', true],
  ['2024-05-15T14:30:00Z', '.after_next(1 hour)', true],
  ['2024-05-15T14:29:59.999Z', '.after_next(1 hour)', false],
  // What is no date is in no range.
  [1_715_779_800, '.within_last(7 days)', false],
  ['2024-02-30', '.before_date(2024-05-15)', false],
  ['yesterday', '.before_last(0 days)', false],
];

/** Values of the property `p` of successive events `A`, what is chained to `event('A')`, and the value it comes to. */
export const REDUCTIONS: readonly (readonly [
  values: readonly (Json | undefined)[],
  chain: string,
  result: Json | undefined,
])[] = [
  [[1, null, undefined, 'x'], '.count()', 4],
  [[], '.count()', undefined],
  [[0.1, 0.2, '0.3', 'x', null, true], ".sum(property('p'))", 0.6],
  [['x', null], ".sum(property('p'))", undefined],
  [[1, 2, '2', 'x'], ".avg(property('p'))", 1.6666666666],
  [[-1, -2, -2], ".avg(property('p'))", -1.6666666666],
  [[9, '10', 'zebra'], ".max(property('p'))", 10],
  [[9, '10', 'zebra'], ".max(property('p') as string)", 'zebra'],
  [[9, '10'], ".max(property('p') as string)", '9'],
  [[9, '10', 'abc'], ".min(property('p') as number)", 9],
  [['a', 'b', 'b', 'a', 'c'], ".mode(property('p'), 2)", 'a'],
  [['a', 'b', 'b'], ".mode(property('p'), 3)", undefined],
  [[5, '5', 'x'], ".mode(property('p'), 2)", '5'],
  [[null, null, 'x'], ".mode(property('p'), 1)", 'x'],
  [[null, 5, 'x', undefined], ".first(property('p'))", 5],
  [[null, 5, 'x', undefined], ".last(property('p'))", 'x'],
  [[{ b: 1, a: [1, null] }], ".last(property('p'))", { b: 1, a: [1, null] }],
  [['b', 5, '5', 'a', 'b', null], ".unique(property('p'))", ['5', 'a', 'b', 5]],
  [[null], ".unique(property('p'))", undefined],
  [['b', 5, '5', 'b'], ".unique(property('p')).count()", 3],
  [[1, 2, 3, 4], ".where(property('p') > 1 AND NOT property('p') = 3).sum(property('p'))", 6],
  [[1, 2, 3], ".sources({exclude: 's'}).count()", undefined],
];

/** Events `A` of a profile with these values of `p`, one a minute, the last at as-of. */
export function eventsWith(values: readonly (Json | undefined)[], profile: number): WorldEvent[] {
  return values.map((value, index) => ({
    event: 'A',
    profile,
    timestampMs: AS_OF.getTime() - (values.length - 1 - index) * 60_000,
    messageId: `m${9 - index}`,
    sourceId: 's',
    properties: (value === undefined ? {} : { p: value }) as Json,
    context: {},
  }));
}
