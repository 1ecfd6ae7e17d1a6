import { jsonText, type Queryable } from '../../store/index.ts';

/** A place in the event log: behind the row with this transaction id and position. xid is a 64-bit number as text. */
export interface LogPlace {
  xid: string;
  position: number;
}

/** The range that is being loaded: all behind `last` up to and with `end`. */
export interface Claim {
  end: LogPlace;
  /** The spaces that each source's events go into, as they were when the range was cut. */
  spaces: Record<string, string[]>;
  /** The values that identify nobody, as they were then; null for a range of a version that knew none. */
  blockedIds: ClaimedBlockedIds | null;
}

/** The list of spaces that have none of their own, and the lists of those that have. */
interface ClaimedBlockedIds {
  default: readonly string[];
  spaces: Readonly<Record<string, readonly string[]>>;
}

/** Numbers of a range that was given up: no batch has them, or ever will. */
export interface SpentNumbers {
  batch: number;
  /** Where more than one batch is taken out, the last of them. */
  lastBatch?: number;
  /** A batch's number for what puts right what the range wrote over. */
  repair: number;
  firstOrdinal: number;
  lastOrdinal: number;
}

export interface ConsumerState {
  last: LogPlace;
  claim: Claim | null;
  /** How often the claimed range failed for its data. */
  tries: number;
  /** While it is looked for what a range fails for: ranges are of so many rows at most. */
  cutRows: number | null;
  /** Has to be taken out of ClickHouse before anything else is loaded. */
  undo: SpentNumbers[];
  /** Over the life of the consumer. */
  loadedRows: number;
  loadedBatches: number;
  /** Of restores: a part of the names of ranges in ClickHouse. */
  epoch: number;
}

/** Another process holds the lease now, or has moved the offset: what this one is doing must not count. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

interface ConsumerRow {
  last_xid: string;
  last_position: number;
  claimed_xid: string | null;
  claimed_position: number | null;
  claimed_spaces: Record<string, string[]> | null;
  claimed_blocked_ids: ClaimedBlockedIds | null;
  loaded_rows: number;
  loaded_batches: number;
  claimed_tries: number;
  cut_rows: number | null;
  undo: SpentNumbers[] | null;
  epoch: number;
  restored: boolean;
}

const COLUMNS = `last_xid::text, last_position, claimed_xid::text, claimed_position, claimed_spaces, claimed_blocked_ids,
  loaded_rows, loaded_batches, claimed_tries, cut_rows, undo, epoch,
  exists (select from log_restores) as restored`;

/** Takes the lease of a consumer, or makes it longer; null while another owner holds it. */
export async function acquireLease(
  db: Queryable,
  input: { consumer: string; owner: string; leaseMs: number },
): Promise<ConsumerState | null> {
  const { rows } = await db.query<ConsumerRow>(
    `insert into consumers (name, lease_owner, leased_until) values ($1, $2, now() + $3 * interval '1 ms')
     on conflict (name) do update set lease_owner = excluded.lease_owner, leased_until = excluded.leased_until, updated_at = now()
       where consumers.lease_owner = $2 or consumers.leased_until is null or consumers.leased_until < now()
     returning ${COLUMNS}`,
    [input.consumer, input.owner, input.leaseMs],
  );
  const [row] = rows;
  return row === undefined ? null : toState(row, input.consumer);
}

/** Makes the lease longer, if it is still the owner's. Says whether it is. */
export async function renewLease(
  db: Queryable,
  input: { consumer: string; owner: string; leaseMs: number },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `update consumers set leased_until = now() + $3 * interval '1 ms' where name = $1 and lease_owner = $2`,
    [input.consumer, input.owner, input.leaseMs],
  );
  return rowCount === 1;
}

/** Lets another process go on at once. */
export async function releaseLease(db: Queryable, input: { consumer: string; owner: string }): Promise<void> {
  await db.query('update consumers set lease_owner = null, leased_until = null where name = $1 and lease_owner = $2', [
    input.consumer,
    input.owner,
  ]);
}

