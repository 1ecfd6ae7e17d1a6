import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction, onCommit } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';

let db: TestPool;

beforeAll(async () => {
  db = await createTestPool();
  await db.pool.query('create table things (id integer primary key deferrable initially deferred)');
});
afterAll(async () => await db?.close());

test('what waits for a commit is done after it, in order', async () => {
  const done: string[] = [];
  await inTransaction(db.pool, async (tx) => {
    onCommit(tx, () => done.push('first'));
    await tx.query('insert into things values (1)');
    onCommit(tx, () => done.push('second'));
    expect(done).toEqual([]);
  });
  expect(done).toEqual(['first', 'second']);
});

test('what waits for a commit is never done where that does not come', async () => {
  const done: string[] = [];
  const thrown = inTransaction(db.pool, async (tx) => {
    onCommit(tx, () => done.push('thrown'));
    await tx.query('select 1');
    throw new Error('no');
  });
  await expect(thrown).rejects.toThrow('no');
  const refused = inTransaction(db.pool, async (tx) => {
    await tx.query('insert into things values (2), (2)');
    onCommit(tx, () => done.push('refused by the commit itself'));
  });
  await expect(refused).rejects.toThrow('duplicate key');
  await inTransaction(db.pool, async (tx) => await tx.query('select 1'));
  expect(done).toEqual([]);
});

test('outside a transaction it is done at once, on a client that was in one too', async () => {
  const done: string[] = [];
  onCommit(db.pool, () => done.push('pool'));
  const client = await inTransaction(db.pool, async (tx) => {
    await tx.query('select 1');
    return tx;
  });
  onCommit(client, () => done.push('client'));
  expect(done).toEqual(['pool', 'client']);
});
