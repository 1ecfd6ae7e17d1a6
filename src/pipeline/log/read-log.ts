import type { Queryable } from '../../store/index.ts';
import type { LogPlace } from '../consumers/consumer-lease.ts';

/** A row of the event log as consumers read it; `event` is the event's JSON text. */
export interface LogRow {
  xid: string;
  position: number;
  source_id: string;
  event: string;
}

/** At most so much is held in memory at once. */
export interface BatchLimits {
  maxRows: number;
  /** Characters of JSON text. Passed by at most one event. */
  maxChars: number;
}

const PAGE_ROWS = 1_000;

/**
 * Rows behind `after` in the log's order, up to and with `end` where it is given, else as many as the limits allow. Only rows
 * whose transaction is older than every one that still runs: nothing can turn up before them any more (docs/decisions/0001).
 * `full` where a limit ended it, so that there is probably more.
 */
export async function readLog(
  db: Queryable,
  input: { after: LogPlace; end?: LogPlace; limits: BatchLimits },
): Promise<{ rows: LogRow[]; full: boolean }> {
  const { end, limits } = input;
  const result: LogRow[] = [];
  let { after } = input;
  let chars = 0;
  for (;;) {
    const room = end === undefined ? limits.maxRows - result.length : PAGE_ROWS;
    const pageRows = Math.min(PAGE_ROWS, room);
    const { rows } = await db.query<LogRow>(
      `select xid::text, position, source_id, event::text from event_log
       where (xid, position) > ($1::xid8, $2::bigint) and xid < pg_snapshot_xmin(pg_current_snapshot())
         and ($3::xid8 is null or (xid, position) <= ($3::xid8, $4::bigint))
       order by event_log.xid, position limit $5`,
      [after.xid, after.position, end?.xid ?? null, end?.position ?? null, pageRows],
    );
    for (const row of rows) {
      result.push(row);
      chars += row.event.length;
      if (end === undefined && (result.length >= limits.maxRows || chars >= limits.maxChars)) {
        return { rows: result, full: true };
      }
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return { rows: result, full: false };
    after = last;
  }
}
