import { createHash, randomBytes } from 'node:crypto';

/** A random secret of 192 bits in base64url, with a prefix that says what it is, such as `tm_token_…`. */
export function randomToken(prefix: string): string {
  return prefix + randomBytes(24).toString('base64url');
}

/** What is kept of a token. The token has 192 random bits, so one round of SHA-256 is enough and a look-up by it is safe. */
export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
