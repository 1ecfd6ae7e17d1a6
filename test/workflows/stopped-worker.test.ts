import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestStores } from '../helpers/engines.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { startTestWorker } from '../helpers/worker.ts';
import {
  addAudience,
  addPeople,
  addRun,
  connectWebhook,
  createWorld,
  eventually,
  readTaskRows,
} from '../helpers/world.ts';

const BATCH = 10;
const QUEUE = 'stopped-worker';

let stores: Awaited<ReturnType<typeof createTestStores>>;
let receiver: Receiver;

beforeAll(async () => {
  stores = await createTestStores();
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver?.close();
  await stores?.close();
});

test.each([
  ['waits for an answer', { hang: 'request' }],
  // A wait that is short enough for the worker to keep it.
  ['was asked to slow down', { status: 429, headers: { 'retry-after': '2' } }],
] as const)('a worker that stops in good order while it %s costs no attempt', async (name, reaction) => {
  const world = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, world, 40);
  const audience = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
  const path = `/${name.replaceAll(' ', '-')}`;
  await connectWebhook(stores.pool, world, audience, `${receiver.url}${path}`, 2 * BATCH);
  const ours = () => receiver.requests.filter((request) => request.path === path);
  let stopping = true;
  receiver.behave((request) => (stopping && request.path === path && ours().length === 2 ? reaction : undefined));

  const first = await startTestWorker({ ...stores, taskQueue: QUEUE });
  const run = await addRun(stores.pool, world, audience);
  await first.execute(run, 'run');
  await eventually(async () => (ours().length === 2 ? true : null), { what: 'the second batch' });
  await first.close();
  const { rows } = await stores.pool.query<{ id: string }>('select id from tasks where parent_task_id = $1', [run]);
  const syncId = rows[0]?.id ?? '';
  expect(await readTaskRows(stores.pool, syncId)).toMatchObject({ status: 'running', attempt: 1 });

  stopping = false;
  const second = await startTestWorker({ ...stores, taskQueue: QUEUE });
  const sync = await eventually(
    async () => {
      const task = await readTaskRows(stores.pool, syncId);
      return ['succeeded', 'failed'].includes(task.status) ? task : null;
    },
    { what: 'the end of the sync' },
  );
  await second.close();
  expect(sync.result).toMatchObject({ changes: 40, delivered: 40, rejected: 0, skipped: 0 });
  expect(sync.attempts.map(({ outcome }) => outcome)).toEqual(['succeeded']);
  const sent = ours().flatMap((request) => request.messages);
  expect(new Set(sent.map((message) => message.messageId)).size).toBe(40);
  expect(sent.length - 40, 'messages that were sent twice').toBe(BATCH);
  const said = await stores.pool.query('select type from audit_events where task_id = $1', [syncId]);
  expect(said.rows).toEqual([]);
});
