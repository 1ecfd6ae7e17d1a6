import {
  inTransaction,
  selectRows,
  type ClickHouseClient,
  type PostgresPool,
  type Queryable,
} from '../../store/index.ts';
import { undoLoad } from '../consumers/undo-load.ts';

/** Beyond any number of a batch or row there will be: what JavaScript counts up to. */
const ANY = 9_000_000_000_000_000;

/** What was found of a database that was restored, and what putting it right would do. */
export interface RestorePlan {
  /** False where positions fit the server, and ClickHouse has nothing that PostgreSQL does not know. */
  needed: boolean;
  /** The newest transaction that the log or a consumer knows, and the next one of this server. */
  newest: string;
  next: string;
  /** Events in the log, and those of them that are not loaded. */
  logged: number;
  waiting: number;
  /** Events in ClickHouse of batches that this database does not know. */
  beyond: number;
}

const NEWEST = `greatest(
  (select xid from event_log order by event_log.xid desc, position desc limit 1),
  (select last_xid from consumers order by last_xid desc limit 1),
  (select claimed_xid from consumers where claimed_xid is not null order by claimed_xid desc limit 1),
  '0'::xid8)`;

/**
 * Whether the log's positions are impossible on this server, or were when someone looked: a sentence, or undefined. Until it is put
 * right nothing is loaded, for new events would be behind the consumers' offsets.
 */
export async function findRestore(db: Queryable): Promise<string | undefined> {
  const { rows } = await db.query<{ restored: boolean }>(
    `select ${NEWEST} >= pg_snapshot_xmax(pg_current_snapshot()) or exists (select from log_restores) as restored`,
  );
  if (rows[0]?.restored !== true) return undefined;
  return 'the database was restored from a dump into a server that counts its transactions anew, so nothing is loaded: trailmark restore says what to do, trailmark restore --apply does it';
}

/** Writes down that the database was restored, for the server's transactions catch up with the log's. Says what findRestore says. */
export async function noticeRestore(db: Queryable): Promise<string | undefined> {
  const problem = await findRestore(db);
  if (problem !== undefined) await db.query('insert into log_restores default values on conflict do nothing');
  return problem;
}

/** What putting a restored database right would do. Changes nothing. */
export async function planRestore(db: Queryable, clickhouse: ClickHouseClient): Promise<RestorePlan> {
  const { rows } = await db.query<Omit<RestorePlan, 'needed' | 'beyond'>>(
    `select ${NEWEST}::text as newest, pg_snapshot_xmax(pg_current_snapshot())::text as next,
       (select count(*) from event_log) as logged,
       (select count(*) from event_log l left join consumers c on c.name = 'clickhouse'
        where c.name is null or (l.xid, l.position) > (c.last_xid, c.last_position)) as waiting`,
  );
  const [found] = rows;
  if (found === undefined) throw new Error('a select without a table gave no row');
  const batches = await db.query<{ loaded: number; claimed: boolean }>(
    `select loaded_batches as loaded, claimed_xid is not null as claimed from consumers where name = 'clickhouse'`,
  );
  const { loaded = 0, claimed = false } = batches.rows[0] ?? {};
  // The batch after the last may be there: it is loaded again under the same name.
  const [counted] = await selectRows<{ beyond: number; impossible: number }>(
    clickhouse,
    `SELECT count() AS beyond, countIf(batch > {possible:UInt64}) AS impossible FROM events WHERE batch > {loaded:UInt64}`,
    { loaded, possible: claimed ? loaded + 1 : loaded },
  );
  const { beyond = 0, impossible = 0 } = counted ?? {};
  const restored = (await findRestore(db)) !== undefined;
  return { ...found, beyond, needed: restored || impossible > 0 };
}

/**
 * Puts a restored database right: gives the log's rows positions that come before whatever this server will write, in their old
 * order, moves the consumers' offsets with them, and takes out of ClickHouse what this database does not know, which is loaded
 * again where the log has it. Events that came in after the restore stay behind all others. Twice is as once.
 */
export async function applyRestore(pool: PostgresPool, clickhouse: ClickHouseClient): Promise<void> {
  // Positions that were never wrong stay as they are: then only ClickHouse is ahead.
  const positions = (await noticeRestore(pool)) !== undefined;
  // Whoever loads now has lost the range: what it does does not count.
  await pool.query(
    `update consumers set lease_owner = 'restore', leased_until = now() + interval '1 hour' where name = 'clickhouse'`,
  );
  const { rows } = await pool.query<{ loaded_batches: number; loaded_rows: number }>(
    `select loaded_batches, loaded_rows from consumers where name = 'clickhouse'`,
  );
  const { loaded_batches: batches = 0, loaded_rows: ordinals = 0 } = rows[0] ?? {};
  await undoLoad(pool, clickhouse, {
    batch: batches + 1,
    lastBatch: ANY,
    repair: batches,
    firstOrdinal: ordinals + 1,
    lastOrdinal: ANY,
  });
  await inTransaction(pool, async (tx) => {
    await tx.query('lock table event_log, consumers in access exclusive mode');
    if (positions) await movePositions(tx);
    await tx.query(
      `update consumers set claimed_xid = null, claimed_position = null, claimed_spaces = null, claimed_blocked_ids = null,
         claimed_tries = 0, cut_rows = null, careful_xid = null, careful_position = null, undo = null, epoch = epoch + 1,
         lease_owner = null, leased_until = null, updated_at = now()`,
    );
    await tx.query('delete from log_restores');
  });
}

async function movePositions(tx: Queryable): Promise<void> {
  // A row that this server's own transaction wrote has its number; what a restore wrote has the number that it had elsewhere.
  await tx.query(
    `create temporary table restored on commit drop as
       with marked as (
         select l.xid as old_xid, l.position as old_position, l.xmin::text as wrote,
                l.xid::xid::text = l.xmin::text as own
         from event_log l
       ),
       kept as (select wrote from marked group by wrote having bool_and(own))
       select old_xid, old_position, row_number() over (order by old_xid, old_position) as place
       from marked where wrote not in (select wrote from kept)`,
  );
  await tx.query('alter table restored add primary key (old_xid, old_position)');
  await tx.query(
    `update consumers c set
         last_xid = '1',
         last_position = (select count(*) from restored r where (r.old_xid, r.old_position) <= (c.last_xid, c.last_position))`,
  );
  await tx.query(
    `create temporary table moved on commit drop as
       select r.place, l.workspace_id, l.source_id, l.message_id, l.type, l.event, l.received_at
       from restored r join event_log l on l.xid = r.old_xid and l.position = r.old_position`,
  );
  await tx.query('delete from event_log l using restored r where l.xid = r.old_xid and l.position = r.old_position');
  await tx.query(
    `insert into event_log (xid, position, workspace_id, source_id, message_id, type, event, received_at)
       overriding system value
       select '1', place, workspace_id, source_id, message_id, type, event, received_at from moved`,
  );
}
