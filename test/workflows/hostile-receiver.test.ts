import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createChannel, pendingDeliveries } from '../../src/alerts/index.ts';
import {
  connectComputation,
  createDestination,
  createDestinationDeps,
  type JsonObject,
} from '../../src/destinations/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createTask, readUnrecorded, startDelivery, taskQueues } from '../../src/tasks/index.ts';
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
/** As many as there are places for syncs. */
const STORM = 20;
const ROUNDS = 2;
// Most of it is for a machine that does other things too.
const CALM_MS = 150_000;
const STORM_TIMEOUT = { timeout: 500_000 };
const NASTY = 'no\0such\ud800person';

let stores: TestStores;
let worker: TestWorker;
let receiver: Receiver;
let world: World;
let audiences: string[];

beforeAll(async () => {
  stores = await createTestStores();
  worker = await startTestWorker({
    ...stores,
    taskQueue: TASK_QUEUE,
    destinations: createDestinationDeps({ secretBox, allowPrivateAddresses: true, requestTimeoutMs: 1_500 }),
    // What is looked at is what is answered, and not how busy this machine is.
    heartbeatTimeoutMs: 60_000,
  });
  receiver = await startReceiver();
  world = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, world, PEOPLE);
  audiences = await Promise.all(
    Array.from({ length: STORM }, async (_, at) => addAudience(stores.pool, world, EVERYBODY, { key: `storm_${at}` })),
  );
  const channel = { workspaceId: world.workspaceId, name: 'Ops', url: `${receiver.url}/alerts`, actor: world.actor };
  await inTransaction(stores.pool, async (tx) => await createChannel(tx, secretBox, channel));
  const runs = await Promise.all(audiences.map(async (audience) => await addRun(stores.pool, world, audience)));
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
}

/** A sync of an audience of the hostile receiver's workspace to a destination of its own. */
async function addSync(computationId: string, { path, createPath, batchSize = 10 }: SyncOptions): Promise<string> {
  const mapping: JsonObject = { url: receiver.url + path, batch_size: batchSize };
  const { pool } = stores;
  const taskId = await inTransaction(pool, async (tx) => {
    const { id: destinationId } = await createDestination(tx, destinationDeps, {
      ...world,
      slug: createPath === undefined ? 'webhook' : 'webhook-audiences',
      name: path,
      ...(createPath === undefined ? {} : { settings: { createAudienceUrl: receiver.url + createPath } }),
      subscriptions: [{ trigger: 'type = "track"', mapping }],
    });
    const { id: connectionId } = await connectComputation(tx, destinationDeps, {
      ...world,
      computationId,
      destinationId,
    });
    return await createTask(tx, { ...world, computationId, connectionId, kind: 'sync', reason: 'fan_out' });
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

/**
 * Runs an audience of another workspace, with its sync, each at the first attempt. Says how long that took, in milliseconds.
 */
async function runElsewhere(): Promise<number> {
  const elsewhere = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, elsewhere, PEOPLE);
  const audience = await addAudience(stores.pool, elsewhere, EVERYBODY);
  await connectWebhook(stores.pool, elsewhere, audience, `${receiver.url}/friendly`);
  const since = performance.now();
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
  const took = performance.now() - since;
  expect(sync.status).toBe('succeeded');
  for (const taskId of [run, sync.id]) expect((await readTaskRows(stores.pool, taskId)).attempts).toHaveLength(1);
  return took;
}

/** The middle one of several times that it takes another workspace. */
async function measureElsewhere(): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await runElsewhere());
  return times.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
}

