import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { inTransaction } from '../../src/store/index.ts';
import { cancelOpenTasks, retryTask } from '../../src/tasks/index.ts';
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
  receiver.behave(() => undefined);
});
afterAll(async () => {
  await receiver?.close();
  await stores?.close();
});

const membersUpTo = (most: number): string => `event('Visited').where(property('n') <= ${most}).count() >= 1`;

/** An audience of the first `members` of ten people, connected, in batches of five changes; nothing is computed yet. */
async function addConnected(members: number, triggers = 'type = "track"') {
  await addPeople(stores.clickhouse, world, 10);
  const computationId = await addAudience(stores.pool, world, membersUpTo(members));
  const { connectionId } = await connectWebhook(stores.pool, world, computationId, receiver.url, 10);
  await stores.pool.query(
    `update subscriptions set trigger = $2
     where destination_id = (select destination_id from connections where id = $1)`,
    [connectionId, triggers],
  );
  return { computationId, connectionId };
}

/** Redefines the audience and runs it. Gives the sync that its run made. */
async function run(computationId: string, members: number): Promise<string> {
  await stores.pool.query('update computations set definition_query = $2 where id = $1', [
    computationId,
    membersUpTo(members),
  ]);
  const [syncId = ''] = await tasks.execute(await addRun(stores.pool, world, computationId));
  return syncId;
}

async function cancel(computationId: string): Promise<void> {
  await inTransaction(stores.pool, async (tx) => await cancelOpenTasks(tx, { computationId }));
}

async function deliverUntilItFails(syncId: string): Promise<void> {
  for (const step of ['prepare', 'extract'] as const) await tasks.step(syncId, 1, step);
  await expect(tasks.step(syncId, 1, 'deliver')).rejects.toThrow();
}

/** Who is in by what the receiver took, whatever it answered: the last message of each person counts. */
function membersThere(type = 'track'): number[] {
  const last = new Map<string, boolean>();
  for (const { messages } of receiver.requests) {
    for (const message of messages) {
      if (message.type !== type) continue;
      const said = (type === 'track' ? message['properties'] : message['traits']) as { everybody: boolean };
      last.set(message.userId ?? '', said.everybody);
    }
  }
  return [...last]
    .flatMap(([userId, isIn]) => (isIn ? [Number(userId.slice('user-'.length))] : []))
    .sort((a, b) => a - b);
}

