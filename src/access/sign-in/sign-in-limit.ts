import { createHash } from 'node:crypto';
import { RequestError } from '../../errors.ts';
import { addressBlock } from '../../security/index.ts';
import type { Queryable } from '../../store/index.ts';

const WINDOW_SECONDS = 15 * 60;
/** From one address to one account, or from a known device: someone who forgot which password it was. */
const TRIES = 10;
/**
 * Once so many were made for one account from everywhere, an address has fewer: guessing from many addresses. Never none, because then
 * a stranger could lock the owner out.
 */
const TRIES_FOR_ACCOUNT = 100;
const TRIES_WHILE_GUESSED = 3;
/** From one address over all accounts, of those that the limits above let through. */
const TRIES_FROM_ADDRESS = 100;

/** Who tries to sign in: the account's email, normalized, from where, and the known device where it is one. */
export interface SignInTry {
  email: string;
  clientAddress?: string | undefined;
  deviceId?: string | null | undefined;
}

interface SignInKeys {
  account: Buffer;
  /** This account from this address, or from this device. */
  own: Buffer;
  /** All accounts from this address; none for a known device, which others behind its address don't hinder. */
  address: Buffer | null;
}

/** Why a try is not looked at; `first` for the first one of its kind within a window. */
export interface SignInRefusal {
  error: RequestError;
  first: boolean;
}

interface Counted {
  tries: number;
  retryAfterSeconds: number;
}

/** What a try is queued and counted under: an address, all that one subscriber has of IPv6, or the known device. */
export function originOf({ clientAddress, deviceId }: SignInTry): string {
  if (deviceId !== undefined && deviceId !== null) return `device ${deviceId}`;
  return `address ${addressBlock(clientAddress ?? '')}`;
}

function keysOf(from: SignInTry): SignInKeys {
  const digest = (...parts: string[]) => createHash('sha256').update(JSON.stringify(parts)).digest();
  const origin = originOf(from);
  const known = origin.startsWith('device ');
  return {
    account: digest('account', from.email),
    own: digest('own', from.email, origin),
    address: known ? null : digest('address', origin),
  };
}

/**
 * Counts a try to sign in before it is looked at, so that tries at the same moment are all counted; in PostgreSQL, so that it holds
 * over every api process. No limit refuses anyone for what was done from another address: an owner gets in while a stranger guesses,
 * and from a device that they have signed in from, also while someone guesses from behind the same address. Gives the
 * refusal, 'sign_in_rate_limited' with `retryAfterSeconds`, or null where the try may be looked at.
 */
export async function countSignIn(db: Queryable, from: SignInTry): Promise<SignInRefusal | null> {
  const keys = keysOf(from);
  // Read before they are counted: whoever goes on when they are refused must not make each refusal a write.
  const before = await read(db, keys);
  const limit = limitOf(before.account);
  if (before.own.tries > limit) return refused(before.own, false);
  if (before.address.tries > TRIES_FROM_ADDRESS) return refused(before.address, false);
  const [account, own] = await count(db, [keys.account, keys.own]);
  if (own === undefined || account === undefined) throw new Error('insert … returning gave no row');
  const nowLimit = keys.address === null ? TRIES : limitOf(account);
  if (own.tries > nowLimit) return refused(own, own.tries === nowLimit + 1);
  if (keys.address === null) return null;
  const [address] = await count(db, [keys.address]);
  if (address !== undefined && address.tries > TRIES_FROM_ADDRESS) {
    return refused(address, address.tries === TRIES_FROM_ADDRESS + 1);
  }
  return null;

  function limitOf(counted: Counted): number {
    return keys.address !== null && counted.tries > TRIES_FOR_ACCOUNT ? TRIES_WHILE_GUESSED : TRIES;
  }
}

const RETRY_AFTER = `ceil(extract(epoch from window_started_at - now()) + $2)::integer`;

async function read(
  db: Queryable,
  { account, own, address }: SignInKeys,
): Promise<Record<'account' | 'own' | 'address', Counted>> {
  const { rows } = await db.query<{ key_hash: Buffer; attempts: number; retry_after_seconds: number }>(
    `select key_hash, attempts, ${RETRY_AFTER} as retry_after_seconds from sign_in_limits
     where key_hash = any($1::bytea[]) and window_started_at >= now() - $2 * interval '1 second'`,
    [[account, own, ...(address === null ? [] : [address])], WINDOW_SECONDS],
  );
  const of = (key: Buffer | null): Counted => {
    const row = rows.find(({ key_hash }) => key !== null && key_hash.equals(key));
    return { tries: row?.attempts ?? 0, retryAfterSeconds: row?.retry_after_seconds ?? 0 };
  };
  return { account: of(account), own: of(own), address: of(address) };
}

/** Adds one to each, in the order of their keys so that no two wait for each other. Gives them in the order asked for. */
async function count(db: Queryable, keys: readonly Buffer[]): Promise<(Counted | undefined)[]> {
  const { rows } = await db.query<{ key_hash: Buffer; attempts: number; retry_after_seconds: number }>(
    `insert into sign_in_limits as l (key_hash, attempts, window_started_at)
     select key, 1, now() from unnest($1::bytea[]) as key order by key
     on conflict (key_hash) do update set
       attempts = case when l.window_started_at < now() - $2 * interval '1 second' then 1 else l.attempts + 1 end,
       window_started_at = case when l.window_started_at < now() - $2 * interval '1 second' then now() else l.window_started_at end
     returning key_hash, attempts, ${RETRY_AFTER} as retry_after_seconds`,
    [keys, WINDOW_SECONDS],
  );
  return keys.map((key) => {
    const row = rows.find(({ key_hash }) => key_hash.equals(key));
    return row === undefined ? undefined : { tries: row.attempts, retryAfterSeconds: row.retry_after_seconds };
  });
}

function refused({ retryAfterSeconds }: Counted, first: boolean): SignInRefusal {
  const error = new RequestError(
    'rate_limited',
    'sign_in_rate_limited',
    `There were too many attempts to sign in. Try again in ${retryAfterSeconds} seconds.`,
    { data: { retryAfterSeconds } },
  );
  return { error, first };
}

/** Takes back what was counted for someone who has signed in. */
export async function forgetSignIns(db: Queryable, from: SignInTry): Promise<void> {
  const keys = keysOf(from);
  await db.query('delete from sign_in_limits where key_hash = $1', [keys.own]);
  await db.query(
    `update sign_in_limits set attempts = attempts - 1 where attempts > 0 and key_hash = any($1::bytea[])`,
    [keys.address === null ? [keys.account] : [keys.account, keys.address]],
  );
}

// So many at a time, so that none waits for a delete of millions.
const SWEPT_AT_ONCE = 1_000;

/** Deletes windows that are over. Guessing leaves rows of which nobody may ever come back. */
export async function sweepSignInLimits(db: Queryable): Promise<void> {
  await db.query(
    `delete from sign_in_limits where key_hash in (
       select key_hash from sign_in_limits where window_started_at < now() - $1 * interval '1 second'
       order by window_started_at limit $2 for update skip locked)`,
    [WINDOW_SECONDS, SWEPT_AT_ONCE],
  );
}
