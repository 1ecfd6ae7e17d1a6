import { FAILURES } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { classifyStoreError, inTransaction } from '../../store/index.ts';
import { describeThrown, readThrown } from '../../thrown.ts';
import { countTry, halveClaim, passClaim } from './consumer-isolation.ts';
import { LeaseLostError, type Claim, type ConsumerState } from './consumer-lease.ts';
import { noRows } from './clickhouse-rows.ts';
import { insertRows, type LoadDeps } from './load-batch.ts';
import { quarantineEvents } from './quarantine.ts';
import type { LogRow } from '../log/read-log.ts';

/** A range that fails for its data is tried so often; one that is a part of such a range, once, unless it is a single event. */
const TRIES = 3;

interface Failed {
  state: ConsumerState;
  claim: Claim;
  rows: readonly LogRow[];
  error: unknown;
}

/**
 * Decides what becomes of a range that could not be loaded. An engine that is away is waited for, however long. What fails for its
 * data is tried again a few times, then given up for its first half, and so on until one event is left, which is put aside.
 * Each step is written into `consumers` before anything comes of it, so a killed loader goes on in the same way. Returns where the
 * loader can go on at once; throws the error where it has to try again, and LeaseLostError.
 */
export async function isolateFailure(deps: LoadDeps & { logger: Logger }, failed: Failed): Promise<void> {
  const { state, claim, rows, error } = failed;
  const kind = kindOf(error);
  if (kind === 'engine' || rows.length === 0) throw error;
  const given = { consumer: deps.consumer, owner: deps.owner, state, claim, rows: rows.length };
  const single = rows.length === 1;
  const enough = single || state.cutRows === null ? TRIES : 1;
  if (state.tries + 1 < enough || (single && kind === 'weight')) {
    await countTry(deps.pool, given);
    throw error;
  }
  const half = Math.floor(rows.length / 2);
  const end = rows[half - 1];
  if (end !== undefined) {
    deps.logger.warn(
      { err: error, rows: rows.length },
      'events were not loaded for their data: the first half alone is next',
    );
    await halveClaim(deps.pool, given, { end: { xid: end.xid, position: end.position }, rows: half });
    return;
  }
  // It may be ClickHouse that fails in a way nobody knows: then whatever it is given fails.
  if (!(await takesRows(deps))) throw error;
  const [row] = rows;
  if (row === undefined) throw error;
  deps.logger.error({ err: error, sourceId: row.source_id }, 'an event that could not be loaded was put aside');
  await inTransaction(deps.pool, async (tx) => {
    await quarantineEvents(tx, [{ xid: row.xid, position: row.position, ...reasonOf(error) }]);
    await passClaim(tx, given);
  });
}

/** Whether an error tells of an engine, of the weight of the data, or of the data. */
function kindOf(error: unknown): 'engine' | 'weight' | 'data' {
  if (error instanceof LeaseLostError) return 'engine';
  const parts = readThrown(error);
  const failure = classifyStoreError(error);
  // A socket that broke before a driver could say so.
  if (failure === null) return parts.some(({ code }) => /^(E[A-Z]|UND_ERR)/.test(code)) ? 'engine' : 'data';
  if (failure.code === 'clickhouse_memory' || failure.code === 'clickhouse_timeout') return 'weight';
  if (failure.code === 'clickhouse_query' || failure.code === 'clickhouse_failed') return 'data';
  // Data exceptions, constraints, and limits such as the length of an index's entry.
  const refused = failure.code === 'postgres_statement' && parts.some(({ code }) => /^(22|23|54)...$/.test(code));
  return refused ? 'data' : 'engine';
}

function reasonOf(error: unknown): { code: string; reason: string } {
  const failure = classifyStoreError(error);
  if (failure === null) return { code: 'event_invalid', reason: describeThrown(error) };
  return { code: failure.code, reason: `${FAILURES[failure.code].sentence} ${failure.detail}` };
}

const TIME = '2026-01-01T00:00:00.000Z';

/** Whether ClickHouse takes rows that nothing is wrong with, in each table. They are of a space that there is not. */
async function takesRows({ clickhouse }: LoadDeps): Promise<boolean> {
  const rows = noRows();
  rows.profiles.push(['probe', 1, 'probe', '', 0, 1]);
  rows.accounts.push(['probe', 1, 'probe', 1]);
  rows.account_members.push(['probe', 1, 1, 1]);
  rows.account_traits.push(['probe', 'probe', 1, '1', TIME, 1]);
  rows.profile_traits.push(['probe', 'probe', 1, '1', TIME, 1]);
  rows.events.push(['probe', 'track', 'probe', 1, TIME, TIME, 'probe', 'probe', '{}', '{}', '[]', 0]);
  try {
    await insertRows(clickhouse, rows, 'probe');
    return true;
  } catch {
    return false;
  }
}
