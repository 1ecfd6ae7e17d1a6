import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTaskStarter } from '../../src/tasks/index.ts';
import { createTestStores } from '../helpers/engines.ts';
import { createNamespace, startProgram, type Program } from '../helpers/program.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import {
  addAudience,
  addPeople,
  addRun,
  connectWebhook,
  createWorld,
  eventually,
  readTaskRows,
  SECRET,
} from '../helpers/world.ts';

const MEMBERS = 100;
const BATCH = 20;

let stores: Awaited<ReturnType<typeof createTestStores>>;
let receiver: Receiver;
let connection: Connection;
const workers: Program[] = [];

beforeAll(async () => {
  stores = await createTestStores();
  receiver = await startReceiver();
  connection = await Connection.connect({ address: stores.temporalAddress });
});
afterAll(async () => {
  for (const worker of workers) if (worker.process.exitCode === null) await worker.kill();
  await connection?.close();
  await receiver?.close();
  await stores?.close();
});

test('kill -9 of the worker in the middle of deliver: every change arrives, at most the batch in flight twice', async () => {
  const namespace = `killed-worker-${Date.now()}`;
  await createNamespace(stores.temporalAddress, namespace);
  const world = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, world, MEMBERS);
  const audience = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
  await connectWebhook(stores.pool, world, audience, receiver.url, BATCH);
  // The third batch is taken and its answer comes late: the worker dies while it waits for it.
  receiver.behave((request) => (request.number === 3 ? { delayMs: 3_000 } : undefined));

  await startWorker(namespace);
  const run = await addRun(stores.pool, world, audience);
  const temporal = new Client({ connection, namespace });
  await createTaskStarter({ pool: stores.pool, temporal, heartbeatTimeoutMs: 2_000 })(run);
  await receiver.received((request) => request.number === 3);
  await workers[0]?.kill();
  const { rows } = await stores.pool.query<{ id: string }>('select id from tasks where parent_task_id = $1', [run]);
  const syncId = rows[0]?.id ?? '';
  const interrupted = await readTaskRows(stores.pool, syncId);
  expect(interrupted.status).toBe('running');
  expect(interrupted.steps.find((step) => step.name === 'deliver')?.cursor).toMatchObject({ delivered: 20 });

  await startWorker(namespace);
  const sync = await eventually(
    async () => {
      const task = await readTaskRows(stores.pool, syncId);
      return task.status === 'succeeded' || task.status === 'failed' ? task : null;
    },
    { what: 'the end of the sync', timeoutMs: 60_000 },
  );
  expect(sync.status).toBe('succeeded');
  expect(sync.result).toMatchObject({ changes: MEMBERS, delivered: MEMBERS, rejected: 0, skipped: 0 });

  const arrivals = new Map<string, string[]>();
  for (const message of receiver.accepted) {
    const userId = String(message.userId);
    arrivals.set(userId, [...(arrivals.get(userId) ?? []), message.messageId]);
  }
  expect(arrivals.size).toBe(MEMBERS);
  const twice = [...arrivals.values()].filter((messageIds) => messageIds.length > 1);
  expect(twice.length, 'changes that came twice').toBeLessThanOrEqual(BATCH);
  expect(twice.length, 'the batch in flight was taken before the worker died').toBeGreaterThan(0);
  for (const messageIds of twice) expect(new Set(messageIds).size).toBe(1);

  expect(
    sync.attempts.map((attempt) => [attempt.outcome, attempt.step, attempt.code]),
    'that its worker was killed is no fault of the step',
  ).toEqual([['succeeded', null, null]]);
  const deliveries = await stores.pool.query(
    `select attempt, outcome, code from step_executions where task_id = $1 and step = 'deliver' order by execution`,
    [syncId],
  );
  expect(deliveries.rows).toEqual([
    { attempt: 1, outcome: 'interrupted', code: 'worker_lost' },
    { attempt: 1, outcome: 'completed', code: null },
  ]);
  expect(
    sync.steps.map((step) => [step.name, step.executions]),
    'a step that completed is never executed again',
  ).toEqual([
    ['prepare', 1],
    ['extract', 1],
    ['deliver', 2],
    ['reconcile', 1],
    ['finish', 1],
  ]);
  const trail = await stores.pool.query('select from audit_events where task_id = $1', [syncId]);
  expect(trail.rowCount, 'nobody is told').toBe(0);
}, 180_000);

async function startWorker(namespace: string): Promise<void> {
  const worker = await startProgram(['worker'], {
    DATABASE_URL: stores.databaseUrl,
    CLICKHOUSE_URL: stores.clickhouseUrl,
    TEMPORAL_ADDRESS: stores.temporalAddress,
    TEMPORAL_NAMESPACE: namespace,
    TRAILMARK_SECRET: SECRET,
    TRAILMARK_ALLOW_PRIVATE_ADDRESSES: 'on',
    TRAILMARK_HEARTBEAT_TIMEOUT_SECONDS: '2',
    TRAILMARK_BACKOFF_BASE_SECONDS: '0.1',
    TRAILMARK_SCHEDULER_SECONDS: '3600',
  });
  workers.push(worker);
  await worker.says('worker ready');
}
