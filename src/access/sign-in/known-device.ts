import { createHash, randomBytes } from 'node:crypto';
import type { SecretBox } from '../../security/index.ts';
import { normalizeEmail } from '../users.ts';

/** How long a browser that someone has signed in from is known as theirs. */
export const KNOWN_DEVICE_DAYS = 180;
const DAY_MS = 86_400_000;
// A box of ours has about a hundred bytes.
const MAX_LENGTH = 512;

/** A secret for the browser of someone who has just signed in: it says that its bearer has known the password once, and lets nobody in. */
export function rememberDevice(secretBox: SecretBox, email: string, now = new Date()): string {
  const text = `${now.getTime()}.${randomBytes(16).toString('base64url')}`;
  return secretBox.seal(text, contextOf(email)).toString('base64url');
}

/** The id of the device, where the secret is one that was given for this email and is not too old; null for anything else. */
export function knownDevice(
  secretBox: SecretBox,
  secret: string | undefined,
  email: string,
  now = new Date(),
): string | null {
  if (secret === undefined || secret.length > MAX_LENGTH) return null;
  try {
    const text = secretBox.open(Buffer.from(secret, 'base64url'), contextOf(email));
    const ageMs = now.getTime() - Number(text.split('.', 1)[0]);
    return ageMs < KNOWN_DEVICE_DAYS * DAY_MS ? createHash('sha256').update(text).digest('base64url') : null;
  } catch {
    // Made up, another one's, or sealed with a secret that this installation does not have any more.
    return null;
  }
}

function contextOf(email: string): string {
  return `device ${normalizeEmail(email)}`;
}
