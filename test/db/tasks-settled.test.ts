import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { selectRows } from '../../src/store/index.ts';
import { foldForgotten, foldSettled } from '../../src/tasks/steps/sync/settled-ranges.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { addAudience, addPeople, addRun, connectWebhook, createWorld, type World } from '../helpers/world.ts';
import { tasksOn, type Tasks } from './tasks-world.ts';

let stores: TestStores;
let tasks: Tasks;
let receiver: Receiver;
let world: World;

beforeAll(async () => {
  stores = await createTestStores();
  receiver = await startReceiver();
  tasks = tasksOn(stores.pool, stores.clickhouse);
});
beforeEach(async () => {
  world = await createWorld(stores.pool);
  receiver.requests.length = 0;
  receiver.accepted.length = 0;
  receiver.behave(() => undefined);
});
afterAll(async () => {
  await receiver?.close();
  await stores?.close();
});

/** An audience of so many people, connected, with its sync at `deliver`; five changes a batch. */
async function addSync(people: number, batchSize = 10) {
  await addPeople(stores.clickhouse, world, people);
  const computationId = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
  const { connectionId } = await connectWebhook(stores.pool, world, computationId, receiver.url, batchSize);
  const [syncId = ''] = await tasks.execute(await addRun(stores.pool, world, computationId));
  await tasks.begin(syncId);
  for (const step of ['prepare', 'extract'] as const) await tasks.step(syncId, 1, step);
  return { computationId, connectionId, syncId };
}

/** What is noted and not in the baseline yet. */
async function noted(connectionId: string): Promise<string[]> {
  const { rows } = await stores.pool.query<{ first_idx: number; end_idx: number; whole: boolean }>(
    'select first_idx, end_idx, whole from settled_ranges where connection_id = $1 order by first_idx',
    [connectionId],
  );
  return rows.map((row) => `${row.first_idx}..${row.end_idx}${row.whole ? '' : ' in part'}`);
}

async function baseline(connectionId: string): Promise<Record<number, string>> {
  const rows = await selectRows<{ profile: number; value: string }>(
    stores.clickhouse,
    'SELECT profile, value FROM baselines FINAL WHERE connection_id = {id:String} ORDER BY profile',
    { id: connectionId },
  );
  return Object.fromEntries(rows.map(({ profile, value }) => [profile, value]));
}

const fold = async (connectionId: string) =>
  await foldSettled(stores.pool, { clickhouse: stores.clickhouse }, connectionId);

test('batches are noted as one range that grows, and are in the baseline when the step is over', async () => {
  const { syncId, connectionId } = await addSync(23);
  receiver.behave(({ number }) => (number === 4 ? { status: 503 } : undefined));
  await expect(tasks.step(syncId, 1, 'deliver')).rejects.toMatchObject({ code: 'destination_unavailable' });
  expect(await noted(connectionId)).toEqual(['0..15']);
  expect(await baseline(connectionId), 'nothing is copied batch by batch').toEqual({});

  receiver.behave(() => undefined);
  await tasks.fail(syncId, 1);
  await tasks.begin(syncId);
  await tasks.step(syncId, 2, 'deliver');
  expect(await noted(connectionId)).toEqual([]);
  expect(Object.keys(await baseline(connectionId))).toHaveLength(23);
});

test('what was refused is not in the baseline, and what was taken in part is unknown there', async () => {
  const { syncId, connectionId } = await addSync(9, 10);
  await stores.pool.query(
    `update subscriptions set trigger = 'type = "track" or type = "identify"'
     where destination_id = (select destination_id from connections where id = $1)`,
    [connectionId],
  );
  const refuses =
    (type: string, userId: string) =>
    ({ messages }: { messages: { type?: string; userId?: string }[] }) =>
      messages.some((message) => message.userId === userId && message.type === type);
  const [track3, identify3, identify7] = [
    refuses('track', 'user-3'),
    refuses('identify', 'user-3'),
    refuses('identify', 'user-7'),
  ];
  receiver.behave((request) =>
    track3(request) || identify3(request) || identify7(request) ? { status: 400 } : undefined,
  );
  await tasks.step(syncId, 1, 'deliver');
  const told = await baseline(connectionId);
  expect(Object.keys(told).map(Number)).toEqual([1, 2, 4, 5, 6, 7, 8, 9]);
  expect(told[7]).toBe('?');
  expect(told[6]).toBe('true');
});

