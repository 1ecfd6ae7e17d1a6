/** What a text looks like: a key, an address with a secret in it, or neither. Knows nothing of where it is kept. */

import { isSecretName } from './names.ts';

/** What stands for a secret wherever one is read. Written back in its place, it means: as it was. */
export const MASK = '••••••••';

// Of providers that give their keys a form to be known by (as the rules of secret scanners list them).
const KNOWN_KEYS = [
  /(?<![A-Za-z0-9])(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{8,}/g, // Stripe
  /xox[abeoprs]-[A-Za-z0-9-]{8,}/g, // Slack
  /xapp-\d-[A-Za-z0-9-]{8,}/g,
  /(?<![A-Za-z0-9])(?:gh[oprsu]_[A-Za-z0-9]{16,}|github_pat_\w{20,})/g,
  /(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}/g, // AWS
  /AIza[\w-]{30,}/g, // Google
  /ya29\.[\w-]{20,}/g,
  /(?<![A-Za-z0-9])SG\.[\w-]{16,}\.[\w-]{16,}/g, // SendGrid
  /(?<![A-Za-z0-9])SK[0-9a-f]{32}/g, // Twilio
  /(?<![A-Za-z0-9])EAA[A-Za-z0-9]{30,}/g, // Meta
  /(?<![A-Za-z0-9])[0-9a-f]{32}-us\d{1,2}(?!\w)/g, // Mailchimp
  /(?<![A-Za-z0-9])eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)*/g, // JSON Web Token
  /-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----))*(?:-----END [A-Z0-9 ]*-----)?/g,
  /AGE-SECRET-KEY-1[A-Z0-9]{20,}/g,
];
// The same habit without a maker: a short word, and behind it what nobody would have typed.
const PREFIXED_KEY = /(?<![A-Za-z0-9])(?:[a-z]{2,8}[_-]){1,2}([A-Za-z0-9+/=]{16,})/g;
// The schemes of HTTP's Authorization header, and what follows them.
const CREDENTIALS = /(?<![A-Za-z0-9])(basic|bearer|token|digest|negotiate|hawk|apikey)(\s+)([^\s"',;{}<>]{6,})/gi;

const UUIDS = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi;
const OWN_IDS = /(?<![a-z])[a-z]{2,6}_[0-9a-hjkmnp-tv-z]{26}(?![0-9a-z])/g; // a type and a ULID in small letters
const RUNS = /[A-Za-z0-9+/_=~-]{24,}/g;
const EMAIL = /^[^\s@:/]{1,64}@[^\s@:/]{1,255}\.[^\s@:/]{1,63}$/; // no part longer than RFC 5321 and 1035 have it

/** Whether there is something in a text that looks like a key, a token, or credentials. An id, a name, an email does not. */
export function looksLikeKey(text: string): boolean {
  return maskKeys(text, '') !== text;
}

/** A text without what looks like a key in it. The scheme of credentials stays. */
function maskKeys(text: string, mask: string): string {
  let left = text;
  for (const form of KNOWN_KEYS) left = left.replaceAll(form, mask);
  left = left.replaceAll(CREDENTIALS, (found, scheme: string, space: string, value: string) =>
    areCredentials(scheme, value) ? `${scheme}${space}${mask}` : found,
  );
  if (EMAIL.test(left) || left.startsWith('$.')) return left;
  left = left.replaceAll(PREFIXED_KEY, (found, tail: string, at: number, whole: string) =>
    isMixed(tail) && !isKnownId(whole, at, found) ? mask : found,
  );
  return left.replaceAll(RUNS, (run, at: number, whole: string) =>
    whole[at + run.length] !== '@' && isRandom(run) ? mask : run,
  );
}

function areCredentials(scheme: string, value: string): boolean {
  if (/^basic$/i.test(scheme)) {
    const decoded = Buffer.from(value, 'base64').toString('latin1');
    return /^[A-Za-z0-9+/_-]{6,}={0,2}$/.test(value) && /^[\x20-\xff]*:[\x20-\xff]*$/.test(decoded);
  }
  // A long word is a word.
  const long = value.length >= 20 && !/^[A-Z]?[a-z]{1,24}$/.test(value);
  return /\d/.test(value) || long || (/^bearer$/i.test(scheme) && /[-_.=+/]/.test(value));
}

function isKnownId(whole: string, at: number, found: string): boolean {
  const around = whole.slice(Math.max(0, at - 10), at + found.length + 40);
  return around.replaceAll(OWN_IDS, '').replaceAll(UUIDS, '').length < around.length - 20;
}

function isMixed(text: string): boolean {
  const digits = text.match(/\d/g)?.length ?? 0;
  return digits >= 2 && digits < text.length && countChanges(text) >= 4;
}

function countChanges(text: string): number {
  return [...text.matchAll(/[a-z](?=[A-Z0-9])|[A-Z](?=[0-9])|[0-9](?=[A-Za-z])/g)].length;
}

/** Whether a run of letters and digits is too mixed for anything that a person has named. */
function isRandom(run: string): boolean {
  return run.replaceAll(UUIDS, '.').replaceAll(OWN_IDS, '.').split('.').some(isRandomPiece);
}

function isRandomPiece(piece: string): boolean {
  const bare = piece.replace(/=+$/, '');
  if (bare.length < 28 || (bare.match(/\d/g)?.length ?? 0) < 3 || /^\d+$/.test(bare)) return false;
  if (/(?:^|=)[0-9a-f]{32,}$/.test(bare) || /(?:^|=)[0-9A-F]{32,}$/.test(bare)) return true;
  // Words with something between them are a name, whatever numbers are in it.
  if (bare.split(/[-_/=~]/).every((word) => /^(?:[A-Za-z]*\d{0,4}|\d+)$/.test(word))) return false;
  const mixed = /[a-z]/.test(bare) && /[A-Z]/.test(bare);
  return (mixed || bare.length >= 32) && countChanges(bare) >= bare.length / 5;
}

// Short words that address a kind of thing; whatever else is in a path may be what lets one in.
const PLAIN_SEGMENT = /^(?:[a-z]{1,8}|v\d{1,2})$/;
const PLAIN_QUERY_VALUE = /^(?:[a-z]{0,8}|\d{1,4})$/;

/** Whether a text is one address of the web, and nothing else. */
export function isUrl(text: string): boolean {
  const { left } = takeHoles(text);
  // Who opens an address of the web takes any number of slashes, of either kind.
  const begins = /^(?:[a-z][a-z0-9+.-]*:\/\/|https?:[/\\]*)[^\s/\\]/i.test(left);
  return begins && !/\s/.test(left);
}

const HOLE = /\{\{\{?[^{}]*\}?\}\}/g;
const FILLED = /\uE000(\d+)\uE001/g;

/** A text with one word for each of its template's placeholders, which may have blanks and slashes in them, and the way back. */
function takeHoles(text: string): { left: string; back: (part: string) => string } {
  const holes: string[] = [];
  const left = text.replaceAll(HOLE, (hole) => `\uE000${holes.push(hole) - 1}\uE001`);
  return { left, back: (part) => part.replaceAll(FILLED, (_, at: string) => holes[Number(at)] ?? '') };
}

/** Scheme, user, host, path, query and fragment of an address, which need not have the first. */
const PARTS = /^([a-z][a-z0-9+.-]*:[/\\]*)?([^/\\?#]*@)?([^/\\?#@]*)([^?#]*)(\?[^#]*)?(#.*)?$/is;

/**
 * An address as people may see it: of user and password, of the path and of the query only what is no secret, because the
 * address of a hook is its key. For what is an address: with a scheme, or of a field that has one.
 */
export function showAddress(address: string): string {
  const { left, back } = takeHoles(address);
  const parts = PARTS.exec(left);
  if (parts === null) return address;
  const [, scheme = '', user, host = '', path = '', query, fragment] = parts;
  const shownPath = path
    .split(/([/\\])/)
    .map((segment) => (/^[/\\]?$/.test(segment) || PLAIN_SEGMENT.test(segment) || isFilled(segment) ? segment : MASK))
    .join('');
  const shown = [
    scheme,
    user === undefined ? '' : `${MASK}@`,
    host,
    shownPath,
    query === undefined ? '' : `?${showQuery(query.slice(1))}`,
    fragment === undefined || fragment === '#' ? '' : `#${MASK}`,
  ].join('');
  return back(shown);
}

function showQuery(query: string): string {
  return query
    .split('&')
    .map((pair) => {
      const at = pair.indexOf('=');
      if (at < 0) return PLAIN_QUERY_VALUE.test(pair) ? pair : MASK;
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
      const plain = value === '' || isFilled(value) || (PLAIN_QUERY_VALUE.test(value) && !isSecretName(name));
      return plain ? pair : `${name}=${MASK}`;
    })
    .join('&');
}

/** A placeholder of a template alone: what it will be is in the event, and not here. */
function isFilled(text: string): boolean {
  return /^\uE000\d+\uE001$/.test(text);
}

/** The parts of an address that showAddress hides: each of them alone lets someone in, or is a half of what does. */
export function secretPartsOfUrl(address: string): string[] {
  const { left, back } = takeHoles(address);
  const parts = PARTS.exec(left);
  if (parts === null) return [];
  const [, , user = '', , path = '', query = '', fragment = ''] = parts;
  const segments = path.split(/[/\\]/).filter((segment) => segment !== '' && !PLAIN_SEGMENT.test(segment));
  const values = query
    .slice(1)
    .split('&')
    .map((pair) => pair.slice(pair.indexOf('=') + 1))
    .filter((value) => !PLAIN_QUERY_VALUE.test(value));
  const whole = segments.length === 0 && values.length === 0 ? [] : [`${path}${query}`];
  return [...whole, ...user.slice(0, -1).split(':'), ...segments, ...values, fragment.slice(1)]
    .filter((part) => part !== '' && !isFilled(part))
    .map(back);
}

// A name of a secret with its value, as logs and answers write them: `api_key=…`, `"Authorization": "…"`.
const NAMED_VALUES =
  /(?<![\w.-])(["']?)([A-Za-z][\w.-]{1,60})\1(\s*[:=]\s*)(["']?)((?:(?:basic|bearer|token|digest)\s+)?[^\s"'&,;<>{}]{4,})/gi;
// Not file: a stack is full of them, and they lead nowhere else.
const URLS = /(?!file:)(?<![a-z])[a-z][a-z0-9+.-]{1,20}:\/\/[^\s"'<>\\]+/gi;

/**
 * A text with what looks like a secret in it taken out: credentials, keys, the secret parts of addresses, and what follows a
 * secret's name. For text that came from outside, and for what is logged.
 */
export function maskText(text: string, mask: string = MASK): string {
  const left = maskKeys(
    text.replaceAll(URLS, (url) => showAddress(url).replaceAll(MASK, mask)),
    mask,
  );
  return left.replaceAll(
    NAMED_VALUES,
    (found, quote: string, name: string, equals: string, open: string, value: string) => {
      if (!isSecretName(name) || value.includes(mask)) return found;
      // `token: expired` is a sentence.
      const plain = open === '' && equals.includes(':') && /^[A-Za-z]{4,11}\.?$/.test(value);
      return plain ? found : `${quote}${name}${quote}${equals}${open}${mask}`;
    },
  );
}