/** The consumer's state, if the lease is still the owner's. Throws LeaseLostError. */
export async function readLeased(db: Queryable, input: { consumer: string; owner: string }): Promise<ConsumerState> {
  const { rows } = await db.query<ConsumerRow>(
    `select ${COLUMNS} from consumers where name = $1 and lease_owner = $2`,
    [input.consumer, input.owner],
  );
  const [row] = rows;
  if (row === undefined) throw new LeaseLostError(`the lease of ${input.consumer} is another's`);
  return toState(row, input.consumer);
}

/** Writes down the range that is to be loaded. Throws LeaseLostError where the lease or the offset is not what it was. */
export async function writeClaim(
  db: Queryable,
  input: { consumer: string; owner: string; last: LogPlace; claim: Claim },
): Promise<void> {
  const { rowCount } = await db.query(
    `update consumers set claimed_xid = $5::xid8, claimed_position = $6, claimed_spaces = $7, claimed_blocked_ids = $8, updated_at = now()
     where name = $1 and lease_owner = $2 and last_xid = $3::xid8 and last_position = $4 and claimed_xid is null`,
    [
      input.consumer,
      input.owner,
      input.last.xid,
      input.last.position,
      input.claim.end.xid,
      input.claim.end.position,
      jsonText(input.claim.spaces),
      input.claim.blockedIds === null ? null : jsonText(input.claim.blockedIds),
    ],
  );
  if (rowCount !== 1) throw new LeaseLostError(`the range of ${input.consumer} is another's`);
}

/**
 * Moves the offset to the end of the claimed range. First statement of the transaction that writes what came of the range:
 * whoever lost the lease, or whose range was loaded by another, fails here, before anything is written. Throws LeaseLostError.
 */
export async function finishClaim(
  tx: Queryable,
  input: { consumer: string; owner: string; leaseMs: number; last: LogPlace; claim: Claim; rows: number },
): Promise<void> {
  const { rowCount } = await tx.query(
    `update consumers set
       last_xid = claimed_xid, last_position = claimed_position,
       claimed_xid = null, claimed_position = null, claimed_spaces = null, claimed_blocked_ids = null,
       claimed_tries = 0,
       cut_rows = case when careful_xid is not null and (claimed_xid, claimed_position) < (careful_xid, careful_position) then cut_rows * 2 end,
       careful_xid = case when (claimed_xid, claimed_position) < (careful_xid, careful_position) then careful_xid end,
       careful_position = case when (claimed_xid, claimed_position) < (careful_xid, careful_position) then careful_position end,
       loaded_rows = loaded_rows + $7, loaded_batches = loaded_batches + 1,
       leased_until = now() + $8 * interval '1 ms', updated_at = now()
     where name = $1 and lease_owner = $2 and last_xid = $3::xid8 and last_position = $4
       and claimed_xid = $5::xid8 and claimed_position = $6`,
    [
      input.consumer,
      input.owner,
      input.last.xid,
      input.last.position,
      input.claim.end.xid,
      input.claim.end.position,
      input.rows,
      input.leaseMs,
    ],
  );
  if (rowCount !== 1) throw new LeaseLostError(`the range of ${input.consumer} is another's`);
}

function toState(row: ConsumerRow, consumer: string): ConsumerState {
  if (row.restored) {
    throw new Error(
      `Nothing is loaded by ${consumer}: the database was restored from a dump into another server. trailmark restore says what to do.`,
    );
  }
  return {
    last: { xid: row.last_xid, position: row.last_position },
    claim:
      row.claimed_xid === null || row.claimed_position === null || row.claimed_spaces === null
        ? null
        : {
            end: { xid: row.claimed_xid, position: row.claimed_position },
            spaces: row.claimed_spaces,
            blockedIds: row.claimed_blocked_ids,
          },
    tries: row.claimed_tries,
    cutRows: row.cut_rows,
    undo: row.undo ?? [],
    epoch: row.epoch,
    loadedRows: row.loaded_rows,
    loadedBatches: row.loaded_batches,
  };
}
