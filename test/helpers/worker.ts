import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { fileURLToPath } from 'node:url';
import { createActivities } from '../../activities/index.ts';
import { createLogger } from '../../src/logger.ts';
import { createOutgoingAgent } from '../../src/security/index.ts';
import type { ClickHouseClient, PostgresPool } from '../../src/store/index.ts';
import type { Backoff, TaskKind } from '../../src/tasks/index.ts';
import { destinationDeps, secretBox } from './world.ts';

export interface TestWorker {
  client: Client;
  taskQueue: string;
  /** Executes a task to the end of its workflow, and gives the workflow's result. */
  execute(taskId: string, kind: TaskKind): Promise<unknown>;
  start(taskId: string, kind: TaskKind): Promise<void>;
  close(): Promise<void>;
}

Runtime.install({ logger: new DefaultLogger('ERROR') });

let bundle: Promise<{ code: string }> | undefined;

/** The workflows as a worker loads them, bundled from their sources once a process. */
export async function bundleWorkflows(): Promise<{ code: string }> {
  bundle ??= bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)),
    logger: silent,
  });
  return await bundle;
}

/** A worker in this process, on a task queue of its own, with the real activities. Retries come at once. */
export async function startTestWorker(options: {
  pool: PostgresPool;
  clickhouse: ClickHouseClient;
  temporalAddress: string;
  taskQueue: string;
  backoff?: Backoff;
}): Promise<TestWorker> {
  const connection = await Connection.connect({ address: options.temporalAddress });
  const nativeConnection = await NativeConnection.connect({ address: options.temporalAddress });
  const client = new Client({ connection });
  const start = async (taskId: string, kind: TaskKind): Promise<void> => {
    await client.workflow.start('executeTask', {
      workflowId: `task/${taskId}`,
      taskQueue: options.taskQueue,
      args: [{ taskId, kind, heartbeatTimeoutMs: 2_000 }],
    });
  };
  const activities = createActivities({
    tasks: {
      pool: options.pool,
      clickhouse: options.clickhouse,
      destinations: destinationDeps,
      logger: createLogger({ level: 'silent', program: 'test' }),
      backoff: options.backoff ?? { baseMs: 10, maxMs: 50 },
    },
    channels: { pool: options.pool, secretBox, dispatcher: createOutgoingAgent({ allowPrivateAddresses: true }) },
    temporal: client,
    startTask: async (taskId) => {
      const { rows } = await options.pool.query<{ kind: TaskKind }>('select kind from tasks where id = $1', [taskId]);
      await start(taskId, rows[0]?.kind ?? 'run');
    },
  });
  const worker = await Worker.create({
    connection: nativeConnection,
    taskQueue: options.taskQueue,
    workflowBundle: await bundleWorkflows(),
    activities,
    shutdownGraceTime: '1 second',
  });
  const running = worker.run();
  return {
    client,
    taskQueue: options.taskQueue,
    start,
    execute: async (taskId, kind) => {
      await start(taskId, kind);
      return await client.workflow.getHandle(`task/${taskId}`).result();
    },
    close: async () => {
      worker.shutdown();
      await running;
      await nativeConnection.close();
      await connection.close();
    },
  };
}

const silent = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };
