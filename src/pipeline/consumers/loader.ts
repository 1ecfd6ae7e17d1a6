import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '../../logger.ts';
import type { ClickHouseClient, PostgresPool } from '../../store/index.ts';
import {
  acquireLease,
  LeaseLostError,
  readLeased,
  releaseLease,
  renewLease,
  writeClaim,
  type Claim,
  type ConsumerState,
} from './consumer-lease.ts';
import { clearUndo } from './consumer-isolation.ts';
import { noticeRestore } from '../log/restore.ts';
import { isolateFailure } from './isolate.ts';
import { undoLoad } from './undo-load.ts';
import { DEFAULT_BLOCKED_IDS } from '../identity/blocked-ids.ts';
import { readBlockedIds } from '../identity/space-blocked-ids.ts';
import { loadBatch, type LoadDeps } from './load-batch.ts';
import { readLog, type BatchLimits, type LogRow } from '../log/read-log.ts';
import { trimEventLog } from '../log/trim-event-log.ts';

export interface LoaderDeps {
  pool: PostgresPool;
  clickhouse: ClickHouseClient;
  logger: Logger;
}

export interface LoaderOptions extends Partial<BatchLimits> {
  /** How long another process waits for one that has died. */
  leaseMs?: number;
  /** How long it gathers events where there are few: each load makes new parts in ClickHouse. */
  pollMs?: number;
}

interface LoadResult {
  /** Rows of the event log that were loaded. */
  rows: number;
  /** There is probably more. */
  full: boolean;
  /** False where another process holds the lease, and this one has to wait. */
  leased: boolean;
}

export interface Loader {
  /** Loads what one batch holds. Throws what an engine throws: the range stays claimed, and is loaded by the next call. */
  loadOnce(): Promise<LoadResult>;
  /** Loads on and on until `signal` is aborted; the batch in hand is finished. */
  run(signal: AbortSignal): Promise<void>;
}

/** The name of the loader among the consumers of the event log. */
export const LOADER = 'clickhouse';

const MAX_BACKOFF_MS = 10_000;
const TRIM_EVERY_MS = 10 * 60_000;

/** The consumer of the event log that fills ClickHouse. Any number of processes may run one; one of them loads. */
export function createLoader(deps: LoaderDeps, options: LoaderOptions = {}): Loader {
  const limits: BatchLimits = {
    maxRows: options.maxRows ?? 10_000,
    // An event may be all traits, each of which becomes a row: this many characters are up to half a million of them.
    maxChars: options.maxChars ?? 4 * 1024 * 1024,
  };
  const pollMs = options.pollMs ?? 250;
  const lease = { consumer: LOADER, owner: randomUUID(), leaseMs: options.leaseMs ?? 5_000 };
  const loadDeps: LoadDeps = { pool: deps.pool, clickhouse: deps.clickhouse, ...lease };

  let renewAt = 0;

  async function loadOnce(): Promise<LoadResult> {
    const state = await readState();
    if (state === null) return { rows: 0, full: false, leased: false };
    const timer = setInterval(() => {
      // Where this fails, the lease ends, and the commit says so.
      void renewLease(deps.pool, lease).catch(() => false);
    }, lease.leaseMs / 3);
    try {
      if (state.undo.length > 0) {
        for (const spent of state.undo) await undoLoad(deps.pool, deps.clickhouse, spent);
        await clearUndo(deps.pool, { ...lease, state });
      }
      const range = await cutRange(state);
      if (range === null) return { rows: 0, full: false, leased: true };
      try {
        await loadBatch(loadDeps, state, range.claim, range.rows);
      } catch (error) {
        await isolateFailure({ ...loadDeps, logger: deps.logger }, { state, ...range, error });
        return { rows: 0, full: true, leased: true };
      }
      return { rows: range.rows.length, full: range.full, leased: true };
    } finally {
      clearInterval(timer);
    }
  }

  /** The consumer's state under our lease, which is renewed only when half of it is gone: an idle loader hardly writes. */
  async function readState(): Promise<ConsumerState | null> {
    const now = performance.now();
    if (now < renewAt) {
      try {
        return await readLeased(deps.pool, lease);
      } catch (error) {
        if (!(error instanceof LeaseLostError)) throw error;
      }
    }
    await noticeRestore(deps.pool);
    const state = await acquireLease(deps.pool, lease);
    renewAt = state === null ? 0 : now + lease.leaseMs / 2;
    return state;
  }

  /** The range that a former try left, or a new one, which is written down before anything comes of it. */
  async function cutRange(state: ConsumerState): Promise<{ claim: Claim; rows: LogRow[]; full: boolean } | null> {
    if (state.claim !== null) {
      const { rows } = await readLog(deps.pool, { after: state.last, end: state.claim.end, limits });
      return { claim: state.claim, rows, full: true };
    }
    const maxRows = Math.min(limits.maxRows, state.cutRows ?? limits.maxRows);
    const { rows, full } = await readLog(deps.pool, { after: state.last, limits: { ...limits, maxRows } });
    const end = rows.at(-1);
    if (end === undefined) return null;
    const claim: Claim = {
      end: { xid: end.xid, position: end.position },
      ...(await readTargets(deps.pool, [...new Set(rows.map((row) => row.source_id))])),
    };
    await writeClaim(deps.pool, { ...lease, last: state.last, claim });
    return { claim, rows, full };
  }

  async function run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    let trimAt = Date.now() + TRIM_EVERY_MS;
    while (!signal.aborted) {
      let pauseMs = pollMs;
      try {
        const { rows, full, leased } = await loadOnce();
        failures = 0;
        if (rows > 0) deps.logger.debug({ rows }, 'events loaded');
        if (full) continue;
        if (!leased) pauseMs = Math.max(pollMs, lease.leaseMs / 4);
        else if (Date.now() > trimAt) {
          trimAt = Date.now() + TRIM_EVERY_MS;
          const trimmed = await trimEventLog(deps.pool);
          if (trimmed > 0) deps.logger.info({ rows: trimmed }, 'event log trimmed');
        }
      } catch (error) {
        failures += 1;
        pauseMs = Math.min(pollMs * 2 ** failures, MAX_BACKOFF_MS);
        const lost = error instanceof LeaseLostError;
        deps.logger[lost ? 'info' : 'error'](
          { err: error },
          lost ? 'loading is another process now' : 'events were not loaded; tried again',
        );
      }
      await wait(pauseMs, undefined, { signal }).catch(() => undefined);
    }
    await releaseLease(deps.pool, lease).catch((error: unknown) => {
      deps.logger.warn({ err: error }, 'the lease was not given back; it ends by itself');
    });
  }

  return { loadOnce, run };
}

/** Where the events of sources go, and which ids identify nobody there. */
async function readTargets(pool: PostgresPool, sourceIds: string[]): Promise<Pick<Claim, 'spaces' | 'blockedIds'>> {
  const { rows } = await pool.query<{ source_id: string; space_ids: string[] }>(
    `select source_id, array_agg(space_id order by space_id) as space_ids
     from space_sources where source_id = any($1) group by source_id`,
    [sourceIds],
  );
  const own = await readBlockedIds(pool, [...new Set(rows.flatMap((row) => row.space_ids))]);
  return {
    spaces: Object.fromEntries(rows.map((row) => [row.source_id, row.space_ids])),
    blockedIds: { default: DEFAULT_BLOCKED_IDS, spaces: Object.fromEntries(own) },
  };
}
