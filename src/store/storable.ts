/**
 * What makes texts from outside storable. PostgreSQL's text holds every character but NUL, and its jsonb neither that nor half of a
 * surrogate pair: a statement with one of them is refused for good, whoever sends it and however often.
 */

// U+FFFD, as decoders of UTF-8 put it where something can't be read.
const REPLACEMENT = '\ufffd';

/**
 * A value as JSON text for a json or jsonb parameter, with U+FFFD in the place of what PostgreSQL can't hold. All JSON that goes
 * into a statement is made here.
 */
export function jsonText(value: unknown): string {
  const json = JSON.stringify(value) ?? 'null';
  return json.includes('\\u') ? withoutUnstorable(json) : json;
}

/** JSON.stringify writes NUL and half of a surrogate pair as escapes, and nothing but such halves as \\ud…. */
function withoutUnstorable(json: string): string {
  let storable = '';
  let from = 0;
  for (let at = json.indexOf('\\'); at !== -1; at = json.indexOf('\\', at)) {
    const unstorable = json.startsWith('u0000', at + 1) || json.startsWith('ud', at + 1);
    if (unstorable) {
      storable += json.slice(from, at) + REPLACEMENT;
      from = at + 6;
    }
    at += unstorable ? 6 : 2;
  }
  return storable + json.slice(from);
}

/** Whether PostgreSQL keeps a text as it is. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

/**
 * A value as it is bound: texts, also inside of lists, with U+FFFD in the place of NUL (half of a surrogate pair becomes that when
 * it is encoded), and objects as jsonText writes them. Times, bytes and what knows its own form are left to the driver.
 */
export function storableValue(value: unknown): unknown {
  if (typeof value === 'string') return value.includes('\0') ? value.replaceAll('\0', REPLACEMENT) : value;
  if (Array.isArray(value)) return value.map(storableValue);
  if (typeof value !== 'object' || value === null) return value;
  const ownForm = value instanceof Date || ArrayBuffer.isView(value) || 'toPostgres' in value;
  return ownForm ? value : jsonText(value);
}
