import type { ClickHouseClient, PostgresPool, Queryable } from '../../store/index.ts';
import { inTransaction } from '../../store/index.ts';
import {
  addEventRows,
  addIdentityRows,
  LOADED_TABLES,
  noRows,
  type ClickHouseRows,
  type LoadedTable,
} from './clickhouse-rows.ts';
import {
  finishClaim,
  LeaseLostError,
  readLeased,
  type Claim,
  type ConsumerState,
  type LogPlace,
} from './consumer-lease.ts';
import { countWarnings, type PlacedWarning } from '../ingest/count-warnings.ts';
import { createIdFilter, NO_ID_FILTER, usableIds, warningsOf, type IdFilter } from '../identity/blocked-ids.ts';
import { readIdentity, type SpaceMessage } from '../identity/read-identity.ts';
import { collectChanges, writeIdentity, type IdentityBatch } from '../identity/write-identity.ts';
import { UnloadableEventError } from '../log/check-log-event.ts';
import { quarantineEvents, type UnloadableEvent } from './quarantine.ts';
import { describeThrown } from '../../thrown.ts';
import { readLogEvent, type ReadLogEvent } from '../log/log-event.ts';
import type { LogRow } from '../log/read-log.ts';

export interface LoadDeps {
  pool: PostgresPool;
  clickhouse: ClickHouseClient;
  consumer: string;
  owner: string;
  leaseMs: number;
}

// The client makes one text of it: this is some tens of megabytes at most, and hardly ever reached.
const INSERT_ROWS = 50_000;

interface SpaceEvent extends ReadLogEvent {
  /** By its ids that identify somebody in the space. */
  message: SpaceMessage;
  sourceId: string;
  ordinal: number;
}

/**
 * Loads one claimed range: reads who is who, puts the rows into ClickHouse, then writes who is who and moves the offset in
 * one transaction. Whoever does the same range again reads the same and writes the same, because nothing of PostgreSQL has
 * changed until that transaction; ClickHouse knows the inserts by their token. Throws LeaseLostError.
 */
export async function loadBatch(
  deps: LoadDeps,
  state: ConsumerState,
  claim: Claim,
  logRows: readonly LogRow[],
): Promise<void> {
  const { spaces, warnings, unloadable } = spreadOverSpaces(logRows, claim, state.loadedRows);
  const { rows, identity } = await prepare(deps, state, spaces);
  await insertRows(deps.clickhouse, rows, rangeOf(state, claim.end));
  await inTransaction(deps.pool, async (tx) => {
    await finishClaim(tx, { ...deps, last: state.last, claim, rows: logRows.length });
    await writeIdentity(tx, identity);
    await countWarnings(tx, warnings);
    await quarantineEvents(tx, unloadable);
  });
}

/** The events of each space, in the log's order: an event goes into every space that its source is connected to. */
function spreadOverSpaces(
  logRows: readonly LogRow[],
  claim: Claim,
  loadedRows: number,
): { spaces: Map<string, SpaceEvent[]>; warnings: PlacedWarning[]; unloadable: UnloadableEvent[] } {
  const spaces = new Map<string, SpaceEvent[]>();
  const warnings: PlacedWarning[] = [];
  const unloadable: UnloadableEvent[] = [];
  const filterOf = createFilters(claim.blockedIds);
  for (const [index, row] of logRows.entries()) {
    const targets = claim.spaces[row.source_id];
    if (targets === undefined) continue;
    const read = readRow(row);
    if ('reason' in read) {
      unloadable.push(read);
      continue;
    }
    const { messageId, receivedAt } = read.event;
    const sourceId = row.source_id;
    warnings.push(...read.warnings.map((warning) => ({ sourceId, spaceId: '', messageId, receivedAt, warning })));
    for (const spaceId of targets) {
      const ids = usableIds(read.event, filterOf(spaceId));
      const blocked = warningsOf(read.event, ids);
      warnings.push(...blocked.map((warning) => ({ sourceId, spaceId, messageId, receivedAt, warning })));
      // It identifies nobody here.
      if (ids.message === null) continue;
      const spaceEvent: SpaceEvent = {
        event: read.event,
        warnings: [...read.warnings, ...blocked],
        message: ids.message,
        sourceId,
        ordinal: loadedRows + index + 1,
      };
      const events = spaces.get(spaceId);
      if (events === undefined) spaces.set(spaceId, [spaceEvent]);
      else events.push(spaceEvent);
    }
  }
  return { spaces, warnings, unloadable };
}