/** Waits until no task is open and each alert is delivered. Nothing that happened is unrecorded then. */
async function expectCalm(): Promise<void> {
  const { pool } = stores;
  let left: unknown;
  await eventually(
    async () => {
      // As the scheduler's beat does.
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

describe('a row that a tool refuses with a text that no database can hold', () => {
  test.each([
    ['alone', 1, ['user-1', 'user-2', 'user-3']],
    // The batch once, then its halves, of which one is the row.
    ['in a batch', 10, ['user-1 user-2 user-3', 'user-1 user-3', 'user-2']],
  ])('is one rejected row with a reason, and nothing is sent again: %s', async (name, batchSize, sent) => {
    const path = `/rows/${batchSize}`;
    receiver.behave(refuseUsers(['user-2'], { status: 400, body: NASTY }));
    const syncId = await addSync(audiences[0] ?? '', { path, batchSize });
    expect(await worker.execute(syncId), name).toBe('succeeded');

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
    const usersOf = sentTo(path).map(({ messages }) => messages.map(({ userId }) => userId).join(' '));
    expect(usersOf.toSorted()).toEqual(sent.toSorted());
    await expectCalm();
  });
});

describe('a tool that answers badly when it is asked for an audience', () => {
  const ANSWERS: [string, Reaction, { code: string; attempts: number; detail: RegExp }][] = [
    [
      'a NUL in the id',
      { body: JSON.stringify({ externalId: 'a\0b' }) },
      { code: 'destination_answer_invalid', attempts: 6, detail: /has a NUL/ },
    ],
    [
      'half a surrogate pair in the id',
      { body: JSON.stringify({ externalId: 'a\ud800b' }) },
      { code: 'destination_answer_invalid', attempts: 6, detail: /half a surrogate pair/ },
    ],
    [
      'an id of a megabyte',
      { body: JSON.stringify({ externalId: 'x'.repeat(1_048_576) }) },
      { code: 'destination_answer_invalid', attempts: 6, detail: /over 1000 characters/ },
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

describe(`${STORM} audiences of a workspace whose tools answer badly keep no other workspace waiting`, () => {
  let alone: number;

  beforeAll(async () => {
    receiver.behave(() => undefined);
    // The first one is slower than all others.
    await runElsewhere();
    alone = await measureElsewhere();
  });

  /** Measures others once each sync has been answered, and shows how much longer it took them than alone. */
  async function measureInStorm(what: string, prefix: string): Promise<void> {
    await eventually(
      async () => {
        const asked = new Set(receiver.requests.map(({ path }) => path).filter((path) => path.startsWith(prefix)));
        return await Promise.resolve(asked.size === STORM ? true : null);
      },
      { what: `a request of each at ${prefix}`, timeoutMs: CALM_MS },
    );
    const meanwhile = await measureElsewhere();
    const ratio = (meanwhile / alone).toFixed(2);
    console.log(`${what}: others took ${Math.round(meanwhile)} ms, alone ${Math.round(alone)} ms, ${ratio} times`);
  }

  test('with 429 and "again at once", until they take it', STORM_TIMEOUT, async () => {
    let storm = true;
    receiver.behave(({ path }) =>
      storm && path.startsWith('/busy/') ? { status: 429, headers: { 'retry-after': '0' }, body: NASTY } : undefined,
    );
    const syncs = await Promise.all(
      audiences.map(async (audience, at) => await addSync(audience, { path: `/busy/${at}` })),
    );
    await Promise.all(syncs.map(async (id) => await worker.start(id)));
    await measureInStorm('429 without a wait', '/busy/');
    storm = false;
    await expectCalm();
    for (const id of syncs) {
      expect(await readTaskRows(stores.pool, id)).toMatchObject({
        status: 'succeeded',
        attempts: [{ attempt: 1, outcome: 'succeeded' }],
      });
    }
  });

  test('with what is no answer, at each of their attempts', STORM_TIMEOUT, async () => {
    const noAnswer = 'HTTP/1.1 400 No\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n';
    receiver.behave(({ path }) => (path.startsWith('/bytes/') ? { raw: noAnswer } : undefined));
    const syncs = await Promise.all(
      audiences.map(async (audience, at) => await addSync(audience, { path: `/bytes/${at}` })),
    );
    await Promise.all(syncs.map(async (id) => await worker.start(id)));
    await measureInStorm('no HTTP', '/bytes/');
    await expectCalm();
    for (const id of syncs) {
      const { status, attempts } = await readTaskRows(stores.pool, id);
      expect(status).toBe('failed');
      expect(attempts.map(({ code }) => code)).toEqual(Array.from({ length: 6 }, () => 'destination_answer_invalid'));
      expect((await readTold(id)).alerts.at(-1)).toEqual({ kind: 'hard_failure', decision: 'sent' });
    }
  });

  test('with a failure that PostgreSQL does not take, which is made up for once it does', STORM_TIMEOUT, async () => {
    const { pool } = stores;
    receiver.behave(({ path }) => (path.startsWith('/refused/') ? { status: 401, body: NASTY } : undefined));
    await pool.query(`
      create function refuse() returns trigger language plpgsql as $$
        begin
          if new.outcome = 'failed' and exists (
            select from tasks where id = new.task_id and workspace_id = '${world.workspaceId}'
          ) then raise exception 'refused' using errcode = '22021'; end if;
          return new;
        end $$;
      create trigger refuse before update on attempts for each row execute function refuse()`);
    const syncs = await Promise.all(
      audiences.map(async (audience, at) => await addSync(audience, { path: `/refused/${at}` })),
    );
    await Promise.all(syncs.map(async (id) => await worker.start(id)));
    await eventually(async () => ((await readUnrecorded(pool)).count === STORM ? true : null), {
      what: 'that all of them are told of',
      timeoutMs: CALM_MS,
    });
    await measureInStorm('bookkeeping that is refused', '/refused/');
    expect(await readUnrecorded(pool)).toMatchObject({ count: STORM });

    await pool.query('drop trigger refuse on attempts');
    await expectCalm();
    for (const id of syncs) {
      expect(await readTaskRows(pool, id)).toMatchObject({
        status: 'failed',
        attempts: [{ attempt: 1, code: 'destination_credentials_rejected' }],
      });
    }
  });
});
