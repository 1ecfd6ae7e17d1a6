import { boundsOf } from '../comparators.ts';
import { DECIMAL_SCALE, formatDecimal } from '../values/decimal.ts';
import type { Test } from '../plan.ts';
import { decimalOf, instantOf, type Value } from '../values/value.ts';
import { FALSE, TRUE, all, any, compare, not } from './boolean.ts';
import type { SqlParams } from './params.ts';
import type { SqlValue } from './sql-value.ts';

/**
 * Whether a test holds of a value, as SQL: the counterpart of `holds` in comparators.ts, where the rules are explained.
 * `operand` is the value of `test.operand`, if there is one.
 */
export function testSql(
  test: Test,
  subject: SqlValue,
  operand: SqlValue | null,
  context: { params: SqlParams; asOfMs: number },
): string {
  const { params } = context;
  const anyText = (condition: (text: string) => string, texts: readonly string[]) =>
    any(texts.map((text) => `ifNull(${condition(params.bind('String', text))}, 0)`));
  switch (test.kind) {
    case 'absent':
      return not(subject.exists);
    case 'exists':
      return subject.exists;
    case 'equals':
      return operand === null ? FALSE : equalsSql(subject, operand);
    case 'differs':
      if (operand === null) return FALSE;
      return all([subject.exists, operand.exists, not(equalsSql(subject, operand))]);
    case 'greater_than':
      return operand === null ? FALSE : orderSql(subject, '>', operand);
    case 'at_least':
      return operand === null ? FALSE : orderSql(subject, '>=', operand);
    case 'less_than':
      return operand === null ? FALSE : orderSql(subject, '<', operand);
    case 'at_most':
      return operand === null ? FALSE : orderSql(subject, '<=', operand);
    case 'one_of':
      return oneOfSql(subject, test.values, params);
    case 'none_of':
      return all([subject.exists, not(oneOfSql(subject, test.values, params))]);
    case 'contains':
      return anyText((text) => `position(${subject.text}, ${text}) > 0`, test.texts);
    case 'omits':
      return not(anyText((text) => `position(${subject.text}, ${text}) > 0`, test.texts));
    case 'starts_with':
      return anyText((text) => `startsWith(${subject.text}, ${text})`, test.texts);
    case 'ends_with':
      return anyText((text) => `endsWith(${subject.text}, ${text})`, test.texts);
    case 'instant': {
      const { fromMs, untilMs } = boundsOf(test.range, context.asOfMs);
      return all([
        compare(subject.instant, '>=', params.bind('Int64', fromMs)),
        compare(subject.instant, '<', params.bind('Int64', untilMs)),
      ]);
    }
    default:
      return test satisfies never;
  }
}

function equalsSql(a: SqlValue, b: SqlValue): string {
  const asNumbers = any([a.isNumber, b.isNumber]);
  const numbers = compare(a.number, '=', b.number);
  if (asNumbers === TRUE) return numbers;
  const texts = compare(a.text, '=', b.text);
  const instants = a.isDate || b.isDate ? compare(a.instant, '=', b.instant) : FALSE;
  return any([all([asNumbers, numbers]), all([not(asNumbers), any([texts, instants])])]);
}

/** Nothing is a number and a date at once, so one of the two is always false. */
function orderSql(a: SqlValue, operator: '>' | '>=' | '<' | '<=', b: SqlValue): string {
  return any([compare(a.number, operator, b.number), compare(a.instant, operator, b.instant)]);
}

/** `equals` for any of the values, each kind of value looked up in one set. */
function oneOfSql(subject: SqlValue, values: readonly Value[], params: SqlParams): string {
  const numbers = values.filter((value) => value.type === 'number');
  const others = values.filter((value) => value.type !== 'number');
  const texts = others.map((value) => value.text);
  const instants = others.flatMap((value) => (value.type === 'date' ? (instantOf(value) ?? []) : []));
  return any([
    isInDecimals(subject.number, numbers, params),
    all([subject.isNumber, isInDecimals(subject.number, others, params)]),
    all([
      not(subject.isNumber),
      any([
        texts.length === 0 ? FALSE : compare(subject.text, 'IN', params.bind('Array(String)', texts)),
        instants.length === 0 ? FALSE : compare(subject.instant, 'IN', params.bind('Array(Int64)', instants)),
      ]),
    ]),
  ]);
}

/** Decimals can't be bound as an array: they are bound as texts, and parsed once for the whole statement. */
function isInDecimals(number: string, values: readonly Value[], params: SqlParams): string {
  const decimals = new Set(values.flatMap((value) => decimalOf(value) ?? []));
  if (decimals.size === 0) return FALSE;
  const texts = params.bind('Array(String)', [...decimals].map(formatDecimal));
  return compare(number, 'IN', `arrayMap(n -> toDecimal128(n, ${DECIMAL_SCALE}), ${texts})`);
}