/** The event of a row, or why it can't be loaded: then it is put aside, and the rest of its range goes on. */
function readRow(row: LogRow): ReadLogEvent | UnloadableEvent {
  try {
    return readLogEvent(row.event);
  } catch (error) {
    const reason = error instanceof UnloadableEventError ? error.message : describeThrown(error);
    return { xid: row.xid, position: row.position, code: 'event_invalid', reason };
  }
}

/** The filter of each space, by the lists of the claim: made once, when the first event needs it. */
function createFilters(lists: Claim['blockedIds']): (spaceId: string) => IdFilter {
  if (lists === null) return () => NO_ID_FILTER;
  const common = createIdFilter(lists.default);
  const own = new Map(Object.entries(lists.spaces).map(([spaceId, values]) => [spaceId, createIdFilter(values)]));
  return (spaceId) => own.get(spaceId) ?? common;
}

/**
 * One snapshot of PostgreSQL, and a check that it is the one before this range: a process that was stopped in the middle
 * and comes back after another has gone on must not compute with what it finds then.
 */
async function prepare(
  deps: LoadDeps,
  state: ConsumerState,
  spaces: Map<string, SpaceEvent[]>,
): Promise<{ rows: ClickHouseRows; identity: IdentityBatch }> {
  return await inTransaction(deps.pool, async (tx) => {
    await tx.query('set transaction isolation level repeatable read, read only');
    const now = await readLeased(tx, deps);
    if (now.loadedBatches !== state.loadedBatches) throw new LeaseLostError('the range was loaded by another');
    return await resolve(tx, state, spaces);
  });
}

async function resolve(
  tx: Queryable,
  state: ConsumerState,
  spaces: Map<string, SpaceEvent[]>,
): Promise<{ rows: ClickHouseRows; identity: IdentityBatch }> {
  const messages = new Map([...spaces].map(([spaceId, events]) => [spaceId, events.map(({ message }) => message)]));
  const states = await readIdentity(tx, messages);
  const rows = noRows();
  const batch = state.loadedBatches + 1;
  for (const [spaceId, events] of spaces) {
    const known = states.get(spaceId);
    // The space was deleted meanwhile.
    if (known === undefined) continue;
    for (const { event, message, warnings, sourceId, ordinal } of events) {
      const profile = known.identity.resolve(message);
      const account = message.type === 'group' && message.groupId ? known.accounts.resolve(message.groupId) : null;
      addEventRows(rows, { spaceId, sourceId, profile, account, ordinal, batch, event, warnings });
    }
  }
  const identity = await collectChanges(tx, states);
  addIdentityRows(rows, identity, batch);
  return { rows, identity };
}

/** Puts rows into ClickHouse, table by table. A second time with the same rows and the same name of their range changes nothing. */
export async function insertRows(clickhouse: ClickHouseClient, rows: ClickHouseRows, range: string): Promise<void> {
  for (const [table, columns] of Object.entries(LOADED_TABLES)) {
    const all = rows[table as LoadedTable];
    for (let at = 0; at < all.length; at += INSERT_ROWS) {
      await clickhouse.insert({
        table,
        columns: [...columns],
        values: all.slice(at, at + INSERT_ROWS),
        format: 'JSONCompactEachRow',
        clickhouse_settings: {
          insert_deduplicate: 1,
          insert_deduplication_token: `${table} ${range} ${at}`,
          // One block in each partition: a token names a block.
          input_format_parallel_parsing: 0,
          async_insert: 0,
          wait_end_of_query: 1,
        },
      });
    }
  }
}

function rangeOf({ last, epoch }: ConsumerState, end: LogPlace): string {
  return `${epoch === 0 ? '' : `${epoch}:`}${last.xid}/${last.position}..${end.xid}/${end.position}`;
}