test('thousands of ranges are put there, and each of them exactly', async () => {
  const { syncId, connectionId } = await addSync(4_200);
  const { rows } = await stores.pool.query<{ id: number }>(
    `select (output ->> 'extractId')::bigint as id from steps where task_id = $1 and name = 'extract'`,
    [syncId],
  );
  // Every third change was refused: 1,400 ranges of two.
  await stores.pool.query(
    `insert into settled_ranges (connection_id, extract_id, first_idx, end_idx, whole)
     select $1, $2, n * 3, n * 3 + 2, true from generate_series(0, 1399) as n`,
    [connectionId, rows[0]?.id],
  );
  await fold(connectionId);
  expect(await noted(connectionId)).toEqual([]);
  const profiles = Object.keys(await baseline(connectionId)).map(Number);
  expect(profiles).toEqual(Array.from({ length: 4_200 }, (_, idx) => idx + 1).filter((profile) => profile % 3 !== 0));
});

test('what a given-up sync left is put there before the next one compares, or by a clean-up a day later', async () => {
  const { syncId, connectionId, computationId } = await addSync(12);
  receiver.behave(({ number }) => (number === 2 ? { status: 503 } : undefined));
  await expect(tasks.step(syncId, 1, 'deliver')).rejects.toThrow();
  const clean = async () => await foldForgotten(stores.pool, { clickhouse: stores.clickhouse });
  await stores.pool.query(`update settled_ranges set created_at = now() - interval '2 days'`);
  await clean();
  expect(await noted(connectionId), 'its sync goes on').toEqual(['0..5']);

  await stores.pool.query(`update tasks set status = 'cancelled', ended_at = now() where id = $1`, [syncId]);
  await stores.pool.query('update settled_ranges set created_at = now()');
  await clean();
  expect(await noted(connectionId), 'it is not old').toEqual(['0..5']);
  await stores.pool.query(`update settled_ranges set created_at = now() - interval '2 days'`);
  await clean();
  expect(await noted(connectionId)).toEqual([]);

  receiver.behave(() => undefined);
  receiver.requests.length = 0;
  const [nextId = ''] = await tasks.execute(await addRun(stores.pool, world, computationId));
  await tasks.execute(nextId);
  const sent = receiver.requests.flatMap(({ messages }) => messages.map(({ userId }) => Number(userId?.slice(5))));
  expect(sent.toSorted((a, b) => a - b)).toEqual([6, 7, 8, 9, 10, 11, 12]);
});

/** Begins to deliver, and changes the task under a lock while the first batch is at the receiver; commits after `heldMs`. */
async function deliverBehindLock(syncId: string, heldMs: number, change: string): Promise<{ step: Promise<unknown> }> {
  receiver.behave(({ number }) => (number === 1 ? { delayMs: 300 } : undefined));
  const step = tasks.step(syncId, 1, 'deliver');
  step.catch(() => undefined);
  await receiver.received(({ number }) => number === 1);
  const holder = await stores.pool.connect();
  try {
    await holder.query('begin');
    await holder.query(change, [syncId]);
    await sleep(300 + heldMs);
    expect(receiver.requests, 'the first batch is not settled').toHaveLength(1);
    await holder.query('commit');
  } finally {
    holder.release();
  }
  return { step };
}

test.each([
  ['the next batch waits until the one before is settled', 300],
  ['also where that takes so long that its request is made anew', 1_500],
])('%s', async (_, heldMs) => {
  const { syncId } = await addSync(12);
  const { step } = await deliverBehindLock(syncId, heldMs, 'select from tasks where id = $1 for update');
  await step;
  expect(receiver.requests.map(({ messages }) => messages.length)).toEqual([5, 5, 2]);
  expect(receiver.counts()).toMatchObject({ messages: 12, distinctMessages: 12 });
});

test('a batch that can not be settled keeps the next one from going out', async () => {
  const { syncId } = await addSync(12);
  const { step } = await deliverBehindLock(syncId, 200, 'update tasks set attempt = 2 where id = $1');
  await expect(step).rejects.toMatchObject({ name: 'StaleAttemptError' });
  await sleep(200);
  expect(receiver.requests).toHaveLength(1);
});
