import { setTimeout as wait } from 'node:timers/promises';
import type { Queryable } from '../store/index.ts';
import type { LogPlace } from './consumer-lease.ts';
import { LOADER } from './loader.ts';

const POLL_MS = 50;

/** How far ClickHouse is behind the event log: rows, and seconds since the oldest of them came in (0 where there is none). */
export async function loaderLag(db: Queryable): Promise<{ rows: number; seconds: number }> {
  const { rows } = await db.query<{ rows: number; seconds: number }>(
    `select count(*) as rows, coalesce(extract(epoch from clock_timestamp() - min(received_at)), 0)::float8 as seconds
     from event_log where (xid, position) > (
       coalesce((select last_xid from consumers where name = $1), '0'),
       coalesce((select last_position from consumers where name = $1), 0)
     )`,
    [LOADER],
  );
  return rows[0] ?? { rows: 0, seconds: 0 };
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
