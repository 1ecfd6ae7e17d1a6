import { Hono } from 'hono';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ApiEnv } from '../../src/api/deps.ts';
import { answerError } from '../../src/api/answers/errors.ts';
import { createLogger } from '../../src/logger.ts';
import { createPool, inTransaction, type PostgresPool } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';

let postgres: TestPool;
beforeAll(async () => {
  postgres = await createTestPool();
});
afterAll(async () => {
  await postgres?.close();
});

/** What the API answers a request that does `work`. */
async function answer(work: () => Promise<unknown>): Promise<Response> {
  const api = new Hono<ApiEnv>();
  api.onError(answerError(createLogger({ level: 'silent', program: 'test' })));
  api.get('/', async (c) => c.json(await work()));
  return await api.request('/');
}

async function expectAgainLater(work: () => Promise<unknown>): Promise<void> {
  const response = await answer(work);
  expect(await response.json()).toMatchObject({ errors: [{ type: 'engine_unavailable', status: 503 }] });
  expect(response.status).toBe(503);
  expect(response.headers.get('retry-after')).toBe('1');
}

test('a connection that ended before its first statement is no fault of ours', async () => {
  // One connection, which the pool gives out while it is ending: the server is killed in that moment.
  const pool = new Proxy(postgres.pool, {
    get: (target, name: keyof PostgresPool) =>
      name === 'connect'
        ? async () => {
            const client = await target.connect();
            const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
            await target.query('select pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
            await sleep(100);
            return client;
          }
        : target[name],
  });
  await expectAgainLater(async () => await inTransaction(pool, async (tx) => await tx.query('select 1')));
});

test('nor is a server that refuses connections', async () => {
  const pool = createPool({
    connectionString: 'postgresql://a:b@127.0.0.1:9/c',
    applicationName: 'test',
    onError: () => undefined,
  });
  await expectAgainLater(async () => await pool.query('select 1'));
  await pool.end();
});

test('who lost a deadlock may try again', async () => {
  await postgres.pool.query('create table two (id integer primary key); insert into two values (1), (2)');
  // Each goes on once both have their first.
  let haveFirst = 0;
  let bothHave = (): void => undefined;
  const both = new Promise<void>((resolve) => {
    bothHave = resolve;
  });
  const lockBoth = async (first: number, second: number): Promise<void> => {
    await inTransaction(postgres.pool, async (tx) => {
      await tx.query('select from two where id = $1 for update', [first]);
      haveFirst += 1;
      if (haveFirst === 2) bothHave();
      await both;
      await tx.query('select from two where id = $1 for update', [second]);
    });
  };
  const ended = await Promise.allSettled([lockBoth(1, 2), lockBoth(2, 1)]);
  const lost = ended.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
  await expectAgainLater(async () => await Promise.reject(lost.reason as Error));
});

test('a statement that is wrong is a fault of ours', async () => {
  const response = await answer(async () => await postgres.pool.query('select nonsense'));
  expect(response.status).toBe(500);
});
