import { canonicalNumber, stringifyJson } from './exact-json.ts';

/**
 * JSON as ClickHouse stores it. Its parser makes a double of every number that is no integer of 64 bits, and reads nothing of a
 * whole document in which an integer does not fit: so a number that would not come back as it is (docs/decisions/0003, "Numbers") is
 * stored as a string that begins with a mark. The mark is a noncharacter of Unicode; where a text has it, another is put behind it, so
 * that no text can be taken for a number. The SQL that reads a value (query/sql/stored-json-sql.ts) and storedToJson take it off again.
 */
export const MARK = '\uFDD0';
/** What follows a mark that belongs to a text. */
export const ESCAPE = '\uFDD1';

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs;
const NEEDS_CARE = /\d(?<=(?:^|[:[,])-?\d)(?:[\d.]{15}|\d*(?:\.\d+)?e)|0\.000000|\uFDD0/;
const MARKED_NUMBER = /"\uFDD0([-0-9][^"]*)"/g;

/** The stored form of a value, exact numbers included. */
export function storedJson(value: unknown): string {
  const json = stringifyJson(value);
  if (!NEEDS_CARE.test(json)) return json;
  return json.replace(TOKEN, (token) => {
    if (token.startsWith('"')) return escapeMarks(token);
    const number = canonicalNumber(token);
    // Alone it is read by nobody's parser.
    return token.length === json.length || comesBack(number) ? number : `"${MARK}${number}"`;
  });
}

/** The JSON text of what is stored, numbers as numbers. */
export function storedToJson(stored: string): string {
  if (!stored.includes(MARK)) return stored;
  return stored.replace(MARKED_NUMBER, '$1').replaceAll(MARK + ESCAPE, MARK);
}

/** A text, or the key of an object, as it is in the stored form. */
export function escapeMarks(text: string): string {
  return text.includes(MARK) ? text.replaceAll(MARK, MARK + ESCAPE) : text;
}

const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 64n - 1n;

/** Whether ClickHouse's JSON parser gives back a number in its canonical spelling. */
function comesBack(number: string): boolean {
  if (number.includes('e')) return false;
  if (number.includes('.')) return String(Number(number)) === number;
  return number.length < 19 || (BigInt(number) >= MIN_INTEGER && BigInt(number) <= MAX_INTEGER);
}
