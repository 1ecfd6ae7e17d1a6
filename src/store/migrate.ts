import { readdir, readFile } from 'node:fs/promises';
import type { ClickHouseClient } from './clickhouse.ts';
import { inTransaction, type PostgresPool } from './postgres.ts';

const MIGRATIONS = new URL('../../migrations/', import.meta.url);
// Any constant will do, as long as every trailmark process uses the same one.
const MIGRATION_LOCK = 5_275_309;

interface Migration {
  version: number;
  name: string;
  sql: string;
}

async function readMigrations(engine: 'postgres' | 'clickhouse'): Promise<Migration[]> {
  const folder = new URL(`${engine}/`, MIGRATIONS);
  const names = (await readdir(folder)).filter((name) => /^\d{6}_.+\.sql$/.test(name)).sort();
  return await Promise.all(
    names.map(async (name) => ({
      version: Number(name.slice(0, 6)),
      name,
      sql: await readFile(new URL(name, folder), 'utf8'),
    })),
  );
}

/** Brings PostgreSQL to the newest schema, one transaction a migration. Safe to run from several processes at once. */
export async function migratePostgres(pool: PostgresPool): Promise<string[]> {
  const applied: string[] = [];
  await pool
    .query(
      'create table if not exists schema_migrations (version integer primary key, name text not null, applied_at timestamptz not null default now())',
    )
    .catch((error: { code?: string }) => {
      // Two processes creating the table at the same moment: one of them loses on pg_type's unique index.
      if (error.code !== '23505') throw error;
    });
  for (const migration of await readMigrations('postgres')) {
    await inTransaction(pool, async (tx) => {
      await tx.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
      const inserted = await tx.query(
        'insert into schema_migrations (version, name) values ($1, $2) on conflict do nothing',
        [migration.version, migration.name],
      );
      if (inserted.rowCount === 0) return;
      await tx.query(migration.sql);
      applied.push(migration.name);
    });
  }
  return applied;
}

/**
 * Brings ClickHouse to the newest schema. ClickHouse has no transactions, so PostgreSQL's lock and version row guard it:
 * statements are `create … if not exists` by rewriting, so a migration that died half way runs again from its start.
 */
export async function migrateClickHouse(clickhouse: ClickHouseClient, pool: PostgresPool): Promise<string[]> {
  const applied: string[] = [];
  const lock = await pool.connect();
  try {
    await lock.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await clickhouse.command({
      query:
        'CREATE TABLE IF NOT EXISTS schema_migrations (version UInt32, name String, applied_at DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY version',
    });
    const result = await clickhouse.query({
      query: 'SELECT DISTINCT version FROM schema_migrations',
      format: 'JSONEachRow',
    });
    const done = new Set((await result.json<{ version: number }>()).map((row) => row.version));
    for (const migration of await readMigrations('clickhouse')) {
      if (done.has(migration.version)) continue;
      for (const statement of splitStatements(migration.sql)) {
        await clickhouse.command({
          query: statement.replace(/^CREATE TABLE (?!IF NOT EXISTS)/, 'CREATE TABLE IF NOT EXISTS '),
        });
      }
      await clickhouse.insert({
        table: 'schema_migrations',
        values: [{ version: migration.version, name: migration.name }],
        format: 'JSONEachRow',
      });
      applied.push(migration.name);
    }
  } finally {
    await lock.query('select pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => undefined);
    lock.release();
  }
  return applied;
}

/** Our own migration files keep to this: a statement ends with a semicolon at the end of a line, a comment has its own line. */
function splitStatements(sql: string): string[] {
  return sql
    .replace(/^\s*--.*$/gm, '')
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}
