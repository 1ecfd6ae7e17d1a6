import type { Connection } from '@temporalio/client';
import { readdir } from 'node:fs/promises';
import { StartError } from '../../embedded/index.ts';
import { countQuarantined, noticeRestore } from '../../pipeline/index.ts';
import { createClickHouse, createPool, selectRows, type PostgresPool } from '../../store/index.ts';

const OLDEST_POSTGRES = 15;
const TIMEOUT_MS = 5_000;
const MIGRATIONS = new URL('../../../migrations/', import.meta.url);

/** What was found of a server: its version, and a sentence on what is missing in it, if anything. */
export interface Found {
  version: string;
  problem?: string;
}

/** Looks at a PostgreSQL server. Throws a StartError where it can't be used. */
export async function checkPostgres(databaseUrl: string): Promise<Found> {
  const where = placeOf(databaseUrl);
  try {
    return await withPool(databaseUrl, async (pool) => {
      const { rows } = await pool.query<{ version: string; number: number }>(
        `select current_setting('server_version') as version, current_setting('server_version_num')::int as number`,
      );
      const { version = '', number = 0 } = rows[0] ?? {};
      if (number < OLDEST_POSTGRES * 10_000) {
        throw new StartError(
          `PostgreSQL at ${where} is ${version}, and Trailmark needs ${OLDEST_POSTGRES} or later. Upgrade it, or unset DATABASE_URL to use the embedded one.`,
        );
      }
      const known = await pool
        .query<{ done: number }>('select count(*)::int as done from schema_migrations')
        .catch(onlyMissing('42P01', { rows: [{ done: 0 }] }));
      return { version, ...behind(known.rows[0]?.done ?? 0, await countMigrations('postgres')) };
    });
  } catch (error) {
    throw unreachable(error, `PostgreSQL at ${where}`, 'DATABASE_URL');
  }
}

/** Asks by one connection, which is closed afterwards. Throws what `ask` threw. */
async function withPool<T>(databaseUrl: string, ask: (pool: PostgresPool) => Promise<T>): Promise<T> {
  const pool = createPool({
    connectionString: databaseUrl,
    applicationName: 'trailmark-check',
    max: 1,
    onError: () => undefined,
  });
  try {
    return await ask(pool);
  } finally {
    await pool.end();
  }
}

/**
 * Looks at the tasks in a database: a sentence on those that can't go on, or undefined where all do. Throws what PostgreSQL threw,
 * also where the schema is not there yet.
 */
export async function checkTasks(databaseUrl: string): Promise<string | undefined> {
  return await withPool(databaseUrl, async (pool) => {
    // It brings Temporal's client, which is large, and a start looks at nothing of this.
    const { readUnrecorded } = await import('../../tasks/index.ts');
    const { count, oldestSeconds, example } = await readUnrecorded(pool);
    if (example === null) return undefined;
    const tasks = count === 1 ? '1 task does' : `${count} tasks do`;
    return `${tasks} not go on, because PostgreSQL refuses what is to be written of them: ${example.taskId} since ${Math.ceil(oldestSeconds / 60)} min, ${example.because}. They are tried again; bring the schema up to date (trailmark migrate), or report it`;
  });
}

/** A sentence on the events that could not be loaded, or undefined where there are none. Throws what PostgreSQL threw. */
export async function checkQuarantine(databaseUrl: string): Promise<string | undefined> {
  return await withPool(databaseUrl, async (pool) => {
    const { events, oldestSeconds } = await countQuarantined(pool);
    if (events === 0) return undefined;
    return `${events} ${events === 1 ? 'event' : 'events'} could not be loaded and ${events === 1 ? 'is' : 'are'} put aside, for up to ${Math.ceil(oldestSeconds / 60)} min: trailmark quarantine list says why, trailmark quarantine redrive loads them again`;
  });
}

/** A sentence on a database that was restored from a dump, which is written down with it, or undefined. Throws what PostgreSQL threw. */
export async function checkRestore(databaseUrl: string): Promise<string | undefined> {
  return await withPool(databaseUrl, noticeRestore);
}

/** Looks at a ClickHouse server. Throws a StartError where it can't be used. */
export async function checkClickHouse(clickhouseUrl: string): Promise<Found> {
  const clickhouse = createClickHouse({
    url: clickhouseUrl,
    applicationName: 'trailmark-check',
    requestTimeoutMs: TIMEOUT_MS,
  });
  try {
    const [row] = await selectRows<{ version: string }>(clickhouse, 'SELECT version() AS version');
    const known = await selectRows<{ done: number }>(
      clickhouse,
      'SELECT toUInt32(uniqExact(version)) AS done FROM schema_migrations',
    ).catch(onlyMissing('60', [{ done: 0 }]));
    return { version: row?.version ?? '', ...behind(known[0]?.done ?? 0, await countMigrations('clickhouse')) };
  } catch (error) {
    throw unreachable(error, `ClickHouse at ${placeOf(clickhouseUrl)}`, 'CLICKHOUSE_URL');
  } finally {
    await clickhouse.close();
  }
}

/** Looks at a Temporal server. Throws a StartError where it can't be used. */
export async function checkTemporal(address: string, namespace: string): Promise<Found> {
  const what = `Temporal at ${address}`;
  // Its client is large, and a start with its own engines never looks.
  const { Connection: TemporalConnection } = await import('@temporalio/client');
  let connection: Connection;
  try {
    connection = await TemporalConnection.connect({ address, connectTimeout: TIMEOUT_MS });
  } catch (error) {
    throw unreachable(error, what, 'TEMPORAL_ADDRESS');
  }
  try {
    const { serverVersion } = await connection.workflowService.getSystemInfo({});
    await connection.workflowService.describeNamespace({ namespace });
    return { version: serverVersion ?? 'unknown' };
  } catch (error) {
    // NOT_FOUND of gRPC
    if ((error as { code?: number }).code !== 5) throw unreachable(error, what, 'TEMPORAL_ADDRESS');
    throw new StartError(
      `${what} has no namespace ${namespace}. Make it (temporal operator namespace create --namespace ${namespace}), or set TEMPORAL_NAMESPACE.`,
      { cause: error },
    );
  } finally {
    await connection.close();
  }
}

/** What a table that is not there yet counts for, by the code that says so. Any other error is one. */
function onlyMissing<T>(code: string, instead: T): (error: unknown) => T {
  return (error) => {
    if ((error as { code?: unknown }).code === code) return instead;
    throw error;
  };
}

/** host:port/database of a URL: what may be shown of it. */
function placeOf(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname === '/' ? '' : pathname}`;
}

function unreachable(error: unknown, what: string, variable: string): unknown {
  if (error instanceof StartError) return error;
  const { message, code, errors } = error as { message?: string; code?: unknown; errors?: { message: string }[] };
  const reason = message || errors?.[0]?.message || String(code);
  return new StartError(`${what} can't be used: ${reason.trim()}. Start it, or correct ${variable}.`, { cause: error });
}

async function countMigrations(engine: string): Promise<number> {
  return (await readdir(new URL(`${engine}/`, MIGRATIONS))).filter((name) => name.endsWith('.sql')).length;
}

function behind(done: number, all: number): { problem?: string } {
  if (done === all) return {};
  return {
    problem:
      done < all
        ? `its schema is at migration ${done} of ${all}: run trailmark migrate (start does it by itself)`
        : `its schema is at migration ${done}, and this Trailmark knows ${all}: use the newer Trailmark that was here`,
  };
}
