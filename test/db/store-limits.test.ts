import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  allowStatements,
  classifyStoreError,
  createPool,
  inTransaction,
  UNLIMITED,
  type PoolLimits,
  type PostgresPool,
} from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';

let stores: TestPool;

beforeAll(async () => {
  stores = await createTestPool();
  await stores.pool.query('create table held (id integer); insert into held values (1)');
});
afterAll(async () => {
  await stores?.close();
});

async function withPool<T>(limits: Partial<PoolLimits> | undefined, work: (pool: PostgresPool) => Promise<T>) {
  const pool = createPool({
    connectionString: stores.databaseUrl,
    applicationName: 'trailmark-test',
    onError: () => undefined,
    ...(limits === undefined ? {} : { limits }),
  });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error === undefined ? 'nothing' : classifyStoreError(error)?.code;
}

const SETTINGS = `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
  current_setting('idle_in_transaction_session_timeout') as idle`;

describe('a pool', () => {
  test('has limits, and one for migrations has none', async () => {
    const read = async (pool: PostgresPool) => (await pool.query(SETTINGS)).rows[0] as unknown;
    expect(await withPool(undefined, read)).toEqual({ statement: '1min', lock: '15s', idle: '1min' });
    expect(await withPool(UNLIMITED, read)).toEqual({ statement: '0', lock: '0', idle: '0' });
  });

  test('ends a statement that takes too long, as busy, unless it was allowed to', async () => {
    await withPool({ statementMs: 200 }, async (pool) => {
      expect(await codeOf(pool.query('select pg_sleep(5)'))).toBe('postgres_contention');
      await inTransaction(pool, async (tx) => {
        await allowStatements(tx, 60_000);
        await tx.query('select pg_sleep(0.5)');
      });
      // For that transaction alone.
      expect(await codeOf(pool.query('select pg_sleep(5)'))).toBe('postgres_contention');
    });
  });

  test('gives up a PostgreSQL that is frozen, as away, and takes another connection when it is back', async () => {
    await withPool({ answerMs: 300 }, async (pool) => {
      for (const kind of ['a statement', 'a transaction']) {
        const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
        const pid = rows[0]?.pid ?? 0;
        process.kill(pid, 'SIGSTOP');
        try {
          const code = await codeOf(
            kind === 'a statement'
              ? pool.query('select 1')
              : inTransaction(pool, async (tx) => await tx.query('select 1')),
          );
          expect([kind, code]).toEqual([kind, 'postgres_unavailable']);
        } finally {
          process.kill(pid, 'SIGCONT');
        }
        const again = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
        expect(again.rows[0]?.pid).not.toBe(pid);
      }
      // What was allowed to take longer may, and only that.
      await inTransaction(pool, async (tx) => {
        await allowStatements(tx, 60_000);
        await tx.query('select pg_sleep(0.5)');
      });
      expect(await codeOf(pool.query('select pg_sleep(1)'))).toBe('postgres_unavailable');
    });
  });

  test('waits for no lock for ever, and says that it is busy', async () => {
    await inTransaction(stores.pool, async (holder) => {
      await holder.query('select from held for update');
      await withPool({ lockMs: 100 }, async (pool) => {
        expect(await codeOf(pool.query('update held set id = 2'))).toBe('postgres_contention');
      });
    });
  });

  test('gives back the connection and the locks of a transaction in which nothing happens', async () => {
    await withPool({ idleInTransactionMs: 200 }, async (pool) => {
      const forgotten = inTransaction(pool, async (tx) => {
        await tx.query('select from held for update');
        await wait(1_000);
        await tx.query('select 1');
      });
      const code = codeOf(forgotten);
      await wait(600);
      // The lock is free before the one who forgot it has noticed.
      expect((await stores.pool.query('update held set id = 3')).rowCount).toBe(1);
      expect(['postgres_contention', 'postgres_unavailable']).toContain(await code);
      expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    });
  });
});
