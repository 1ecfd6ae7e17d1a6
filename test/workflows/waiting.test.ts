import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestStores } from '../helpers/engines.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { startTestWorker, type TestWorker } from '../helpers/worker.ts';
import {
  addAudience,
  addPeople,
  addRun,
  connectWebhook,
  createWorld,
  eventually,
  readTaskRows,
} from '../helpers/world.ts';

let stores: Awaited<ReturnType<typeof createTestStores>>;
let worker: TestWorker;
let receiver: Receiver;

beforeAll(async () => {
  stores = await createTestStores();
  worker = await startTestWorker({ ...stores, taskQueue: 'waiting' });
  receiver = await startReceiver();
});
afterAll(async () => {
  await worker?.close();
  await receiver?.close();
  await stores?.close();
});

interface Waiting {
  id: string;
  status: string;
  attempt: number;
  waiting_for: string | null;
  waits_ms: number | null;
  retry_in_ms: number | null;
}

/** Runs an audience of `members` that is connected to the receiver at `path`, and gives a reader of its sync. */
async function startSync(
  path: string,
  members: number,
  before: (destinationId: string) => Promise<void> = async () => {},
) {
  const world = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, world, members);
  const audience = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
  const { destinationId } = await connectWebhook(stores.pool, world, audience, `${receiver.url}${path}`, 10);
  await before(destinationId);
  const runId = await addRun(stores.pool, world, audience);
  await worker.execute(runId, 'run');
  const read = async (): Promise<Waiting | undefined> => {
    const { rows } = await stores.pool.query<Waiting>(
      `select id, status, attempt, waiting_for, extract(epoch from waiting_until - now())::float8 * 1000 as waits_ms,
              extract(epoch from retry_at - now())::float8 * 1000 as retry_in_ms
       from tasks where parent_task_id = $1`,
      [runId],
    );
    return rows[0];
  };
  return {
    world,
    read,
    until: async (what: string, check: (sync: Waiting) => boolean) =>
      await eventually(
        async () => {
          const sync = await read();
          return sync !== undefined && check(sync) ? sync : null;
        },
        { what, timeoutMs: 60_000 },
      ),
  };
}

async function executionsOf(taskId: string) {
  const { rows } = await stores.pool.query(
    `select outcome, attempt, rows_in, rows_out from step_executions where task_id = $1 and step = 'deliver' order by execution`,
    [taskId],
  );
  return rows;
}

test('a destination that asks to slow down has no worker waiting for it, and costs no attempt', async () => {
  let asked = 0;
  receiver.behave(({ path }) =>
    path === '/slow-down' && ++asked === 2 ? { status: 429, headers: { 'retry-after': '8' } } : undefined,
  );
  const sync = await startSync('/slow-down', 12);
  const waiting = await sync.until('waiting', ({ waiting_for }) => waiting_for !== null);
  expect(waiting).toMatchObject({ status: 'running', attempt: 1, waiting_for: 'rate_limit' });
  expect(waiting.waits_ms).toBeGreaterThan(0);
  expect(waiting.waits_ms).toBeLessThanOrEqual(8_000);
  await eventually(
    async () => {
      const [first] = await executionsOf(waiting.id);
      return first?.outcome === 'interrupted' ? true : null;
    },
    { what: 'the end of the execution', timeoutMs: 10_000 },
  );

  const done = await sync.until('an outcome', ({ status }) => status === 'succeeded');
  expect(done).toMatchObject({ attempt: 1, waiting_for: null });
  expect(await executionsOf(done.id)).toEqual([
    { outcome: 'interrupted', attempt: 1, rows_in: 5, rows_out: 5 },
    { outcome: 'completed', attempt: 1, rows_in: 7, rows_out: 7 },
  ]);
  expect((await readTaskRows(stores.pool, done.id)).attempts.map(({ outcome }) => outcome)).toEqual(['succeeded']);
  const arrived = receiver.accepted.filter(({ messageId }) => messageId !== undefined);
  expect(new Set(arrived.map(({ userId }) => userId)).size).toBe(12);
});

test('one that refuses and says "again at once" is asked more and more seldom, and has no worker waiting for it', async () => {
  let refuses = true;
  receiver.behave(({ path }) =>
    refuses && path === '/at-once' ? { status: 429, headers: { 'retry-after': '0' } } : undefined,
  );
  const sync = await startSync('/at-once', 3);
  const waiting = await sync.until('waiting', ({ waiting_for }) => waiting_for === 'rate_limit');
  // 100, 200, 400, 800 and 1600 ms after the first.
  expect(receiver.requests.filter(({ path }) => path === '/at-once').length).toBeLessThan(10);
  expect(waiting).toMatchObject({ status: 'running', attempt: 1 });
  refuses = false;
  const done = await sync.until('an outcome', ({ status }) => status === 'succeeded');
  expect(done).toMatchObject({ attempt: 1, waiting_for: null });
  expect((await readTaskRows(stores.pool, done.id)).attempts).toHaveLength(1);
});

test('one that asks for more than an hour costs one attempt, and the next waits for as long as it asked', async () => {
  receiver.behave(({ path }) =>
    path === '/tomorrow' ? { status: 429, headers: { 'retry-after': '7200' } } : undefined,
  );
  const sync = await startSync('/tomorrow', 3);
  const backing = await sync.until('backing off', ({ status }) => status === 'backing_off');
  expect(backing.attempt).toBe(1);
  expect(backing.retry_in_ms).toBeGreaterThan(7_100_000);
  expect(backing.retry_in_ms).toBeLessThanOrEqual(7_200_000);
  expect((await readTaskRows(stores.pool, backing.id)).attempts).toMatchObject([
    { outcome: 'failed', step: 'deliver', code: 'destination_rate_limited', failure_class: 'transient' },
  ]);
});

test('one that is left alone is not asked, and then gets everything at the first attempt', async () => {
  receiver.behave(() => undefined);
  const sync = await startSync('/left-alone', 3, async (destinationId) => {
    await stores.pool.query(
      `insert into destination_circuits (destination_id, failures, opened_at, open_until)
       values ($1, 5, now(), now() + interval '30 minutes')`,
      [destinationId],
    );
  });
  const waiting = await sync.until('waiting', ({ waiting_for }) => waiting_for === 'circuit');
  expect(waiting.waits_ms).toBeGreaterThan(0);
  expect(receiver.requests.filter(({ path }) => path === '/left-alone')).toEqual([]);

  // As if the half hour had passed.
  await stores.pool.query('update destination_circuits set open_until = now() where open_until > now()');
  await stores.pool.query('update tasks set waiting_until = now() where id = $1', [waiting.id]);
  // Now and then: the workflow may not have heard yet that the step waits, and who looks before is no reason to go on early.
  const waking = setInterval(() => void worker.wake(waiting.id), 2_000);
  const done = await sync
    .until('an outcome', ({ status }) => status === 'succeeded')
    .finally(() => clearInterval(waking));
  expect(done).toMatchObject({ attempt: 1, waiting_for: null });
  const trail = await stores.pool.query(
    `select type from audit_events where workspace_id = $1 and type like 'Destination Circuit%'`,
    [sync.world.workspaceId],
  );
  expect(trail.rows).toEqual([{ type: 'Destination Circuit Closed' }]);
});
