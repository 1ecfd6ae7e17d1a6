import { setTimeout as wait } from 'node:timers/promises';
import type { Queryable } from '../../store/index.ts';
import type { LogPlace } from './consumer-lease.ts';
import { LOADER } from './loader.ts';

const POLL_MS = 50;

// Beyond it nobody counts: each event behind is read for its size, and a loader that far behind must not be slowed down by it.
const COUNTED_ROWS = 100_000;

/**
 * How far ClickHouse is behind the event log: rows and their bytes, both of the oldest 100 000 at most, and seconds since the oldest
 * of them came in (0 where there is none). Bytes are what PostgreSQL holds, which compresses what is long.
 */
export async function loaderLag(db: Queryable): Promise<{ rows: number; bytes: number; seconds: number }> {
  const { rows } = await db.query<{ rows: number; bytes: number; seconds: number }>(
    `with behind as (
       select received_at, pg_column_size(event) as bytes from event_log
       where (xid, position) > (
         coalesce((select last_xid from consumers where name = $1), '0'),
         coalesce((select last_position from consumers where name = $1), 0)
       )
       order by xid, position limit $2
     )
     select count(*) as rows, coalesce(sum(bytes), 0)::float8 as bytes,
            coalesce(extract(epoch from clock_timestamp() - min(received_at)), 0)::float8 as seconds
     from behind`,
    [LOADER, COUNTED_ROWS],
  );
  return rows[0] ?? { rows: 0, bytes: 0, seconds: 0 };
}

// So far behind, the oldest of those that wait is the oldest of the first so many: they are in the order of their transactions.
const OLDEST_AMONG = 10_000;

/**
 * Until when ClickHouse has all that came in: no event that was acknowledged before `until` is missing; null where none is missing at
 * all. `now` is PostgreSQL's time, which both are told by.
 */
export async function loaderWatermark(db: Queryable): Promise<{ now: Date; until: Date | null }> {
  const { rows } = await db.query<{ now: Date; until: Date | null }>(
    `select clock_timestamp() as now, min(received_at) as until
     from (
       select received_at from event_log
       where (xid, position) > (
         coalesce((select last_xid from consumers where name = $1), '0'),
         coalesce((select last_position from consumers where name = $1), 0)
       )
       order by xid, position limit $2
     ) as waiting`,
    [LOADER, OLDEST_AMONG],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('a select without a group gave no row');
  return row;
}

/**
 * Waits until every event that was acknowledged before this call is in ClickHouse. False where that takes longer than
 * `timeoutMs`: no loader runs, or it is far behind.
 */
export async function waitUntilLoaded(db: Queryable, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  const { rows } = await db.query<LogPlace>(
    'select xid::text, position from event_log order by event_log.xid desc, position desc limit 1',
  );
  const [target] = rows;
  if (target === undefined) return true;
  for (;;) {
    const passed = await db.query(
      'select from consumers where name = $1 and (last_xid, last_position) >= ($2::xid8, $3::bigint)',
      [LOADER, target.xid, target.position],
    );
    if (passed.rowCount === 1) return true;
    const left = deadline - Date.now();
    if (left <= 0) return false;
    await wait(Math.min(POLL_MS, left));
  }
}
