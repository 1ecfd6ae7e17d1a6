import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { createClickHouse, createPool, inTransaction, selectRows } from '../../src/store/index.ts';
import { classifyError } from '../../src/tasks/index.ts';

let postgres: TestPool;

beforeAll(async () => {
  postgres = await createTestPool();
});
afterAll(async () => {
  await postgres?.close();
});

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    return classifyError(error).code;
  }
  return 'nothing failed';
}

/** Ends the server's side of a connection, as a restart of the server does. */
async function terminate(pid: number): Promise<void> {
  await postgres.pool.query('select pg_terminate_backend($1, 5000)', [pid]);
}

describe('a store that goes away', () => {
  test('a transaction whose connection ends between two statements fails as postgres_unavailable, and nothing dies of it', async () => {
    const code = await codeOf(async () => {
      await inTransaction(postgres.pool, async (tx) => {
        const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
        await terminate(rows[0]?.pid ?? 0);
        // Time for the client to hear of it while no statement is under way.
        await new Promise((resolve) => setTimeout(resolve, 100));
        await tx.query('select 1');
      });
    });
    expect(code).toBe('postgres_unavailable');
    expect((await postgres.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('a statement that is under way when its connection ends', async () => {
    const code = await codeOf(async () => {
      await inTransaction(postgres.pool, async (tx) => {
        const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
        const sleeping = tx.query('select pg_sleep(30)');
        sleeping.catch(() => undefined);
        await terminate(rows[0]?.pid ?? 0);
        await sleeping;
      });
    });
    expect(code).toBe('postgres_unavailable');
  });

  test.each(['127.0.0.1', 'localhost'])('a PostgreSQL that does not listen on %s', async (host) => {
    const pool = createPool({
      connectionString: `postgres://nobody@${host}:9/none`,
      applicationName: 'test',
      onError: () => undefined,
    });
    expect(await codeOf(async () => await pool.query('select 1'))).toBe('postgres_unavailable');
    expect(await codeOf(async () => await inTransaction(pool, async (tx) => await tx.query('select 1')))).toBe(
      'postgres_unavailable',
    );
    await pool.end();
  });

  test.each(['127.0.0.1', 'localhost'])('a ClickHouse that does not listen on %s', async (host) => {
    const clickhouse = createClickHouse({ url: `http://${host}:9`, applicationName: 'test' });
    expect(await codeOf(async () => await selectRows(clickhouse, 'SELECT 1'))).toBe('clickhouse_unavailable');
    expect(await codeOf(async () => await clickhouse.command({ query: 'SELECT 1' }))).toBe('clickhouse_unavailable');
    expect(
      await codeOf(
        async () => await clickhouse.insert({ table: 'baselines', values: [{ a: 1 }], format: 'JSONEachRow' }),
      ),
    ).toBe('clickhouse_unavailable');
    await clickhouse.close();
  });
});
