import { hash, verify } from '@node-rs/argon2';
import { RequestError } from '../../errors.ts';

const MIN_PASSWORD_LENGTH = 12;
const MAX_PASSWORD_LENGTH = 200;

// argon2id (the package's default algorithm) with OWASP's parameters: 19 MiB, two passes, one lane.
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** argon2id in PHC form. Throws 'password_invalid' for a password that is too short or too long. */
export async function hashPassword(password: string): Promise<string> {
  if (password.length < MIN_PASSWORD_LENGTH || password.length > MAX_PASSWORD_LENGTH) {
    throw new RequestError(
      'invalid',
      'password_invalid',
      `password has ${MIN_PASSWORD_LENGTH} to ${MAX_PASSWORD_LENGTH} characters; this one has ${password.length}.`,
      { field: 'password' },
    );
  }
  return await hash(password, PARAMETERS);
}

let decoy: Promise<string> | undefined;

/** Whether the password is the hash's. Without a hash (an unknown email) it takes as long, and is false. */
export async function verifyPassword(passwordHash: string | undefined, password: string): Promise<boolean> {
  if (password.length > MAX_PASSWORD_LENGTH) return false;
  decoy ??= hash('a decoy for emails that nobody has', PARAMETERS);
  const matches = await verify(passwordHash ?? (await decoy), password);
  return passwordHash !== undefined && matches;
}
