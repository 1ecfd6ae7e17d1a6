import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createChannel, pendingDeliveries } from '../../src/alerts/index.ts';
import { connectComputation } from '../../src/connections/index.ts';
import { createDestination, createDestinationDeps, type JsonObject } from '../../src/destinations/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { cancelTask, createTask, readUnrecorded, startDelivery, taskQueues } from '../../src/tasks/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { refuseUsers, startReceiver, type Reaction, type Receiver } from '../helpers/receiver.ts';
import { startTestWorker, type TestWorker } from '../helpers/worker.ts';
import {
  addAudience,
  addPeople,
  addRun,
  connectWebhook,
  createWorld,
  destinationDeps,
  eventually,
  readTaskRows,
  secretBox,
  type World,
} from '../helpers/world.ts';

const TASK_QUEUE = 'hostile-receiver';
const EVERYBODY = "event('Visited').count() >= 1";
const PEOPLE = 3;
/** Enough for a mapping that takes long for each to be ended. */
const CROWD = 400;
const HOSTILE = 6;
// Most of it is for a machine that does other things too.
const CALM_MS = 150_000;
const STORM_TIMEOUT = { timeout: 300_000 };
const NASTY = 'no\0such\ud800person';
/** Doubles a text again and again, and then reads it. */
const ENDLESS = `{% assign a = "xxxxxxxx" %}${'{% assign a = a | append: a %}'.repeat(14)}{{ a | replace: "x", "yy" | upcase | size }}`;

let stores: TestStores;
let worker: TestWorker;
let receiver: Receiver;
let world: World;
let audiences: string[];
let crowd: { world: World; audience: string };

beforeAll(async () => {
  stores = await createTestStores();
  worker = await startTestWorker({
    ...stores,
    taskQueue: TASK_QUEUE,
    // Of three slots a workspace has two.
    slots: { workflows: 12, compute: 3, deliver: 3, alerts: 3 },
    destinations: createDestinationDeps({
      secretBox,
      allowPrivateAddresses: true,
      requestTimeoutMs: 60_000,
      maxComputeMs: 1_500,
    }),
    // What is looked at is what is answered, and not how busy this machine is.
    heartbeatTimeoutMs: 60_000,
  });
  receiver = await startReceiver();
  world = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, world, PEOPLE);
  audiences = await Promise.all(
    Array.from({ length: HOSTILE }, async (_, at) =>
      addAudience(stores.pool, world, EVERYBODY, { key: `storm_${at}` }),
    ),
  );
  const other = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, other, CROWD);
  crowd = { world: other, audience: await addAudience(stores.pool, other, EVERYBODY) };
  const channel = { workspaceId: world.workspaceId, name: 'Ops', url: `${receiver.url}/alerts`, actor: world.actor };
  await inTransaction(stores.pool, async (tx) => await createChannel(tx, secretBox, channel));
  const runs = await Promise.all([
    ...audiences.map(async (audience) => await addRun(stores.pool, world, audience)),
    addRun(stores.pool, other, crowd.audience),
  ]);
  for (const outcome of await Promise.all(runs.map(async (run) => await worker.execute(run)))) {
    expect(outcome).toBe('succeeded');
  }
});
afterAll(async () => {
  await worker?.close();
  await receiver?.close();
  await stores?.close();
});

interface SyncOptions {
  /** Where its messages go. */
  path: string;
  /** Where it asks for its audience; left away for a webhook, which keeps none. */
  createPath?: string;
  batchSize?: number;
  /** What is sent of each person, where it is not all. */
  data?: JsonObject;
  /** Whose audience it is; the hostile workspace's where it is not given. */
  of?: World;
}

/** A sync of an audience of the hostile receiver's workspace to a destination of its own. */
async function addSync(computationId: string, options: SyncOptions): Promise<string> {
  const { path, createPath, batchSize = 10, data, of = world } = options;
  const mapping: JsonObject = {
    url: receiver.url + path,
    batch_size: batchSize,
    ...(data === undefined ? {} : { data }),
  };
  const { pool } = stores;
  const taskId = await inTransaction(pool, async (tx) => {
    const { id: destinationId } = await createDestination(tx, destinationDeps, {
      ...of,
      slug: createPath === undefined ? 'webhook' : 'webhook-audiences',
      name: path,
      ...(createPath === undefined ? {} : { settings: { createAudienceUrl: receiver.url + createPath } }),
      subscriptions: [{ trigger: 'type = "track"', mapping }],
    });
    const { id: connectionId } = await connectComputation(tx, destinationDeps, {
      ...of,
      computationId,
      destinationId,
    });
    return await createTask(tx, { ...of, computationId, connectionId, kind: 'sync', reason: 'fan_out' });
  });
  if (taskId === null) throw new Error('a sync is open already');
  return taskId;
}

function sentTo(path: string) {
  return receiver.requests.filter((request) => request.path === path);
}

