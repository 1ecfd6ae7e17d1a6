import { RequestError } from '../errors.ts';
import { newId, type Queryable } from '../store/index.ts';
import { checkName } from './names.ts';
import { hashPassword } from './sign-in/passwords.ts';

export interface UserRow {
  id: string;
  email: string;
  name: string;
  is_support: boolean;
  created_at: Date;
}

const EMAIL_PATTERN = /^[^\s@]+@[^\s@]+$/;
const MAX_EMAIL_LENGTH = 254;

/** The form in which an email is kept and compared. */
export function normalizeEmail(email: string): string {
  return email.trim().toLowerCase();
}

/**
 * Creates a user, who is in no workspace yet: the trail tells of it when a workspace takes them in (addMember).
 * A support user needs no membership. Throws 'email_invalid', 'email_taken', 'name_invalid' or 'password_invalid'.
 */
export async function createUser(
  tx: Queryable,
  input: { email: string; name: string; password: string; isSupport?: boolean },
): Promise<UserRow> {
  const email = normalizeEmail(input.email);
  if (!EMAIL_PATTERN.test(email) || email.length > MAX_EMAIL_LENGTH) {
    throw new RequestError('invalid', 'email_invalid', 'email is an address such as name@example.com.', {
      field: 'email',
    });
  }
  const name = checkName(input.name);
  const passwordHash = await hashPassword(input.password);
  const { rows } = await tx.query<UserRow>(
    `insert into users (id, email, name, password_hash, is_support) values ($1, $2, $3, $4, $5)
     on conflict (email) do nothing returning id, email, name, is_support, created_at`,
    [newId('user'), email, name, passwordHash, input.isSupport ?? false],
  );
  const [row] = rows;
  if (row === undefined) {
    throw new RequestError('conflict', 'email_taken', `There is a user with the email ${email} already.`, {
      field: 'email',
    });
  }
  return row;
}
