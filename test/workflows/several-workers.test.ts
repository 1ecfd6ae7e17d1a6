import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createComputation } from '../../src/computations/index.ts';
import { connectComputation } from '../../src/connections/index.ts';
import { createDestination } from '../../src/destinations/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { createNamespace, startProgram, type Program } from '../helpers/program.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { addPeople, createWorld, destinationDeps, eventually, SECRET, type World } from '../helpers/world.ts';

// Temporal's development server takes about ten a second on two cores: enough that some are under way whenever a worker goes.
const TASKS = 100;
const SYNCS = TASKS / 10;
const RUNS = TASKS - SYNCS;
const MEMBERS = 5;
const namespace = `several-workers-${Date.now()}`;

let stores: TestStores;
let receiver: Receiver;
let connection: Connection;
const workers: Program[] = [];

beforeAll(async () => {
  stores = await createTestStores();
  receiver = await startReceiver();
  connection = await Connection.connect({ address: stores.temporalAddress });
  await createNamespace(stores.temporalAddress, namespace);
});
afterAll(async () => {
  for (const worker of workers) if (worker.process.exitCode === null && !worker.process.killed) await worker.kill();
  await connection?.close();
  await receiver?.close();
  await stores?.close();
});

async function startWorker(): Promise<Program> {
  const worker = await startProgram(['worker'], {
    DATABASE_URL: stores.databaseUrl,
    CLICKHOUSE_URL: stores.clickhouseUrl,
    TEMPORAL_ADDRESS: stores.temporalAddress,
    TEMPORAL_NAMESPACE: namespace,
    TRAILMARK_SECRET: SECRET,
    TRAILMARK_ALLOW_PRIVATE_ADDRESSES: 'on',
    TRAILMARK_HEARTBEAT_TIMEOUT_SECONDS: '3',
    TRAILMARK_BACKOFF_BASE_SECONDS: '0.1',
    TRAILMARK_SCHEDULER_SECONDS: '2',
    TRAILMARK_MAX_IN_FLIGHT: '100',
  });
  workers.push(worker);
  await worker.says('worker ready', 120_000);
  return worker;
}

/** Audiences that are due at once, the first of them connected to a path of the receiver each. */
async function fill(world: World): Promise<void> {
  await inTransaction(stores.pool, async (tx) => {
    await tx.query('update spaces set max_runs = 1000, max_backfills = 1000 where id = $1', [world.spaceId]);
    for (let index = 0; index < RUNS; index++) {
      const name = `audience ${index}`;
      const computation = await createComputation(
        tx,
        {
          ...world,
          kind: 'audience',
          name,
          definition: { type: 'USERS', query: "event('Visited').count() >= 1" },
          schedule: { intervalSeconds: 86_400 },
        },
        world.actor,
      );
      if (index >= SYNCS) continue;
      const mapping = { url: `${receiver.url}/${computation.id}`, batch_size: 2 };
      const destination = await createDestination(tx, destinationDeps, {
        ...world,
        slug: 'webhook',
        name,
        subscriptions: [{ trigger: 'type = "track"', mapping }],
      });
      await connectComputation(tx, destinationDeps, {
        ...world,
        computationId: computation.id,
        destinationId: destination.id,
      });
    }
  });
}

async function untilEnded(share: number): Promise<void> {
  await eventually(
    async () => {
      const { rows } = await stores.pool.query<{ ended: number }>(
        'select count(*)::int as ended from tasks where ended_at is not null',
      );
      return (rows[0]?.ended ?? 0) >= share * TASKS ? true : null;
    },
    { what: `the end of ${share * 100} % of the tasks`, timeoutMs: 240_000 },
  );
}

async function rowsOf<T extends object>(query: string): Promise<T[]> {
  return (await stores.pool.query(query)).rows as T[];
}

test(`workers come and go while ${TASKS} tasks run: none is lost, none is doubled`, async () => {
  const world = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, world, MEMBERS);
  await fill(world);
  const [first, second, third] = await Promise.all([startWorker(), startWorker(), startWorker()]);
  await untilEnded(0.1);
  await first.kill();
  const fourth = startWorker();
  await untilEnded(0.3);
  expect(await second.terminate(), 'a worker that is asked to end does so in good order').toBe(0);
  const fifth = startWorker();
  await untilEnded(0.5);
  await (await fourth).kill();
  await untilEnded(0.7);
  expect(await third.terminate()).toBe(0);
  const sixth = startWorker();
  await untilEnded(1);
  await Promise.all([fifth, sixth]);

  // Each task once, with one outcome.
  expect(
    await rowsOf(`select kind, status, count(*)::int as tasks, count(distinct coalesce(connection_id, computation_id))::int as things
                  from tasks group by kind, status order by kind`),
  ).toEqual([
    { kind: 'run', status: 'succeeded', tasks: RUNS, things: RUNS },
    { kind: 'sync', status: 'succeeded', tasks: SYNCS, things: SYNCS },
  ]);
  // Each run committed one version, and what it computed is what is live.
  expect(
    await rowsOf(`select count(*)::int as live from computations c join steps s on s.name = 'compute'
                  join tasks t on t.id = s.task_id and t.computation_id = c.id and t.kind = 'run'
                  where c.live_version = (s.output ->> 'version')::bigint and c.live_size = ${MEMBERS}`),
  ).toEqual([{ live: RUNS }]);
  expect(
    await rowsOf(`select count(*)::int as events, count(distinct task_id)::int as tasks from audit_events
                  where type = 'Audience Run Complete'`),
  ).toEqual([{ events: RUNS, tasks: RUNS }]);
  // No step was executed again that had its checkpoint, and each failed attempt is in the trail once.
  expect(
    await rowsOf(`select task_id, step from step_executions group by task_id, step
                  having count(*) filter (where outcome = 'completed') <> 1 or bool_or(ended_at is null)`),
  ).toEqual([]);
  expect(
    await rowsOf(`select a.task_id, a.attempt from attempts a
                  left join audit_events e on e.task_id = a.task_id and e.attempt = a.attempt and e.type like '% Failed'
                  where a.outcome is null or (a.outcome = 'failed') group by a.task_id, a.attempt having count(e.id) <> 1`),
  ).toEqual([]);
  const failures = await rowsOf<{ code: string }>(`select distinct code from attempts where outcome = 'failed'`);
  expect(failures.filter(({ code }) => code !== 'worker_lost')).toEqual([]);

  // Every member arrived at every destination; what came twice is the same message.
  const arrivals = new Map<string, Set<string>>();
  for (const { path, messages } of receiver.requests) {
    for (const { userId, messageId } of messages) {
      const member = `${path} ${userId}`;
      arrivals.set(member, (arrivals.get(member) ?? new Set()).add(messageId));
    }
  }
  expect(arrivals.size).toBe(SYNCS * MEMBERS);
  expect([...arrivals].filter(([, messageIds]) => messageIds.size !== 1)).toEqual([]);

  // And no workflow is left that would execute one of them.
  const temporal = new Client({ connection, namespace });
  await eventually(
    async () => {
      const { count } = await temporal.workflow.count(`WorkflowType = 'executeTask' AND ExecutionStatus = 'Running'`);
      return count === 0 ? true : null;
    },
    { what: 'the end of all workflows' },
  );
}, 600_000);
