import type { Queryable } from '../store/index.ts';

export interface LogHolder {
  /** Since when the oldest transaction that could still write is open; 0 where there is none, or this role may not see it. */
  ageSeconds: number;
  /** Whose it is: process id, program, state. */
  who: string;
  /** The log, or who reads it, has places ahead of every transaction that this cluster has begun. */
  positionsImpossible: boolean;
}

/**
 * What keeps readers of the event log from going on. They read only what is older than every transaction that still runs, in whatever
 * database of the cluster (docs/decisions/0001): those that have an id, and those that are prepared.
 */
export async function readLogHolder(db: Queryable): Promise<LogHolder> {
  const { rows } = await db.query<{ seconds: number; who: string }>(
    `select extract(epoch from clock_timestamp() - since)::float8 as seconds, who from (
       select xact_start as since, backend_xid as xid,
         format('process %s, %s, %s in database %s', pid, coalesce(nullif(application_name, ''), 'no name'), state, datname) as who
       from pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid()
       union all
       select prepared, transaction, format('prepared as %L in database %s', gid, database) from pg_prepared_xacts
     ) open order by age(xid) desc limit 1`,
  );
  const { rows: places } = await db.query<{ ahead: boolean }>(
    `select exists (select from consumers where last_xid >= pg_snapshot_xmax(pg_current_snapshot()))
         or coalesce((select xid from event_log order by xid desc, position desc limit 1) >= pg_snapshot_xmax(pg_current_snapshot()), false) as ahead`,
  );
  return {
    ageSeconds: rows[0]?.seconds ?? 0,
    who: rows[0]?.who ?? '',
    positionsImpossible: places[0]?.ahead ?? false,
  };
}
