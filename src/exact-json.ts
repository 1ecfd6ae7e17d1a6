import { randomUUID } from 'node:crypto';

/**
 * JSON whose numbers keep their values, however many digits they have. JSON.parse makes doubles of them: 9007199254740993 becomes
 * …992, and 1e400 nothing. Here a number that a double would change is an ExactNumber; all others are numbers as ever, so that the
 * parser and the writer are Node's own wherever there is no such number. See docs/decisions/0003-query-semantics.md, "Numbers".
 */

/** Plain numbers have so many digits before the point at most, and so many zeros behind it before the first digit. */
const PLAIN_DIGITS = 28;
const PLAIN_ZEROS = 9;
/** Nobody means a number with an exponent beyond this, and engines differ about what it is. */
const MAX_EXPONENT = 9_999;

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/**
 * The one spelling that a number's value has here: without exponent, zeros that say nothing and minus before zero; with an exponent
 * only beyond 28 digits before the point, or below 10^-10. Of text that is a number in JSON.
 */
export function canonicalNumber(text: string): string {
  const parts = NUMBER.exec(text);
  if (parts === null) return text;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts;
  const all = whole + fraction;
  const significant = all.replace(/^0+/, '');
  const digits = significant.replace(/0+$/, '');
  if (digits === '') return '0';
  // Where the point stands, counted from the first of `digits`.
  const point = whole.length + Number(exponent) - (all.length - significant.length);
  if (point > PLAIN_DIGITS || point < -PLAIN_ZEROS) {
    return `${sign}${digits[0] ?? ''}${digits.length > 1 ? `.${digits.slice(1)}` : ''}e${point - 1}`;
  }
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  if (point >= digits.length) return sign + digits.padEnd(point, '0');
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

// While stringifyJson writes, each ExactNumber writes itself as a string that nobody can have sent, and is counted.
const WRITTEN = `number-${randomUUID()}:`;
const WRITTEN_NUMBER = new RegExp(`"${WRITTEN}([^"]*)"`, 'g');
let writing = false;
let written = 0;

/** A number of JSON that JavaScript's numbers would change. */
export class ExactNumber {
  /** As it was sent. */
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }

  /** canonicalNumber's spelling. */
  get text(): string {
    return canonicalNumber(this.source);
  }

  /** Whether a double would have another value, and not only another spelling. */
  get changesAsDouble(): boolean {
    const double = Number(this.source);
    return !Number.isFinite(double) || canonicalNumber(String(double)) !== this.text;
  }

  /** Whether it can be kept at all. */
  get canBeKept(): boolean {
    const exponent = /[eE]([+-]?\d+)$/.exec(this.source)?.[1];
    return exponent === undefined || Math.abs(Number(exponent)) <= MAX_EXPONENT;
  }

  /**
   * What stands for it where only JavaScript's own values can be: the nearest double of a fraction, as any reader of JSON would take
   * it; the digits as text of an integer, which is often an id, and of what is too large or too small for a double.
   */
  toPlain(): number | string {
    const { text } = this;
    const double = Number(this.source);
    if (!this.changesAsDouble) return double;
    return text.includes('.') && Number.isFinite(double) && double !== 0 ? double : text;
  }

  /** For JSON.stringify. By stringifyJson it is written as the number that it is. */
  toJSON(): number | string {
    if (!writing) return this.toPlain();
    if (!this.canBeKept) throw new UnkeptNumberError();
    written += 1;
    return WRITTEN + this.text;
  }
}

/** Thrown by stringifyJson where findExact finds a number that can't be kept. */
export class UnkeptNumberError extends Error {
  override readonly name = 'UnkeptNumberError';
}

/** JSON.stringify, with exact numbers as they are. Throws UnkeptNumberError. */
export function stringifyJson(value: unknown): string {
  writing = true;
  written = 0;
  try {
    const json = JSON.stringify(value);
    return written === 0 ? json : json.replace(WRITTEN_NUMBER, '$1');
  } finally {
    writing = false;
  }
}