/** What people find in the trail about a task that failed, and the alerts that went out about it. */
async function readTold(taskId: string): Promise<{ failures: number; alerts: { kind: string; decision: string }[] }> {
  const trail = await stores.pool.query(`select from audit_events where task_id = $1 and outcome = 'failure'`, [
    taskId,
  ]);
  const alerts = await stores.pool.query<{ kind: string; decision: string }>(
    'select kind, decision from alerts where task_id = $1 order by created_at, id',
    [taskId],
  );
  return { failures: trail.rowCount ?? 0, alerts: alerts.rows };
}

/** Runs an audience of another workspace, with its sync, each at the first attempt. */
async function runElsewhere(): Promise<void> {
  const elsewhere = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, elsewhere, PEOPLE);
  const audience = await addAudience(stores.pool, elsewhere, EVERYBODY);
  await connectWebhook(stores.pool, elsewhere, audience, `${receiver.url}/friendly`);
  const run = await addRun(stores.pool, elsewhere, audience);
  expect(await worker.execute(run)).toBe('succeeded');
  const sync = await eventually(
    async () => {
      const { rows } = await stores.pool.query<{ id: string; status: string }>(
        `select id, status from tasks where parent_task_id = $1 and ended_at is not null`,
        [run],
      );
      return rows[0];
    },
    { what: 'the sync of another workspace', timeoutMs: 60_000 },
  );
  expect(sync.status).toBe('succeeded');
  for (const taskId of [run, sync.id]) expect((await readTaskRows(stores.pool, taskId)).attempts).toHaveLength(1);
}

/** Waits until no task is open and each alert is delivered. Nothing that happened is unrecorded then. */
async function expectCalm(): Promise<void> {
  const { pool } = stores;
  let left: unknown;
  await eventually(
    async () => {
      // As the scheduler's tick does.
      for (const id of await pendingDeliveries(pool, 500)) {
        await startDelivery(worker.client, id, taskQueues(TASK_QUEUE));
      }
      const tasks = await pool.query('select id, status, waiting_for from tasks where ended_at is null');
      const alerts = await pool.query(
        `select id, status, last_error from alert_deliveries where status <> 'delivered'`,
      );
      left = { tasks: tasks.rows, alerts: alerts.rows };
      return tasks.rowCount === 0 && alerts.rowCount === 0 ? true : null;
    },
    { what: 'calm', timeoutMs: CALM_MS },
  ).catch((error: unknown) => {
    throw new Error(`left: ${JSON.stringify(left)}`, { cause: error });
  });
  expect(await readUnrecorded(pool)).toEqual({ count: 0, oldestSeconds: 0, example: null });
}

test('a row that a tool refuses with a text that no database can hold is one rejected row with a reason, and nothing is sent again', async () => {
  const path = '/rows';
  receiver.behave(refuseUsers(['user-2'], { status: 400, body: NASTY }));
  const syncId = await addSync(audiences[0] ?? '', { path });
  expect(await worker.execute(syncId)).toBe('succeeded');

  expect(await readTaskRows(stores.pool, syncId)).toMatchObject({
    attempts: [{ attempt: 1, outcome: 'succeeded', code: null }],
    result: { changes: PEOPLE, delivered: PEOPLE - 1, rejected: 1 },
  });
  const { rows } = await stores.pool.query('select user_id, status, reason from rejected_rows where task_id = $1', [
    syncId,
  ]);
  expect(rows).toEqual([
    { user_id: 'user-2', status: 400, reason: expect.stringContaining('no\ufffdsuch\ufffdperson') as string },
  ]);
  // The batch once, then its halves, of which one is the row.
  const usersOf = sentTo(path).map(({ messages }) => messages.map(({ userId }) => userId).join(' '));
  expect(usersOf.toSorted()).toEqual(['user-1 user-2 user-3', 'user-1 user-3', 'user-2']);
  await expectCalm();
});

describe('a tool that answers badly when it is asked for an audience', () => {
  const ANSWERS: [string, Reaction, { code: string; attempts: number; detail: RegExp }][] = [
    [
      'a NUL in the id',
      { body: JSON.stringify({ externalId: 'a\0b' }) },
      { code: 'destination_answer_invalid', attempts: 6, detail: /has a NUL/ },
    ],
    [
      'a refusal with a NUL and half a surrogate pair in it',
      { status: 400, body: NASTY },
      { code: 'destination_settings_invalid', attempts: 1, detail: /no\ufffdsuch\ufffdperson/ },
    ],
  ];

  test.each(ANSWERS)('fails by name, is in the trail, and is told: %s', async (name, answer, expected) => {
    receiver.behave(({ path }) => (path === '/audience' ? answer : undefined));
    const before = sentTo('/audience').length;
    const syncId = await addSync(audiences[1] ?? '', { path: '/members', createPath: '/audience' });
    expect(await worker.execute(syncId), name).toBe('failed');

    const { attempts } = await readTaskRows(stores.pool, syncId);
    expect(attempts).toHaveLength(expected.attempts);
    for (const attempt of attempts) expect(attempt).toMatchObject({ step: 'prepare', code: expected.code });
    const { rows } = await stores.pool.query<{ detail: string }>('select detail from attempts where task_id = $1', [
      syncId,
    ]);
    for (const { detail } of rows) {
      expect(detail).toMatch(expected.detail);
      expect(detail.length).toBeLessThanOrEqual(4_000);
    }
    // Each attempt is in the trail, and that it is the last.
    const told = await readTold(syncId);
    expect(told.failures).toBe(expected.attempts + 1);
    expect(told.alerts).toHaveLength(expected.attempts);
    expect(told.alerts.at(-1)).toEqual({ kind: 'hard_failure', decision: 'sent' });
    expect(sentTo('/audience').length - before).toBe(expected.attempts);
    expect(sentTo('/members')).toEqual([]);
    await expectCalm();
  });
});

