import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/destinations/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createApiWorld, type ApiWorld } from '../api/api-world.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { startTestWorker, type TestWorker } from '../helpers/worker.ts';
import { addAudience, addPeople, addRun, eventually, readTaskRows, secretBox, type World } from '../helpers/world.ts';
import { createSpace } from '../../src/access/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';

const PEOPLE = 60;
const TRACKS = 'type = "track"';
// Whoever changes an address enters the secrets again that would go there.
const SECRET = { settings: { sharedSecret: 'before' } };

let stores: TestStores;
let worker: TestWorker;
let api: ApiWorld;
let receiver: Receiver;
let spaces = 0;

beforeAll(async () => {
  stores = await createTestStores();
  worker = await startTestWorker({ ...stores, taskQueue: 'off' });
  api = await createApiWorld({ startTask: worker.start, wakeTask: worker.wake }, stores);
  receiver = await startReceiver();
});
beforeEach(() => {
  receiver.requests.length = 0;
  receiver.accepted.length = 0;
  receiver.behave(() => undefined);
});
afterAll(async () => {
  await worker?.close();
  await receiver?.close();
  await api?.close();
});

interface Scene {
  world: World;
  audienceId: string;
  destinationId: string;
  /** `/spaces/…/audiences/…` */
  audience: string;
  /** `/destinations/…` */
  destination: string;
  subscriptionIds: string[];
  runId: string;
}

interface Subscription {
  trigger: string;
  mapping: JsonObject;
  enabled?: boolean;
}

/** An audience of `people`, connected to a webhook, and the run that computes it, not started yet. One change a request. */
async function addScene(options: { people?: number; subscriptions?: Subscription[]; enabled?: boolean } = {}) {
  const { workspaceId } = api.ours;
  const space = await inTransaction(stores.pool, async (tx) =>
    createSpace(tx, { workspaceId, slug: `off-${++spaces}`, name: 'Off', actor: SYSTEM_ACTOR }),
  );
  const world = { workspaceId, spaceId: space.id, actor: SYSTEM_ACTOR };
  await addPeople(stores.clickhouse, world, options.people ?? PEOPLE);
  const audienceId = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
  const audience = `/spaces/${space.id}/audiences/${audienceId}`;
  const made = await call('POST', '/destinations', {
    spaceId: space.id,
    metadataId: 'webhook',
    ...SECRET,
    enabled: options.enabled ?? true,
    subscriptions: options.subscriptions ?? [{ trigger: TRACKS, mapping: hook('/old') }],
  });
  const { id, subscriptions } = made['destination'] as { id: string; subscriptions: { id: string }[] };
  await call('POST', `${audience}/destinations`, { destinationId: id });
  const runId = await addRun(stores.pool, world, audienceId);
  const subscriptionIds = subscriptions.map((subscription) => subscription.id);
  return { world, audienceId, destinationId: id, audience, destination: `/destinations/${id}`, subscriptionIds, runId };
}

function hook(path: string, mapping: JsonObject = {}): JsonObject {
  return { url: `${receiver.url}${path}`, batch_size: 2, ...mapping };
}

async function call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const answer = await api.send(method, path, { token: api.ours.owner, ...(body === undefined ? {} : { body }) });
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer.body.data;
}

async function syncOf(scene: Scene): Promise<string> {
  return await eventually(
    async () => {
      const { rows } = await stores.pool.query<{ id: string }>('select id from tasks where parent_task_id = $1', [
        scene.runId,
      ]);
      return rows[0]?.id;
    },
    { what: 'a sync of the run' },
  );
}

