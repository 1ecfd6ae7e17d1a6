import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { dryRun } from '../../src/computations/index.ts';
import { createLoader, type Loader } from '../../src/pipeline/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { addAudience, addRun, connectWebhook } from '../helpers/world.ts';
import { createPipelineWorld, send, silent, type PipelineWorld } from './pipeline-world.ts';
import { tasksOn, type Tasks } from './tasks-world.ts';

let stores: TestStores;
let tasks: Tasks;
let receiver: Receiver;
let loader: Loader;
let world: PipelineWorld & { actor: typeof SYSTEM_ACTOR };

beforeAll(async () => {
  stores = await createTestStores();
  receiver = await startReceiver();
  loader = createLoader({ ...stores, logger: silent }, { pollMs: 1 });
  tasks = tasksOn(stores.pool, stores.clickhouse);
});
beforeEach(async () => {
  world = { ...(await createPipelineWorld(stores.pool)), actor: SYSTEM_ACTOR };
  receiver.requests.length = 0;
});
afterAll(async () => {
  await receiver?.close();
  await stores?.close();
});

/** Sends messages a second apart, and loads them. */
async function load(...messages: Record<string, unknown>[]): Promise<void> {
  const from = Date.now() - 60_000;
  const timed = messages.map((message, at) => ({ timestamp: new Date(from + at * 1_000).toISOString(), ...message }));
  await send(stores.pool, world, timed);
  await loader.loadOnce();
}

/** Runs the audience and its sync, with those that it makes, and gives what the receiver got: who, and the e-mail address they are matched by. */
async function sync(computationId: string): Promise<unknown[]> {
  receiver.requests.length = 0;
  let [next] = await tasks.execute(await addRun(stores.pool, world, computationId));
  while (next !== undefined) [next] = await tasks.execute(next);
  return receiver.requests.flatMap(({ messages }) =>
    messages.map((message) => {
      const { userId, anonymousId, event, context } = message as {
        userId?: string;
        anonymousId?: string;
        event?: string;
        context?: { traits?: { email?: string } };
      };
      return [userId ?? anonymousId, event, context?.traits?.email];
    }),
  );
}

const NAMED = "trait('email').exists() OR trait('seen').exists()";

async function audience(query: string): Promise<string> {
  const id = await addAudience(stores.pool, world, query, { key: 'people' });
  await connectWebhook(stores.pool, world, id, receiver.url);
  return id;
}

describe('a receiver gets a person as the query sees them', () => {
  test('with the latest e-mail address, whichever profile it came in by', async () => {
    await load(
      { type: 'identify', userId: 'm4', traits: { email: 'old4@example.com' } },
      { type: 'identify', anonymousId: 'a4', traits: { email: 'new4@example.com' } },
      { type: 'identify', userId: 'm4', anonymousId: 'a4', traits: {} },
    );
    const id = await audience("trait('email') = 'new4@example.com'");
    expect(await sync(id)).toEqual([['m4', 'Audience Entered', 'new4@example.com']]);
  });

  test('with the one that is known from the anonymous side alone', async () => {
    await load(
      { type: 'identify', userId: 'm5', traits: { seen: true } },
      { type: 'identify', anonymousId: 'a5', traits: { email: 'a5@example.com' } },
      { type: 'track', event: 'Linked', userId: 'm5', anonymousId: 'a5' },
    );
    expect(await sync(await audience(NAMED))).toEqual([['m5', 'Audience Entered', 'a5@example.com']]);
  });

  test('with the one of before an alias, and without one that was taken away since by either side', async () => {
    await load(
      { type: 'identify', userId: 'before', traits: { email: 'b@example.com', seen: true } },
      { type: 'alias', previousId: 'before', userId: 'after' },
      { type: 'identify', userId: 'gone', traits: { email: 'g@example.com', seen: true } },
      { type: 'identify', anonymousId: 'a7', traits: { email: null } },
      { type: 'track', event: 'Linked', userId: 'gone', anonymousId: 'a7' },
    );
    expect(await sync(await audience(NAMED))).toEqual([
      ['after', 'Audience Entered', 'b@example.com'],
      ['gone', 'Audience Entered', undefined],
    ]);
  });

  test('who was merged while a member is still one, and nobody has left', async () => {
    await load(
      { type: 'identify', anonymousId: 'a8', traits: { seen: true } },
      { type: 'identify', userId: 'm8', traits: { name: 'Eight' } },
    );
    const id = await audience("trait('seen').exists()");
    expect(await sync(id)).toEqual([['a8', 'Audience Entered', undefined]]);
    await load({ type: 'track', event: 'Linked', userId: 'm8', anonymousId: 'a8' });
    const run = await addRun(stores.pool, world, id);
    const [syncId = ''] = await tasks.execute(run);
    const { rows } = await stores.pool.query<{ output: unknown }>(
      `select output from steps where task_id = $1 and name = 'diff'`,
      [run],
    );
    expect(rows[0]?.output).toEqual({ entered: 0, exited: 0, changed: 0 });
    receiver.requests.length = 0;
    await tasks.execute(syncId);
    expect(receiver.requests.flatMap(({ messages }) => messages.map(({ userId }) => userId))).toEqual(['m8']);
  });

  test('under their user id once they have one, and under the anonymous id no more', async () => {
    await load(
      { type: 'identify', anonymousId: 'a10', traits: { seen: true, email: 'ten@example.com' } },
      { type: 'identify', anonymousId: 'a11', traits: { seen: true } },
      { type: 'identify', anonymousId: 'a12', traits: { seen: true } },
    );
    const id = await audience("trait('seen').exists()");
    expect(await sync(id)).toEqual([
      ['a10', 'Audience Entered', 'ten@example.com'],
      ['a11', 'Audience Entered', undefined],
      ['a12', 'Audience Entered', undefined],
    ]);
    await load(
      { type: 'identify', userId: 'm10', anonymousId: 'a10', traits: {} },
      { type: 'identify', userId: 'm11', anonymousId: 'a11', traits: { seen: null } },
      // Merged as a user: nobody knows them by that id.
      { type: 'identify', userId: 'm12', anonymousId: 'a12', traits: { seen: null } },
      { type: 'alias', previousId: 'm12', userId: 'm13' },
    );
    expect(await sync(id), 'out before in, so that a tool that matches them by e-mail has them in the end').toEqual([
      ['a10', 'Audience Exited', 'ten@example.com'],
      ['a11', 'Audience Exited', undefined],
      ['a12', 'Audience Exited', undefined],
      ['m10', 'Audience Entered', 'ten@example.com'],
    ]);
    expect(await sync(id)).toEqual([]);
    await load({ type: 'identify', userId: 'm10', traits: { seen: null } });
    expect(await sync(id)).toEqual([['m10', 'Audience Exited', 'ten@example.com']]);
  });

  test('a dry run names them so too', async () => {
    await load(
      { type: 'identify', anonymousId: 'a9', traits: { seen: true } },
      { type: 'identify', userId: 'm9', traits: {} },
      { type: 'track', event: 'Linked', userId: 'm9', anonymousId: 'a9' },
    );
    const { examples } = await dryRun(stores, {
      ...world,
      kind: 'audience',
      definition: { type: 'USERS', query: "trait('seen').exists()" },
      computation: null,
    });
    expect(examples.entered.map(({ userId, anonymousId }) => [userId, anonymousId])).toEqual([['m9', 'a9']]);
  });
});
