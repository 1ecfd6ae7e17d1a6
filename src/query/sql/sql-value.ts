import { DECIMAL_SCALE, NUMERIC_STRING_PATTERN, formatDecimal } from '../values/decimal.ts';
import { INSTANT_PATTERN } from '../values/instant.ts';
import { decimalOf, instantOf, type Value } from '../values/value.ts';
import { FALSE, NULL, TRUE, not } from './boolean.ts';
import type { SqlParams } from './params.ts';
import { escapeMarksSql } from './stored-json-sql.ts';

/**
 * A value as SQL expressions: the counterpart of value.ts. `number` is a Nullable decimal, `instant` Nullable milliseconds,
 * `text` a Nullable string; each is `NULL` where it is known to be none. `json` and `plainJson` are for what exists.
 */
export interface SqlValue {
  readonly exists: string;
  readonly text: string;
  readonly isNumber: string;
  readonly number: string;
  readonly instant: string;
  /** As it is stored: what a computed trait keeps. */
  readonly json: string;
  /** The JSON text itself. */
  readonly plainJson: string;
  /** Whether it is a date literal, which equals other spellings of its instant. */
  readonly isDate: boolean;
}

const NUMERIC_JSON_STRING = NUMERIC_STRING_PATTERN.replace('^', '^"').replace('$', '"$');
const INSTANT_JSON_STRING = INSTANT_PATTERN.replace('^', '^"').replace('$', '"$');

/**
 * A value of which there is JSON text in one column, and what is stored of it in another. The empty string is what JSONExtractRaw
 * gives where there is nothing.
 */
export function jsonSqlValue(json: string, params: SqlParams, stored: string): SqlValue {
  const absent = `${json} IN ('', 'null')`;
  const content = `trim(BOTH '"' FROM ${json})`;
  // Of what JSON can begin with, a minus and the digits are the only characters from '-' to '9'.
  const isNumber = `(${json} >= '-' AND ${json} < ':')`;
  return {
    exists: not(absent),
    text: `multiIf(${absent}, NULL, startsWith(${json}, '"'), JSONExtractString(${json}), ${json})`,
    isNumber,
    // multiIf looks at the later cases only for the rows that the earlier ones left: no pattern is tried on a number.
    number: `multiIf(${isNumber}, ${toDecimal(json)}, match(${json}, ${params.bind('String', NUMERIC_JSON_STRING)}), ${toDecimal(content)}, NULL)`,
    instant: `if(match(${json}, ${params.bind('String', INSTANT_JSON_STRING)}), ${toInstant(content)}, NULL)`,
    json: stored,
    plainJson: json,
    isDate: false,
  };
}

/** A string that may be NULL. */
export function textSqlValue(text: string, params: SqlParams): SqlValue {
  return {
    exists: `isNotNull(${text})`,
    text,
    isNumber: FALSE,
    number: `if(match(${text}, ${params.bind('String', NUMERIC_STRING_PATTERN)}), ${toDecimal(text)}, NULL)`,
    instant: `if(match(${text}, ${params.bind('String', INSTANT_PATTERN)}), ${toInstant(text)}, NULL)`,
    json: escapeMarksSql(`toJSONString(assumeNotNull(${text}))`),
    plainJson: `toJSONString(assumeNotNull(${text}))`,
    isDate: false,
  };
}

/** A decimal that may be NULL. */
export function decimalSqlValue(decimal: string): SqlValue {
  return {
    exists: `isNotNull(${decimal})`,
    text: `toString(${decimal})`,
    isNumber: TRUE,
    number: decimal,
    instant: NULL,
    json: `toString(assumeNotNull(${decimal}))`,
    plainJson: `toString(assumeNotNull(${decimal}))`,
    isDate: false,
  };
}

/** A count: an UInt64, never NULL. */
export function countSqlValue(count: string): SqlValue {
  return {
    exists: TRUE,
    text: `toString(${count})`,
    isNumber: TRUE,
    number: `toDecimal128(${count}, ${DECIMAL_SCALE})`,
    instant: NULL,
    json: `toString(${count})`,
    plainJson: `toString(${count})`,
    isDate: false,
  };
}

export function literalSqlValue(value: Value, params: SqlParams): SqlValue {
  const decimal = decimalOf(value);
  const instant = instantOf(value);
  return {
    exists: TRUE,
    // Bound only where it is asked for: a number is compared as a number.
    get text() {
      return params.bind('String', value.text);
    },
    isNumber: value.type === 'number' ? TRUE : FALSE,
    number: decimal === null ? NULL : params.bind('Decimal(38, 10)', formatDecimal(decimal)),
    instant: instant === null ? NULL : params.bind('Int64', instant),
    json: NULL,
    plainJson: NULL,
    isDate: value.type === 'date',
  };
}

/** Null for what has too many digits. */
function toDecimal(text: string): string {
  return `toDecimal128OrNull(${text}, ${DECIMAL_SCALE})`;
}

/** Only for texts that match INSTANT_PATTERN: the parser alone takes far more. Null for 30 February. */
function toInstant(text: string): string {
  return `toUnixTimestamp64Milli(parseDateTime64BestEffortOrNull(${text}, 3, 'UTC'))`;
}
