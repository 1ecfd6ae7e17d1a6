import { createHash, randomBytes } from 'node:crypto';

const RANDOM_BYTES = 24;
const RANDOM_PART = /^[A-Za-z0-9_-]{32}$/;

/** A random secret of 192 bits in base64url, with a prefix that says what it is, such as `tm_token_…`. */
export function randomToken(prefix: string): string {
  return prefix + randomBytes(RANDOM_BYTES).toString('base64url');
}

/** Whether a text has the form of what randomToken makes with this prefix. A long text is refused by its length alone. */
export function looksLikeToken(prefix: string, text: string): boolean {
  return text.startsWith(prefix) && RANDOM_PART.test(text.slice(prefix.length));
}

/** What is kept of a token. The token has 192 random bits, so one round of SHA-256 is enough and a look-up by it is safe. */
export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
