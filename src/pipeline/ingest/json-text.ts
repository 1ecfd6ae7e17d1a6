/** How deep objects and lists may be inside each other: both engines' JSON parsers take more, but not any number. */
export const MAX_DEPTH = 100;

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Whether well-formed JSON text has objects and lists more than MAX_DEPTH deep in each other. */
export function isTooDeep(json: string): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    if (inString) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) inString = true;
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth += 1;
      if (depth > MAX_DEPTH) return true;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1;
  }
  return false;
}

// JSON.stringify writes half of a surrogate pair as an escape, and nothing but such halves as \ud….
const LONE_SURROGATE = /\\(?:(ud[89a-f][0-9a-f]{2})|.)/gs;

/**
 * JSON.stringify's text with each half of a surrogate pair replaced by U+FFFD. JavaScript's strings may have such halves
 * (a name cut in the middle of an emoji), UTF-8 can't, and ClickHouse reads nothing of a document that has one.
 */
export function withoutLoneSurrogates(json: string): string {
  if (!json.includes('\\ud')) return json;
  return json.replace(LONE_SURROGATE, (escape, half: string | undefined) => (half === undefined ? escape : '\ufffd'));
}