describe('a workspace whose tools answer badly keeps no other waiting', () => {
  test(
    'neither by any of its troubles nor by all at once, and each comes to an end of its own',
    STORM_TIMEOUT,
    async () => {
      const { pool } = stores;
      let storm = true;
      receiver.behave(({ path }) => {
        if (path.startsWith('/busy/') && storm) return { status: 429, headers: { 'retry-after': '0' }, body: NASTY };
        if (path.startsWith('/bytes/')) return { raw: 'HTTP/1.1 400 No\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n' };
        return path.startsWith('/refused/') ? { status: 401, body: NASTY } : undefined;
      });
      const add = async (at: number, path: string) => await addSync(audiences[at] ?? '', { path });
      const [busy, bytes] = [
        [await add(0, '/busy/0'), await add(1, '/busy/1')],
        [await add(2, '/bytes/0'), await add(3, '/bytes/1')],
      ];
      const unrecorded = await add(4, '/refused/0');
      const endless = await addSync(crowd.audience, {
        of: crowd.world,
        path: '/endless',
        batchSize: CROWD,
        data: Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`text_${at}`, { '@liquid': ENDLESS }])),
      });
      // Of that one no failure can be written.
      await pool.query(`
      create function refuse() returns trigger language plpgsql as $$
        begin
          if new.outcome = 'failed' and new.task_id = '${unrecorded}' then
            raise exception 'refused' using errcode = '22021';
          end if;
          return new;
        end $$;
      create trigger refuse before update on attempts for each row execute function refuse()`);
      for (const id of [...busy, ...bytes, unrecorded, endless]) await worker.start(id);
      const isTold = async () => ((await readUnrecorded(pool)).count === 1 ? true : null);
      await eventually(isTold, { what: 'that the failure is told of', timeoutMs: CALM_MS });
      expect(sentTo('/busy/0').length).toBeGreaterThan(0);
      await runElsewhere();
      expect(await readUnrecorded(pool)).toMatchObject({ count: 1 });

      storm = false;
      await pool.query('drop trigger refuse on attempts');
      await expectCalm();
      for (const id of busy) {
        const attempts = [{ attempt: 1, outcome: 'succeeded' }];
        expect(await readTaskRows(pool, id)).toMatchObject({ status: 'succeeded', attempts });
      }
      for (const id of bytes) {
        const { status, attempts } = await readTaskRows(pool, id);
        expect(status).toBe('failed');
        expect(attempts.map(({ code }) => code)).toEqual(Array.from({ length: 6 }, () => 'destination_answer_invalid'));
        expect((await readTold(id)).alerts.at(-1)).toEqual({ kind: 'hard_failure', decision: 'sent' });
      }
      const ended: [string, string][] = [
        [unrecorded, 'destination_credentials_rejected'],
        [endless, 'destination_code_overran'],
      ];
      for (const [id, code] of ended) {
        expect(await readTaskRows(pool, id)).toMatchObject({ status: 'failed', attempts: [{ attempt: 1, code }] });
      }
      expect(sentTo('/endless')).toEqual([]);
    },
  );

  test('nor by not answering, however many of its syncs wait', STORM_TIMEOUT, async () => {
    receiver.behave(({ path }) => (path.startsWith('/silent/') ? { hang: 'request' } : undefined));
    const syncs = await Promise.all(audiences.map(async (id, at) => await addSync(id, { path: `/silent/${at}` })));
    for (const id of syncs) await worker.start(id);
    const asked = () => receiver.requests.filter(({ path }) => path.startsWith('/silent/')).length;
    await eventually(async () => await Promise.resolve(asked() === 2 ? true : null), {
      what: 'two requests without an answer',
      timeoutMs: CALM_MS,
    });
    await runElsewhere();
    // The others of them have waited all the time.
    expect(asked()).toBe(2);
    for (const id of syncs) {
      expect(await readTaskRows(stores.pool, id)).toMatchObject({
        status: 'running',
        attempts: [{ attempt: 1, code: null }],
      });
      const { workspaceId } = world;
      await inTransaction(stores.pool, async (tx) => await cancelTask(tx, { workspaceId, taskId: id }, world));
    }
    await Promise.all(syncs.map(async (id) => await worker.wake(id)));
    await expectCalm();
  });
});
