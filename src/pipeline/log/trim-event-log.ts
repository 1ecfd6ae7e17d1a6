import type { Queryable } from '../../store/index.ts';

const DAY_MS = 24 * 60 * 60_000;

/**
 * Deletes rows of the event log that every consumer has passed and that are older than `olderThanMs`: as long as a row is
 * kept, its messageId is refused a second time. In chunks, so that no statement holds much. Gives how many went.
 */
export async function trimEventLog(
  db: Queryable,
  options: { olderThanMs?: number; chunkRows?: number } = {},
): Promise<number> {
  const olderThanMs = options.olderThanMs ?? DAY_MS;
  const chunkRows = options.chunkRows ?? 5_000;
  let trimmed = 0;
  for (;;) {
    // Where there is no consumer yet, nothing was passed by all of them.
    const { rowCount } = await db.query(
      `with passed as (
         select last_xid, last_position from consumers order by last_xid, last_position limit 1
       )
       delete from event_log where (xid, position) in (
         select l.xid, l.position from event_log l, passed
         where (l.xid, l.position) <= (passed.last_xid, passed.last_position)
           and l.received_at < now() - $1 * interval '1 ms'
         order by l.xid, l.position limit $2
       )`,
      [olderThanMs, chunkRows],
    );
    trimmed += rowCount ?? 0;
    if ((rowCount ?? 0) < chunkRows) return trimmed;
  }
}