async function endOf(taskId: string): Promise<string> {
  return await eventually(
    async () => {
      const { status } = await readTaskRows(stores.pool, taskId);
      return ['succeeded', 'failed', 'cancelled'].includes(status) ? status : null;
    },
    { what: `the end of ${taskId}`, timeoutMs: 20_000 },
  );
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

const old = (): number => receiver.requests.filter(({ path }) => path === '/old').length;

/** Begins the sync, and once two requests have come in makes the change. Says what came in under the old state after its answer. */
async function changeInTheMiddle(
  scene: Scene,
  change: () => Promise<unknown>,
  held = false,
): Promise<{ syncId: string; late: number }> {
  receiver.behave(() => ({ delayMs: 40 }));
  await worker.start(scene.runId);
  await receiver.received(({ number }) => number >= 2);
  const syncId = await syncOf(scene);
  await change();
  const atAnswer = old();
  expect(atAnswer).toBeLessThan(PEOPLE / 2);
  await eventually(
    async () => {
      const { status } = await readTaskRows(stores.pool, syncId);
      return status === 'running' && !held ? null : true;
    },
    { what: `the end of ${syncId}`, timeoutMs: 20_000 },
  );
  await pause(300);
  return { syncId, late: old() - atAnswer };
}

const CHANGES: [string, (scene: Scene) => Promise<unknown>, 'cancelled' | 'succeeded' | 'running'][] = [
  ['the destination is deleted', ({ destination }) => call('DELETE', destination), 'cancelled'],
  ['the destination is disabled', ({ destination }) => call('PATCH', destination, { enabled: false }), 'cancelled'],
  [
    'its address is changed',
    ({ destination, subscriptionIds: [id] }) =>
      call('PATCH', destination, { ...SECRET, subscriptions: [{ id, mapping: hook('/new') }] }),
    'succeeded',
  ],
  [
    'its subscriptions are removed',
    ({ destination }) => call('PATCH', destination, { subscriptions: [] }),
    'succeeded',
  ],
  [
    'its subscription is disabled',
    ({ destination, subscriptionIds: [id] }) => call('PATCH', destination, { subscriptions: [{ id, enabled: false }] }),
    'succeeded',
  ],
  ['the audience is disabled', ({ audience }) => call('PATCH', audience, { enabled: false }), 'cancelled'],
  ['the audience is deleted', ({ audience }) => call('DELETE', audience), 'cancelled'],
  ['the audience is paused', ({ audience }) => call('POST', `${audience}/pause`), 'running'],
  [
    'the connection is ended',
    ({ audience, destinationId }) => call('DELETE', `${audience}/destinations/${destinationId}`),
    'cancelled',
  ],
  [
    'the sync is cancelled',
    async (scene) => await call('POST', `/tasks/${await syncOf(scene)}/cancel`, {}),
    'cancelled',
  ],
];

describe('after the answer 200, nothing goes out as it was before, where', () => {
  test.each(CHANGES)('%s', async (_what, change, outcome) => {
    const scene = await addScene();
    const { syncId, late } = await changeInTheMiddle(scene, () => change(scene), outcome === 'running');
    expect(late).toBe(0);
    if (outcome !== 'running') expect(await endOf(syncId)).toBe(outcome);
    expect((await readTaskRows(stores.pool, syncId)).attempt).toBe(1);
  });

  test('a batch has several requests, for two subscriptions', async () => {
    const scene = await addScene({
      subscriptions: [TRACKS, 'type = "identify"'].map((trigger) => ({ trigger, mapping: hook('/old') })),
    });
    const { syncId, late } = await changeInTheMiddle(scene, () => call('PATCH', scene.destination, { enabled: false }));
    expect(late).toBe(0);
    expect(await endOf(syncId)).toBe('cancelled');
  });

  test('a batch has several requests at once, one for each event', async () => {
    const scene = await addScene();
    const [id = ''] = scene.subscriptionIds;
    // The webhook has no such field, but other destinations have.
    const kept = await stores.pool.query<{ box: Buffer }>(
      'select mapping_box as box from subscriptions where id = $1',
      [id],
    );
    const mapping = JSON.parse(secretBox.open(kept.rows[0]?.box ?? Buffer.alloc(0), id)) as JsonObject;
    const single = secretBox.seal(JSON.stringify({ ...mapping, enable_batching: false }), id);
    await stores.pool.query('update subscriptions set mapping_box = $2 where id = $1', [id, single]);
    const { syncId, late } = await changeInTheMiddle(scene, () => call('PATCH', scene.destination, { enabled: false }));
    expect(late).toBe(0);
    expect(await endOf(syncId)).toBe('cancelled');
  });
});

describe('a sync that goes on under what there is now', () => {
  test('sends the rest to the new address, and each message under the id that it had', async () => {
    const scene = await addScene();
    const [id] = scene.subscriptionIds;
    const { syncId } = await changeInTheMiddle(scene, () =>
      call('PATCH', scene.destination, { ...SECRET, subscriptions: [{ id, mapping: hook('/new') }] }),
    );
    expect(await endOf(syncId)).toBe('succeeded');
    const ids = new Set(receiver.accepted.map(({ messageId }) => messageId));
    expect(ids.size).toBe(PEOPLE);
    const users = new Set(receiver.accepted.map(({ userId }) => userId));
    expect(users.size).toBe(PEOPLE);
    // What was acknowledged at the old address is not sent to the new one.
    expect(receiver.accepted).toHaveLength(PEOPLE);
    expect((await readTaskRows(stores.pool, syncId)).attempts).toMatchObject([{ attempt: 1, outcome: 'succeeded' }]);
  });

  test('signs with the new secret', async () => {
    const scene = await addScene();
    const { syncId } = await changeInTheMiddle(scene, () =>
      call('PATCH', scene.destination, { settings: { sharedSecret: 'after' } }),
    );
    expect(await endOf(syncId)).toBe('succeeded');
    expect(receiver.accepted).toHaveLength(PEOPLE);
  });

  test('halves of a batch that is refused are looked at too', async () => {
    const scene = await addScene({ subscriptions: [{ trigger: TRACKS, mapping: hook('/old', { batch_size: 100 }) }] });
    receiver.behave(({ messages }) => ({ delayMs: 40, status: messages.length > 1 ? 400 : 200 }));
    await worker.start(scene.runId);
    await receiver.received(({ number }) => number >= 3);
    const syncId = await syncOf(scene);
    await call('PATCH', scene.destination, { enabled: false });
    const atAnswer = old();
    expect(await endOf(syncId)).toBe('cancelled');
    expect(old()).toBe(atAnswer);
  });
});

describe('on again', () => {
  async function live(scene: Scene): Promise<void> {
    await worker.start(scene.runId);
    expect(await endOf(scene.runId)).toBe('succeeded');
  }

  async function allReceived(path: string): Promise<void> {
    await eventually(
      async () => {
        await Promise.resolve();
        const users = receiver.requests.filter((one) => one.path === path).flatMap(({ messages }) => messages);
        return new Set(users.map(({ userId }) => userId)).size === 5 ? true : null;
      },
      { what: `everybody at ${path}`, timeoutMs: 15_000 },
    );
  }

  test('a destination gets at once whom it missed while it was off', async () => {
    const scene = await addScene({ people: 5, enabled: false });
    await live(scene);
    await pause(300);
    expect(receiver.requests).toHaveLength(0);
    await call('PATCH', scene.destination, { enabled: true });
    await allReceived('/old');
  });

  test('a sync that was cut off when it was disabled goes on from what was acknowledged', async () => {
    const scene = await addScene();
    const { syncId } = await changeInTheMiddle(scene, () => call('PATCH', scene.destination, { enabled: false }));
    expect(await endOf(syncId)).toBe('cancelled');
    await call('PATCH', scene.destination, { enabled: true });
    await eventually(
      async () => {
        await Promise.resolve();
        return new Set(receiver.accepted.map(({ userId }) => userId)).size === PEOPLE ? true : null;
      },
      { what: 'everybody', timeoutMs: 15_000 },
    );
    await pause(300);
    // The batch that was in doubt may be sent again.
    expect(receiver.accepted.length).toBeLessThanOrEqual(PEOPLE + 2);
  });

  test('a subscription gets at once what was skipped while it was off', async () => {
    const scene = await addScene({
      people: 5,
      subscriptions: [{ trigger: TRACKS, mapping: hook('/old'), enabled: false }],
    });
    await live(scene);
    expect(await endOf(await syncOf(scene))).toBe('succeeded');
    expect(receiver.requests).toHaveLength(0);
    const [id] = scene.subscriptionIds;
    await call('PATCH', scene.destination, { subscriptions: [{ id, enabled: true }] });
    await allReceived('/old');
  });

  test('a subscription that is added in the middle of a sync gets everybody once that is over', async () => {
    const scene = await addScene();
    const [id] = scene.subscriptionIds;
    const { syncId } = await changeInTheMiddle(scene, () =>
      call('PATCH', scene.destination, { subscriptions: [{ id, enabled: false }] }),
    );
    expect(await endOf(syncId)).toBe('succeeded');
    await call('PATCH', scene.destination, { subscriptions: [{ id, enabled: true }] });
    await eventually(
      async () => {
        await Promise.resolve();
        return new Set(receiver.accepted.map(({ userId }) => userId)).size === PEOPLE ? true : null;
      },
      { what: 'everybody', timeoutMs: 15_000 },
    );
  });

  test('a new name of a destination makes no sync', async () => {
    const scene = await addScene({ people: 5 });
    await live(scene);
    expect(await endOf(await syncOf(scene))).toBe('succeeded');
    await call('PATCH', scene.destination, { name: 'Another' });
    const { rows } = await stores.pool.query("select id from tasks where computation_id = $1 and kind = 'sync'", [
      scene.audienceId,
    ]);
    expect(rows).toHaveLength(1);
  });
});
