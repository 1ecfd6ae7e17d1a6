import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import {
  createClickHouse,
  createPool,
  migrateClickHouse,
  UNLIMITED,
  type ClickHouseClient,
  type PostgresPool,
} from '../../src/store/index.ts';
import { TEMPLATE } from './template.ts';

export interface TestPool {
  pool: PostgresPool;
  databaseUrl: string;
  /** Drops the database. Fails when a connection was not given back, or is still open elsewhere. */
  close(): Promise<void>;
}

export interface TestStores extends TestPool {
  clickhouse: ClickHouseClient;
  clickhouseUrl: string;
  temporalAddress: string;
}

/** A fresh PostgreSQL database with the newest schema, for one test file. */
export async function createTestPool(): Promise<TestPool> {
  const serverUrl = await addressOf('postgres');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const databaseUrl = withPath(serverUrl, name);
  await asAdmin(serverUrl, async (admin) => {
    // Two files that copy the template at the same moment: the second waits.
    await admin.query('select pg_advisory_lock(1)');
    await admin.query(`create database ${name} template ${TEMPLATE}`);
  });
  const pool = createPool({
    connectionString: databaseUrl,
    applicationName: 'trailmark-test',
    onError: (error) => console.error(error),
  });
  return {
    pool,
    databaseUrl,
    close: async () => {
      const { totalCount, idleCount } = pool;
      if (totalCount !== idleCount) {
        // pool.end() would wait for them for ever.
        await asAdmin(serverUrl, async (admin) => await admin.query(`drop database ${name} with (force)`));
        throw new Error(`${totalCount - idleCount} connections to PostgreSQL were not given back to the pool.`);
      }
      await pool.end();
      await asAdmin(serverUrl, async (admin) => await dropDatabase(admin, name));
    },
  };
}

/** Fresh databases with the newest schema in PostgreSQL and ClickHouse for one test file, and the address of Temporal. */
export async function createTestStores(): Promise<TestStores> {
  const [postgres, serverUrl, temporalAddress] = await Promise.all([
    createTestPool(),
    addressOf('clickhouse'),
    addressOf('temporal'),
  ]);
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const server = createClickHouse({ url: serverUrl, applicationName: 'trailmark-test' });
  await server.command({ query: `CREATE DATABASE ${name}` });
  const clickhouseUrl = withPath(serverUrl, name);
  const clickhouse = createClickHouse({ url: clickhouseUrl, applicationName: 'trailmark-test' });
  await migrateClickHouse(clickhouse, postgres.pool);
  return {
    ...postgres,
    clickhouse,
    clickhouseUrl,
    temporalAddress,
    close: async () => {
      await clickhouse.close();
      await server.command({ query: `DROP DATABASE ${name} SYNC` });
      await server.close();
      await postgres.close();
    },
  };
}

/**
 * The address of what all files of this run share: a URL of PostgreSQL or ClickHouse, host and port of Temporal, the file of the built
 * program, or that of the bundle of workflows. Made when it is first asked for.
 */
export async function addressOf(
  engine: 'postgres' | 'clickhouse' | 'temporal' | 'program' | 'workflows',
): Promise<string> {
  const response = await fetch(`${inject('engines')}/${engine}`);
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text;
}

async function dropDatabase(admin: PostgresPool, name: string): Promise<void> {
  const deadline = Date.now() + 3_000;
  for (;;) {
    const open = await admin.query<{ application_name: string; query: string }>(
      'select application_name, query from pg_stat_activity where datname = $1',
      [name],
    );
    if (open.rows.length === 0) break;
    if (Date.now() > deadline) {
      await admin.query(`drop database ${name} with (force)`);
      throw new Error(`Connections to PostgreSQL were left open: ${JSON.stringify(open.rows)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await admin.query(`drop database ${name} with (force)`);
}

/** One connection, so that what it locks ends with it. */
async function asAdmin(serverUrl: string, work: (admin: PostgresPool) => Promise<unknown>): Promise<void> {
  const admin = createPool({
    connectionString: serverUrl,
    applicationName: 'trailmark-test-admin',
    max: 1,
    // It waits for other files, which copy the template.
    limits: UNLIMITED,
    onError: (error) => console.error(error),
  });
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}

function withPath(address: string, path: string): string {
  const url = new URL(address);
  url.pathname = path;
  return url.href;
}
