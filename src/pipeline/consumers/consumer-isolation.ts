import { jsonText, type Queryable } from '../../store/index.ts';
import { LeaseLostError, type Claim, type ConsumerState, type LogPlace, type SpentNumbers } from './consumer-lease.ts';

interface Given {
  consumer: string;
  owner: string;
  state: ConsumerState;
  claim: Claim;
  /** How many rows of the log are in the range. */
  rows: number;
}

// Whoever has lost the lease, or whose range another one has given up, changes nothing.
const SAME_RANGE = `name = $1 and lease_owner = $2 and last_xid = $3::xid8 and last_position = $4
  and claimed_xid = $5::xid8 and claimed_position = $6 and loaded_batches = $7`;

function sameRange({ consumer, owner, state, claim }: Given): unknown[] {
  const { last, loadedBatches } = state;
  return [consumer, owner, last.xid, last.position, claim.end.xid, claim.end.position, loadedBatches];
}

/** Writes down that a range failed once more for its data. Throws LeaseLostError. */
export async function countTry(db: Queryable, given: Given): Promise<void> {
  const { rowCount } = await db.query(
    `update consumers set claimed_tries = claimed_tries + 1, updated_at = now() where ${SAME_RANGE}`,
    sameRange(given),
  );
  if (rowCount !== 1) throw lost(given.consumer);
}

/**
 * Gives a range up for its first half, up to and with `end`. The numbers that it was given are spent: no later batch gets them, so
 * what ClickHouse has by them can be taken out, whoever does so and however late. Throws LeaseLostError.
 */
export async function halveClaim(db: Queryable, given: Given, half: { end: LogPlace; rows: number }): Promise<void> {
  await spend(
    db,
    given,
    `claimed_xid = $10::xid8, claimed_position = $11, claimed_tries = 0, cut_rows = $12,
     careful_xid = coalesce(careful_xid, claimed_xid), careful_position = coalesce(careful_position, claimed_position)`,
    [half.end.xid, half.end.position, half.rows],
  );
}

/** Passes a range without loading it: its one event is put aside in the same transaction. Throws LeaseLostError. */
export async function passClaim(tx: Queryable, given: Given): Promise<void> {
  await spend(
    tx,
    given,
    `last_xid = claimed_xid, last_position = claimed_position, claimed_xid = null, claimed_position = null,
     claimed_spaces = null, claimed_blocked_ids = null, claimed_tries = 0`,
    [],
  );
}

/** What was spent is out of ClickHouse. Throws LeaseLostError. */
export async function clearUndo(
  db: Queryable,
  input: { consumer: string; owner: string; state: ConsumerState },
): Promise<void> {
  const { rowCount } = await db.query(
    'update consumers set undo = null where name = $1 and lease_owner = $2 and loaded_batches = $3',
    [input.consumer, input.owner, input.state.loadedBatches],
  );
  if (rowCount !== 1) throw lost(input.consumer);
}

/** The numbers of a range of so many rows: its batch, one more to put right what it wrote over, and its rows. */
function spentBy(state: ConsumerState, rows: number): SpentNumbers {
  const { loadedBatches, loadedRows } = state;
  return {
    batch: loadedBatches + 1,
    repair: loadedBatches + 2,
    firstOrdinal: loadedRows + 1,
    lastOrdinal: loadedRows + rows,
  };
}

async function spend(db: Queryable, given: Given, sets: string, values: unknown[]): Promise<void> {
  const { rowCount } = await db.query(
    `update consumers set ${sets}, undo = coalesce(undo, '[]') || $8::jsonb, loaded_rows = loaded_rows + $9,
       loaded_batches = loaded_batches + 2, updated_at = now() where ${SAME_RANGE}`,
    [...sameRange(given), jsonText([spentBy(given.state, given.rows)]), given.rows, ...values],
  );
  if (rowCount !== 1) throw lost(given.consumer);
}

function lost(consumer: string): LeaseLostError {
  return new LeaseLostError(`the range of ${consumer} is another's`);
}
