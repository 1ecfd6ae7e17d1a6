import { setTimeout as wait } from 'node:timers/promises';
import { RequestError } from '../../errors.ts';
import type { Queryable } from '../../store/index.ts';

const LOOK_EVERY_MS = 5;
// No statement of the api takes longer.
const MAX_WAIT_MS = 60_000;

/**
 * Waits, after a write key was revoked or a source disabled and that is committed, until nothing is appended to the log any more
 * that was begun before. An append looks at the key by itself, but as it was when the append began. Each holds a lock on the log
 * before it looks, so whoever has none by now will see the change. Nobody waits for this one. Throws RequestError `appends_lasting`.
 */
export async function outlastAppends(db: Queryable): Promise<void> {
  const until = performance.now() + MAX_WAIT_MS;
  let writing = await readWriters(db, null);
  while (writing.length > 0) {
    if (performance.now() > until) {
      throw new RequestError(
        'unavailable',
        'appends_lasting',
        'It is done, but events that came before are still being written. Ask again in a moment.',
      );
    }
    await wait(LOOK_EVERY_MS);
    writing = await readWriters(db, writing);
  }
}

/** The transactions that may write to the log, of all or of those given. */
async function readWriters(db: Queryable, among: readonly string[] | null): Promise<string[]> {
  const { rows } = await db.query<{ writer: string }>(
    `select virtualtransaction as writer from pg_locks
     where relation = 'event_log'::regclass and database = (select oid from pg_database where datname = current_database())
       and mode = 'RowExclusiveLock' and granted and ($1::text[] is null or virtualtransaction = any($1))`,
    [among],
  );
  return rows.map(({ writer }) => writer);
}