// Digits first, and what stands before them second: so nearly every place is passed over at its first character. That one may also
// be in a string costs time only.
const CANDIDATE = /(?:\d(?<=(?:^|[:[,\s])-?\d)(?:[\d.]{15}|\d*(?:\.\d+)?[eE][+-]?\d)|0\.000000)[\d.eE+-]*/g;
// Ids are kept as the text of their digits, so 1 and 1.0 are two.
const ID_FIELDS = ['userId', 'anonymousId', 'groupId', 'previousId', 'messageId'];
const ID_CANDIDATE = /Id"\s*:\s*(?:-?\d+[.eE]|-0)/;
const IDS: ReadonlySet<string> = new Set(ID_FIELDS);

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/gs;
const KEY_FOLLOWS = /\s*:/y;

/** JSON.parse, with an ExactNumber for each number that a double would change. Throws a SyntaxError as JSON.parse does. */
export function parseJson(text: string): unknown {
  if (!mayChange(text)) return JSON.parse(text);
  const mark = `number-${randomUUID()}:`;
  const marked = text.replace(TOKEN, (token, offset: number) => {
    if (token.startsWith('"') || isAsWritten(token)) return token;
    // A number is no key, and must not become one.
    KEY_FOLLOWS.lastIndex = offset + token.length;
    return KEY_FOLLOWS.test(text) ? token : `"${mark}${token}"`;
  });
  return JSON.parse(marked, (key, value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith(mark)) return value;
    const source = value.slice(mark.length);
    return isUnchanged(source) && !IDS.has(key) ? Number(source) : new ExactNumber(source);
  });
}

function mayChange(text: string): boolean {
  CANDIDATE.lastIndex = 0;
  for (let found = CANDIDATE.exec(text); found !== null; found = CANDIDATE.exec(text)) {
    if (!isUnchanged(found[0])) return true;
  }
  return ID_CANDIDATE.test(text);
}

function isUnchanged(number: string): boolean {
  return isAsWritten(number) || canonicalNumber(number) === String(Number(number));
}

/** Whether JavaScript spells a number as it is here, and as canonicalNumber does. */
function isAsWritten(number: string): boolean {
  return String(Number(number)) === number && !number.includes('e');
}

/** JSON text with each of its numbers in canonicalNumber's spelling. */
export function canonicalJson(json: string): string {
  return mayChange(json)
    ? json.replace(TOKEN, (token) => (token.startsWith('"') ? token : canonicalNumber(token)))
    : json;
}

/** A value of parseJson as JavaScript's own values: see ExactNumber.toPlain. */
export function toPlain<T>(value: T): T {
  return containsExact(value) ? (JSON.parse(JSON.stringify(value)) as T) : value;
}

function containsExact(value: unknown): boolean {
  return findExact(value, () => true) !== null;
}

/** What findUnkept's number is, in a sentence about its field. */
export const UNKEPT_NUMBER = `a number with an exponent beyond -${MAX_EXPONENT} to ${MAX_EXPONENT}, which can't be kept: send it as a string`;

/** The first number that stringifyJson does not write, with its path; null for none. */
export function findUnkept(value: unknown): { path: string; number: ExactNumber } | null {
  return findExact(value, (number) => !number.canBeKept);
}

/** The first exact number for which `test` holds, with its path such as `properties.ids.2`; null for none. */
export function findExact(
  value: unknown,
  test: (number: ExactNumber) => boolean,
  path = '',
): { path: string; number: ExactNumber } | null {
  if (typeof value !== 'object' || value === null) return null;
  if (value instanceof ExactNumber) return test(value) ? { path, number: value } : null;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const found = findExact(item, test, path === '' ? String(index) : `${path}.${index}`);
      if (found !== null) return found;
    }
    return null;
  }
  for (const [key, item] of Object.entries(value)) {
    const found = findExact(item, test, path === '' ? key : `${path}.${key}`);
    if (found !== null) return found;
  }
  return null;
}
