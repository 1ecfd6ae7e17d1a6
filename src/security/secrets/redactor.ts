import { createLiterals } from './literals.ts';
import { isUrl, maskText, secretPartsOfUrl } from './shapes.ts';

/** What stands in the place of a secret in a text that somebody else wrote. */
const REDACTED = '***';
// A shorter secret is taken out only where it stands alone: else it would take out too much.
const SHORT = 6;
const SHORTEST = 3;
// Far more than is shown of an answer anywhere.
const MAX_TEXT_LENGTH = 8 * 1024;

const BASE64 = /[A-Za-z0-9+/_-]{6,}={0,2}/g;

// A placeholder of a template. What is in it ends where another one begins, so that a text of braces is read once.
const PLACEHOLDER = /\{\{\{?(?:(?!\{\{|\}\}).)*\}?\}\}|\{%(?:(?!\{%|%\}).)*%\}/;

/** Takes secrets out of a text from outside. */
export type Redact = (text: string) => string;

/**
 * Makes the function that takes these secrets out of a text, in each form in which an answer may repeat them: as they are,
 * inside of JSON, of an address, of a form or of HTML, in base64 at any place of what was encoded, and in hex. Besides them it
 * takes out whatever looks like a secret, unless `shapes` is false. It reads 8,192 characters of a text, and gives no more back.
 */
export function createRedactor(secrets: Iterable<string>, options: { shapes?: boolean } = {}): Redact {
  const forms = new Set<string>();
  const encoded = new Set<string>();
  const short = new Set<string>();
  for (const secret of secrets) {
    for (const whole of partsOf(secret)) {
      // What is behind that is in no text of which so much is read.
      const part = whole.slice(0, MAX_TEXT_LENGTH);
      for (const form of part.length < SHORT ? [part] : formsOf(part)) (form.length < SHORT ? short : forms).add(form);
      if (part.length >= SHORT) for (const core of base64Cores(part)) encoded.add(core);
    }
  }
  const literals = createLiterals(forms, { minLength: SHORT, foldCase: true });
  const cores = createLiterals(encoded, { minLength: SHORT, foldCase: false });
  const alone = standingAlone([...short].filter((text) => text.length >= SHORTEST));
  return (text) => {
    // Whatever was encoded together with it, a user's name say, goes with it.
    let left = text.slice(0, MAX_TEXT_LENGTH).replaceAll(BASE64, (run) => (cores.areIn(run) ? REDACTED : run));
    left = literals.replaceIn(left, REDACTED);
    if (alone !== null) left = left.replaceAll(alone, REDACTED);
    const cut = cutBegun(left, forms);
    return options.shapes === false ? cut : maskText(cut, REDACTED);
  };
}

/** Matches each of some short texts where no letter or digit is beside it; null for no text. */
function standingAlone(texts: readonly string[]): RegExp | null {
  if (texts.length === 0) return null;
  const any = [...texts]
    .sort((a, b) => b.length - a.length)
    .map((text) => text.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`))
    .join('|');
  return new RegExp(`(?<![A-Za-z0-9])(?:${any})(?![A-Za-z0-9])`, 'g');
}

/** The secret itself, and what of it lets someone in alone: credentials without their scheme, an address's parts, a key's lines. */
function partsOf(secret: string): string[] {
  if (isUrl(secret)) return secretPartsOfUrl(secret);
  // The same without its scheme.
  if (/^[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?[/?#]\S*$/i.test(secret)) return secretPartsOfUrl(`https://${secret}`);
  // What stands between a template's placeholders is the same in all that it makes.
  const pieces = secret.split(PLACEHOLDER).map((piece) => piece.trim());
  if (pieces.length > 1) return pieces.filter((piece) => piece.length >= SHORT).flatMap(partsOf);
  const parts = [secret];
  const credentials = /^[A-Za-z][\w-]*\s+(\S+)$/.exec(secret)?.[1];
  if (credentials !== undefined) {
    parts.push(credentials);
    const decoded = Buffer.from(credentials, 'base64').toString('utf8');
    if (/^basic\s/i.test(secret) && decoded.includes(':')) {
      parts.push(decoded, decoded.slice(decoded.indexOf(':') + 1));
    }
  }
  if (/[\r\n]/.test(secret)) parts.push(...secret.split(/[\r\n]+/).filter((line) => line.trim().length >= 16));
  const json = /^\s*[[{]/.test(secret) ? textsIn(secret) : [];
  return [...parts, ...json];
}

function textsIn(json: string): string[] {
  const texts: string[] = [];
  try {
    JSON.parse(json, (_, value: unknown) => {
      if (typeof value === 'string' && value.length >= 12) texts.push(value);
      return value;
    });
  } catch {
    // It only looked like JSON.
  }
  return texts;
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, 'utf8');
  const json = JSON.stringify(secret).slice(1, -1);
  const ascii = json.replaceAll(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  // Half of a surrogate pair can't be encoded.
  const whole = bytes.toString('utf8');
  const percent = encodeURIComponent(whole);
  const html = secret
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
  return [
    secret,
    json,
    ascii,
    json.replaceAll('/', String.raw`\/`),
    JSON.stringify(json).slice(1, -1),
    percent,
    percent.replaceAll('%20', '+'),
    new URLSearchParams({ s: whole }).toString().slice(2),
    percent.replaceAll(/[!'()*~]/g, (char) => `%${char.charCodeAt(0).toString(16)}`),
    encodeURI(whole),
    [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
    html,
    html.replaceAll("'", '&#39;'),
    html.replaceAll("'", '&#x27;').replaceAll('/', '&#x2F;'),
    bytes.toString('hex'),
    secret.replaceAll(/\s+/g, ' '),
  ];
}

/**
 * What of a text in base64 is the same wherever in the encoded bytes the secret stands: six bits a letter come from three bytes
 * in turn, so there are three of them, each without the letters that its neighbours have a part in.
 */
function base64Cores(secret: string): string[] {
  const bytes = Buffer.from(secret, 'utf8');
  return [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const from = before === 0 ? 0 : before + 1;
    const end = (before + bytes.length) % 3 === 0 ? text.length : text.length - 1;
    const core = text.slice(from, end);
    return core.length < SHORT ? [] : [core, core.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** A text that was cut off in the middle of a secret ends with its beginning, and perhaps with what says that it was cut. */
function cutBegun(text: string, forms: ReadonlySet<string>): string {
  const whole = beginOf(text, forms);
  if (whole !== -1) return text.slice(0, whole) + REDACTED;
  const ending = /(?:…|\.\.\.)?["'\s]*$/.exec(text)?.[0] ?? '';
  const at = beginOf(text.slice(0, text.length - ending.length), forms);
  return at === -1 ? text : text.slice(0, at) + REDACTED + ending;
}

/** Where the beginning of one of them stands that goes on to the end of `text`; -1 for none. */
function beginOf(text: string, forms: ReadonlySet<string>): number {
  for (const form of forms) {
    const begins = form.slice(0, SHORT + 2);
    const from = Math.max(0, text.length - form.length);
    for (let at = text.indexOf(begins, from); at >= 0; at = text.indexOf(begins, at + 1)) {
      if (form.startsWith(text.slice(at))) return at;
    }
  }
  return -1;
}
