import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { createActivities } from '../../activities/index.ts';
import { createWorkers, runWorkers, type Slots } from '../../src/bin/workers.ts';
import type { DestinationDeps } from '../../src/destinations/index.ts';
import { createLogger } from '../../src/logger.ts';
import { createOutgoingAgent } from '../../src/security/index.ts';
import type { ClickHouseClient, PostgresPool } from '../../src/store/index.ts';
import {
  createAdmitter,
  createSharedSlots,
  createTaskStarter,
  createTaskWaker,
  ensureSearchAttributes,
  taskQueues,
  WORK_KINDS,
  type Backoff,
  type TaskKind,
  type TaskStarter,
  type TaskWaker,
  type WorkKind,
} from '../../src/tasks/index.ts';
import { addressOf } from './engines.ts';
import { SILENT } from './silent-logger.ts';
import { destinationDeps, secretBox } from './world.ts';

export interface TestWorker {
  client: Client;
  /** The name of its task queues, and of the one for workflows. */
  taskQueue: string;
  /** Executes a task to the end of its workflow, and gives the workflow's result. */
  execute(taskId: string, kind?: TaskKind): Promise<unknown>;
  start: TaskStarter;
  /** Tells the workflow of a task to look what to do. */
  wake: TaskWaker;
  close(): Promise<void>;
}

Runtime.install({ logger: new DefaultLogger('ERROR') });

const bundles = new Map<string, Promise<{ code: string }>>();

/** The workflows as a worker loads them, bundled from their sources once for all files of the run: that takes seconds. */
export async function bundleWorkflows(): Promise<{ code: string }> {
  return await once('ours', async () => ({ code: await readFile(await addressOf('workflows'), 'utf8') }));
}

/** Bundles other workflows, in a file of this folder or near it; once a process. */
export async function bundleFrom(file: string): Promise<{ code: string }> {
  const workflowsPath = fileURLToPath(new URL(file, import.meta.url));
  return await once(workflowsPath, async () => await bundleWorkflowCode({ workflowsPath, logger: SILENT }));
}

async function once(name: string, make: () => Promise<{ code: string }>): Promise<{ code: string }> {
  const made = bundles.get(name) ?? make();
  bundles.set(name, made);
  return await made;
}

/** Workers of every kind in this process, on task queues of their own, with the real activities. Retries come at once. */
export async function startTestWorker(options: {
  pool: PostgresPool;
  clickhouse: ClickHouseClient;
  temporalAddress: string;
  /** The name of the task queues: each test file has one. */
  taskQueue: string;
  backoff?: Backoff;
  /** The kinds of work that are done; all where it is not given. */
  serve?: readonly WorkKind[];
  /** Where it is not given, the default one. */
  namespace?: string;
  heartbeatTimeoutMs?: number;
  /** How much is done at once; as of a worker where nothing is set, where it is not given. */
  slots?: Slots;
  /** The way to destinations, where it is not the usual one. */
  destinations?: DestinationDeps;
  /** As of a worker with TRAILMARK_BUILD_ID. */
  buildId?: string;
  /** The workflows, where they are not ours as they are now. */
  workflowBundle?: { code: string };
}): Promise<TestWorker> {
  const { pool, clickhouse } = options;
  const queues = taskQueues(options.taskQueue);
  const connection = await Connection.connect({ address: options.temporalAddress });
  const nativeConnection = await NativeConnection.connect({ address: options.temporalAddress });
  const temporal = new Client({ connection, namespace: options.namespace ?? 'default' });
  await ensureSearchAttributes(temporal);
  const { heartbeatTimeoutMs = 2_000 } = options;
  const startTask = createTaskStarter({ pool, temporal, heartbeatTimeoutMs, queues });
  const { slots = { workflows: 12, compute: 6, deliver: 30, alerts: 6 } } = options;
  const logger = createLogger({ level: 'silent', program: 'test' });
  const admitter = createAdmitter({ pool, startTask, logger, maxInFlight: 1_000 });
  const activities = createActivities({
    tasks: {
      pool,
      clickhouse,
      destinations: options.destinations ?? destinationDeps,
      logger,
      backoff: options.backoff ?? { baseMs: 10, maxMs: 50 },
    },
    channels: { pool, secretBox, dispatcher: createOutgoingAgent({ allowPrivateAddresses: true }) },
    temporal,
    slots: createSharedSlots(slots),
    queues,
    startTask,
    admitter,
  });
  const workers = await createWorkers({
    connection: nativeConnection,
    namespace: options.namespace ?? 'default',
    buildId: options.buildId,
    queues,
    serve: options.serve ?? WORK_KINDS,
    slots,
    activities,
    workflows: { workflowBundle: options.workflowBundle ?? (await bundleWorkflows()) },
    graceMs: 1_000,
  });
  const stop = new AbortController();
  const running = runWorkers(workers, stop.signal);
  return {
    client: temporal,
    taskQueue: options.taskQueue,
    start: startTask,
    execute: async (taskId) => {
      await startTask(taskId);
      return await temporal.workflow.getHandle(`task/${taskId}`).result();
    },
    wake: createTaskWaker(temporal),
    close: async () => {
      stop.abort();
      await running;
      await admitter.close();
      await nativeConnection.close();
      await connection.close();
    },
  };
}

/** The last fifteen events of a workflow's history, a line each, for telling where it hangs. */
export async function lastEvents(handle: WorkflowHandle): Promise<string> {
  const { events } = await handle.fetchHistory();
  const asText = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
  return (events ?? [])
    .slice(-15)
    .map((event) => JSON.stringify(event, asText))
    .join('\n');
}