test('what a tool took without saying so is taken back, though its sync was given up and they have left since', async () => {
  const { computationId } = await addConnected(2);
  await tasks.execute(await run(computationId, 2));
  const given = await run(computationId, 7);
  // It has taken the whole batch when it answers that it failed.
  receiver.behave(() => ({ status: 500 }));
  await tasks.begin(given);
  await deliverUntilItFails(given);
  expect(membersThere()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  await cancel(computationId);
  receiver.behave(() => undefined);

  await tasks.execute(await run(computationId, 2));
  expect(membersThere()).toEqual([1, 2]);
  // It has acknowledged that: nothing of it is sent once more.
  const requests = receiver.requests.length;
  await tasks.execute(await run(computationId, 2));
  expect(receiver.requests.length).toBe(requests);
});

test('the batch that was in flight when the worker died counts too, before anything was written down of it', async () => {
  const { computationId } = await addConnected(2);
  await tasks.execute(await run(computationId, 2));
  const given = await run(computationId, 7);
  const dies = new AbortController();
  receiver.behave(() => {
    dies.abort(new Error('the worker was killed'));
    return { hang: 'request' };
  });
  await tasks.begin(given);
  for (const step of ['prepare', 'extract'] as const) await tasks.step(given, 1, step);
  await expect(tasks.step(given, 1, 'deliver', dies.signal)).rejects.toThrow('the worker was killed');
  await stores.pool.query(`update steps set cursor = null where task_id = $1 and name = 'deliver'`, [given]);
  await cancel(computationId);
  receiver.behave(() => undefined);

  await tasks.execute(await run(computationId, 2));
  expect(membersThere()).toEqual([1, 2]);
});

test('a sync that fails before it sends does not make anyone forget what an earlier one left open', async () => {
  const { computationId } = await addConnected(2);
  await tasks.execute(await run(computationId, 2));
  const given = await run(computationId, 7);
  receiver.behave(() => ({ status: 500 }));
  await tasks.begin(given);
  await deliverUntilItFails(given);
  await cancel(computationId);
  const second = await run(computationId, 2);
  await tasks.begin(second);
  await tasks.step(second, 1, 'prepare');
  await tasks.step(second, 1, 'extract');
  await cancel(computationId);
  receiver.behave(() => undefined);

  await tasks.execute(await run(computationId, 2));
  expect(membersThere()).toEqual([1, 2]);
});

/** Two are in; five come, whom the tool takes without saying so, by whatever `firstTry` does; then it refuses user-4 among them. */
async function refuseAfterTaking(firstTry: (syncId: string) => Promise<void>, goOn: (syncId: string) => Promise<void>) {
  const { computationId } = await addConnected(2);
  await tasks.execute(await run(computationId, 2));
  const syncId = await run(computationId, 7);
  await tasks.begin(syncId);
  await firstTry(syncId);
  expect(membersThere()).toContain(4);
  receiver.behave(({ messages }) => (messages.some(({ userId }) => userId === 'user-4') ? { status: 400 } : undefined));
  await goOn(syncId);
  const { rows } = await stores.pool.query<{ user_id: string }>(
    `select user_id from rejected_rows join tasks t on t.id = task_id where t.computation_id = $1 and t.status = 'succeeded'`,
    [computationId],
  );
  expect(rows.map((row) => row.user_id)).toEqual(['user-4']);
  receiver.behave(() => undefined);

  await tasks.execute(await run(computationId, 2));
  expect(membersThere()).toEqual([1, 2]);
  const requests = receiver.requests.length;
  await tasks.execute(await run(computationId, 2));
  expect(receiver.requests.length, 'it has acknowledged that').toBe(requests);
}

async function takeAndFail(syncId: string): Promise<void> {
  receiver.behave(() => ({ status: 500 }));
  await deliverUntilItFails(syncId);
}

async function takeAndDie(syncId: string): Promise<void> {
  const dies = new AbortController();
  receiver.behave(() => {
    dies.abort(new Error('the worker was killed'));
    return { hang: 'request' };
  });
  for (const step of ['prepare', 'extract'] as const) await tasks.step(syncId, 1, step);
  await expect(tasks.step(syncId, 1, 'deliver', dies.signal)).rejects.toThrow('the worker was killed');
  // As where the worker can't write down any more what became of the batch.
  await stores.pool.query(`update steps set cursor = null where task_id = $1 and name = 'deliver'`, [syncId]);
}

async function nextAttempt(syncId: string): Promise<void> {
  await tasks.fail(syncId, 1);
  await tasks.execute(syncId);
}

async function retryFromDeliver(syncId: string): Promise<void> {
  await stores.pool.query(`update tasks set status = 'failed', ended_at = now() where id = $1`, [syncId]);
  const retried = await inTransaction(
    stores.pool,
    async (tx) => await retryTask(tx, { ...world, taskId: syncId }, { actor: world.actor, fromStep: 'deliver' }),
  );
  await tasks.execute(retried);
}

test('someone whom the tool took before it failed, and then refuses, is taken back when they leave', async () => {
  await refuseAfterTaking(takeAndFail, nextAttempt);
});

test('so is someone in the batch that was in flight when the worker died', async () => {
  await refuseAfterTaking(takeAndDie, nextAttempt);
});

test('and where another task goes on at deliver', async () => {
  await refuseAfterTaking(takeAndFail, retryFromDeliver);
  receiver.requests.length = 0;
  world = await createWorld(stores.pool);
  await refuseAfterTaking(takeAndDie, retryFromDeliver);
});

test('someone whom the tool refused at once is unknown to it, and nobody tells it that they left', async () => {
  const { computationId } = await addConnected(2);
  await tasks.execute(await run(computationId, 2));
  receiver.behave(({ messages }) => (messages.some(({ userId }) => userId === 'user-4') ? { status: 400 } : undefined));
  await tasks.execute(await run(computationId, 5));
  receiver.behave(() => undefined);
  receiver.requests.length = 0;

  await tasks.execute(await run(computationId, 2));
  const told = receiver.requests.flatMap(({ messages }) => messages.map(({ userId }) => userId));
  expect(new Set(told)).toEqual(new Set(['user-3', 'user-5']));
});

test('a change of which the tool took one message and refused the other is sent again, though it is back at its old value', async () => {
  const { computationId } = await addConnected(2, 'type = "track" or type = "identify"');
  await tasks.execute(await run(computationId, 2));
  receiver.behave(({ messages }) =>
    messages.some(({ type, userId }) => type === 'identify' && userId === 'user-4') ? { status: 400 } : undefined,
  );
  await tasks.execute(await run(computationId, 4));
  // The strict tool has it by its track call, and has it not by the identify call that it refused.
  expect(membersThere()).toContain(4);
  receiver.behave(() => undefined);

  await tasks.execute(await run(computationId, 2));
  expect(membersThere()).toEqual([1, 2]);
  expect(membersThere('identify')).toEqual([1, 2]);
});
