import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker, type LogLevel } from '@temporalio/worker';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createActivities } from '../../../activities/index.ts';
import type { Config } from '../../config.ts';
import { createDestinationDeps } from '../../destinations/index.ts';
import { createLogger, type Logger } from '../../logger.ts';
import { createLoader } from '../../pipeline/index.ts';
import { createOutgoingAgent, createSecretBox } from '../../security/index.ts';
import { createClickHouse, createPool } from '../../store/index.ts';
import { createTaskStarter, ensureSchedule, TASK_QUEUE } from '../../tasks/index.ts';
import { requireAddresses } from '../addresses.ts';
import { startTelemetry, type Telemetry } from '../telemetry.ts';

// build.mjs writes the bundle; where the program runs from its sources (npm run dev), the worker bundles them itself.
const BUNDLE = fileURLToPath(new URL('../../../workflow-bundle.js', import.meta.url));
const WORKFLOWS = fileURLToPath(new URL('../../../workflows/index.ts', import.meta.url));

/** `trailmark worker`: executes tasks, loads the event log into ClickHouse, delivers alerts. Ends when `signal` is aborted; `sayReady` tells a parent. */
export async function runWorker(config: Config, signal: AbortSignal, sayReady: () => void): Promise<void> {
  const addresses = requireAddresses(config);
  const logger = createLogger({ level: config.TRAILMARK_LOG_LEVEL, program: 'worker' });
  const telemetry = await startTelemetry({ program: 'worker', config, logger });
  installRuntime(logger, telemetry.temporal);
  const onError = (error: Error) => logger.warn({ err: error }, 'a connection to PostgreSQL broke');
  const pool = createPool({
    connectionString: addresses.databaseUrl,
    applicationName: 'trailmark-worker',
    max: 20,
    onError,
  });
  const clickhouse = createClickHouse({ url: addresses.clickhouseUrl, applicationName: 'trailmark-worker' });
  const connection = await Connection.connect({ address: addresses.temporalAddress });
  const nativeConnection = await NativeConnection.connect({ address: addresses.temporalAddress });
  try {
    const temporal = new Client({ connection, namespace: config.TEMPORAL_NAMESPACE });
    const startTask = createTaskStarter({
      pool,
      temporal,
      heartbeatTimeoutMs: config.TRAILMARK_HEARTBEAT_TIMEOUT_SECONDS * 1000,
    });
    const secretBox = createSecretBox(addresses.secret);
    const outgoing = createOutgoingAgent({ allowPrivateAddresses: config.TRAILMARK_ALLOW_PRIVATE_ADDRESSES });
    const activities = createActivities({
      tasks: {
        pool,
        clickhouse,
        logger,
        destinations: createDestinationDeps({
          secretBox,
          allowPrivateAddresses: config.TRAILMARK_ALLOW_PRIVATE_ADDRESSES,
        }),
        backoff: {
          baseMs: config.TRAILMARK_BACKOFF_BASE_SECONDS * 1000,
          maxMs: config.TRAILMARK_BACKOFF_MAX_SECONDS * 1000,
        },
      },
      channels: { pool, secretBox, dispatcher: outgoing },
      temporal,
      startTask,
    });
    const worker = await Worker.create({
      connection: nativeConnection,
      namespace: config.TEMPORAL_NAMESPACE,
      taskQueue: TASK_QUEUE,
      activities,
      ...(existsSync(BUNDLE) ? { workflowBundle: { codePath: BUNDLE } } : { workflowsPath: WORKFLOWS }),
      shutdownGraceTime: '10 seconds',
      maxCachedWorkflows: 500,
    });
    await ensureSchedule(temporal, config.TRAILMARK_SCHEDULER_SECONDS);
    const loader = createLoader({ pool, clickhouse, logger });
    const stop = new AbortController();
    signal.addEventListener('abort', () => stop.abort(), { once: true });
    logger.info({ taskQueue: TASK_QUEUE }, 'worker ready');
    sayReady();
    await Promise.all([
      worker.runUntil(untilAborted(stop.signal)).finally(() => stop.abort()),
      loader.run(stop.signal).finally(() => stop.abort()),
    ]);
  } finally {
    await nativeConnection.close();
    await connection.close();
    await clickhouse.close();
    await pool.end();
    await telemetry.stop();
  }
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Temporal's own log goes through ours, its metrics to where ours go. */
function installRuntime(logger: Logger, metrics: Telemetry['temporal']): void {
  const levels: Record<LogLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'> = {
    TRACE: 'trace',
    DEBUG: 'debug',
    INFO: 'debug',
    WARN: 'warn',
    ERROR: 'error',
  };
  Runtime.install({
    logger: new DefaultLogger('INFO', (entry) => logger[levels[entry.level]](entry.meta ?? {}, entry.message)),
    shutdownSignals: [],
    ...(metrics === undefined ? {} : { telemetryOptions: { metrics } }),
  });
}
