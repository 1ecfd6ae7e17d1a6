import { createHash } from 'node:crypto';
import { RequestError } from '../errors.ts';
import type { Queryable } from '../store/index.ts';

const WINDOW_SECONDS = 15 * 60;
/** From one address to one account: someone who forgot which password it was. */
const ATTEMPTS_PER_ADDRESS = 10;
/** To one account from everywhere: guessing from many addresses. Higher, so that a stranger does not lock its owner out. */
const ATTEMPTS_PER_ACCOUNT = 100;

interface SignInKeys {
  account: Buffer;
  address: Buffer;
}

export function signInKeys(email: string, clientAddress: string): SignInKeys {
  const digest = (...parts: string[]) => createHash('sha256').update(JSON.stringify(parts)).digest();
  return { account: digest(email), address: digest(email, clientAddress) };
}

/**
 * Counts an attempt to sign in before it is looked at, so that attempts at the same moment are all counted.
 * In PostgreSQL, so that it holds over every api process. Throws 'sign_in_rate_limited' with `retryAfterSeconds`.
 */
export async function countSignIn(db: Queryable, keys: SignInKeys): Promise<void> {
  const { rows } = await db.query<{ key_hash: Buffer; attempts: number; retry_after_seconds: number }>(
    `insert into sign_in_limits as l (key_hash, attempts, window_started_at)
     select key, 1, now() from unnest($1::bytea[]) as key order by key
     on conflict (key_hash) do update set
       attempts = case when l.window_started_at < now() - $2 * interval '1 second' then 1 else l.attempts + 1 end,
       window_started_at = case when l.window_started_at < now() - $2 * interval '1 second' then now() else l.window_started_at end
     returning key_hash, attempts, ceil(extract(epoch from window_started_at - now()) + $2)::integer as retry_after_seconds`,
    [[keys.account, keys.address], WINDOW_SECONDS],
  );
  for (const row of rows) {
    const limit = row.key_hash.equals(keys.account) ? ATTEMPTS_PER_ACCOUNT : ATTEMPTS_PER_ADDRESS;
    if (row.attempts <= limit) continue;
    throw new RequestError(
      'rate_limited',
      'sign_in_rate_limited',
      `There were too many attempts to sign in. Try again in ${row.retry_after_seconds} seconds.`,
      { data: { retryAfterSeconds: row.retry_after_seconds } },
    );
  }
}

/** Forgets the attempts of someone who has signed in, and every window that is over. */
export async function forgetSignIns(db: Queryable, keys: SignInKeys): Promise<void> {
  await db.query(
    `delete from sign_in_limits where key_hash = any($1::bytea[]) or window_started_at < now() - $2 * interval '1 second'`,
    [[keys.account, keys.address], WINDOW_SECONDS],
  );
}
