import { canonicalJson, canonicalNumber, ExactNumber, stringifyJson } from '../../exact-json.ts';
import { formatDecimal, parseDecimal, parseNumericString } from './decimal.ts';
import { parseInstant } from './instant.ts';

/**
 * A value that exists: of a property, a trait, a literal or a reducer. null, JSON's and SQL's, is a value's absence.
 *
 * Every value has a text, and is compared by it where nothing else says otherwise: that is what makes strings
 * interchangeable with all other types. `decimal` is null for a number that is too far from 0 to compute with. Lists and
 * objects are `json`: their text is their compact JSON.
 */
export type Value =
  | { readonly type: 'string'; readonly text: string }
  | { readonly type: 'number'; readonly text: string; readonly decimal: bigint | null }
  | { readonly type: 'boolean'; readonly text: 'true' | 'false' }
  /** Only literals: in data a date is a string. */
  | { readonly type: 'date'; readonly text: string }
  | { readonly type: 'json'; readonly text: string };

/** What parseJson returns. */
export type Json = null | boolean | number | ExactNumber | string | readonly Json[] | { readonly [key: string]: Json };

export function valueOfJson(json: Json | undefined): Value | null {
  switch (typeof json) {
    case 'undefined':
      return null;
    case 'string':
      return { type: 'string', text: json };
    case 'number':
      return valueOfNumber(canonicalNumber(String(json)));
    case 'boolean':
      return { type: 'boolean', text: json ? 'true' : 'false' };
    default:
      if (json === null) return null;
      if (json instanceof ExactNumber) return valueOfNumber(json.text);
      return { type: 'json', text: canonicalJson(stringifyJson(json)) };
  }
}

function valueOfNumber(text: string): Value {
  return { type: 'number', text, decimal: parseDecimal(text) };
}

export function valueOfDecimal(decimal: bigint): Value {
  return { type: 'number', text: formatDecimal(decimal), decimal };
}

/** The value as JSON text: what a computed trait is kept and sent as. */
export function jsonOfValue(value: Value): string {
  return value.type === 'string' || value.type === 'date' ? JSON.stringify(value.text) : value.text;
}

/** The value as a number, if it is one or a string that reads as one. */
export function decimalOf(value: Value): bigint | null {
  if (value.type === 'number') return value.decimal;
  return value.type === 'string' ? parseNumericString(value.text) : null;
}

/** The value as a point in time, if it is an ISO 8601 date or timestamp. A number is none: seconds or milliseconds? */
export function instantOf(value: Value): number | null {
  return value.type === 'string' || value.type === 'date' ? parseInstant(value.text) : null;
}

/** The value at a path of keys; absent where a key is missing or what it is asked of is no object. */
export function jsonAt(json: Json | undefined, path: readonly string[]): Json | undefined {
  let at: Json | undefined = json;
  for (const key of path) {
    if (
      typeof at !== 'object' ||
      at === null ||
      at instanceof ExactNumber ||
      Array.isArray(at) ||
      !Object.hasOwn(at, key)
    )
      return undefined;
    at = (at as Readonly<Record<string, Json>>)[key];
  }
  return at;
}
