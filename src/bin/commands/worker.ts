import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, type LogLevel } from '@temporalio/worker';
import { existsSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createActivities } from '../../../activities/index.ts';
import { fillReferences } from '../../computations/index.ts';
import type { Config } from '../../config.ts';
import { createDestinationDeps } from '../../destinations/index.ts';
import { RequestError } from '../../errors.ts';
import { setMark } from '../../health/index.ts';
import { createLogger, type Logger } from '../../logger.ts';
import { countRestoredSchedules } from '../../metrics/index.ts';
import { createLoader } from '../../pipeline/index.ts';
import { createOutgoingAgent, createSecretBox } from '../../security/index.ts';
import { createClickHouse, createPool, type PostgresPool } from '../../store/index.ts';
import {
  createAdmitter,
  createSharedSlots,
  createTaskStarter,
  ensureSchedules,
  ensureSearchAttributes,
  restoreSchedules,
  taskQueues,
  WORK_KINDS,
  type SchedulesOptions,
  type WorkKind,
} from '../../tasks/index.ts';
import { requireAddresses } from '../system/addresses.ts';
import { listBuilds } from '../deployment.ts';
import { outgoingRules } from '../outgoing.ts';
import { startTelemetry, type Telemetry } from '../telemetry.ts';
import { createWorkers, runWorkers, type Slots } from '../workers.ts';

// build.mjs writes the bundle; where the program runs from its sources (npm run dev), the worker bundles them itself.
const BUNDLE = fileURLToPath(new URL('../../../workflow-bundle.js', import.meta.url));
const WORKFLOWS = fileURLToPath(new URL('../../../workflows/index.ts', import.meta.url));

export interface WorkerOptions {
  /** The kinds of work to take, separated by commas. */
  queues?: string;
}

/** How often a worker looks whether Temporal still has what it needs: one that lost its data has no schedule to mend that. */
const WATCH_EVERY_MS = 15_000;
const GRACE_MS = 10_000;
// The SDK warns of it, and of three of our queues it is meant.
const NO_WORKFLOWS = 'No workflows registered';

/**
 * `trailmark worker`: executes tasks, loads the event log into ClickHouse, delivers alerts; all of it, or the kinds of work in
 * `options`. Who computes also stands by to load the log. Ends when `signal` is aborted; `sayReady` tells a parent.
 */
export async function runWorker(
  config: Config,
  signal: AbortSignal,
  sayReady: () => void,
  options: WorkerOptions = {},
): Promise<void> {
  const serve = readWorkKinds(options.queues);
  const addresses = requireAddresses(config);
  const logger = createLogger({ level: config.TRAILMARK_LOG_LEVEL, program: 'worker' });
  const telemetry = await startTelemetry({ program: 'worker', config, logger });
  installRuntime(logger, telemetry.temporal);
  const slots: Slots = {
    workflows: config.TRAILMARK_SLOTS_WORKFLOWS,
    compute: config.TRAILMARK_SLOTS_COMPUTE,
    deliver: config.TRAILMARK_SLOTS_DELIVER,
    alerts: config.TRAILMARK_SLOTS_ALERTS,
  };
  const onError = (error: Error) => logger.warn({ err: error }, 'a connection to PostgreSQL broke');
  const pool = createPool({
    connectionString: addresses.databaseUrl,
    applicationName: 'trailmark-worker',
    max: connectionsFor(serve, slots),
    onError,
  });
  const clickhouse = createClickHouse({ url: addresses.clickhouseUrl, applicationName: 'trailmark-worker' });
  const connection = await Connection.connect({ address: addresses.temporalAddress });
  const nativeConnection = await NativeConnection.connect({ address: addresses.temporalAddress });
  const temporal = new Client({ connection, namespace: config.TEMPORAL_NAMESPACE });
  const startTask = createTaskStarter({
    pool,
    temporal,
    heartbeatTimeoutMs: config.TRAILMARK_HEARTBEAT_TIMEOUT_SECONDS * 1000,
  });
  const admitter = createAdmitter({ pool, logger, startTask, maxInFlight: config.TRAILMARK_MAX_IN_FLIGHT });
  try {
    const secretBox = createSecretBox(addresses.secret);
    const outgoing = outgoingRules(config);
    const activities = createActivities({
      tasks: {
        pool,
        clickhouse,
        logger,
        destinations: createDestinationDeps({ secretBox, ...outgoing }),
        backoff: {
          baseMs: config.TRAILMARK_BACKOFF_BASE_SECONDS * 1000,
          maxMs: config.TRAILMARK_BACKOFF_MAX_SECONDS * 1000,
        },
        waitForEventsMs: config.TRAILMARK_WAIT_FOR_EVENTS_SECONDS * 1000,
      },
      channels: { pool, secretBox, dispatcher: createOutgoingAgent(outgoing) },
      temporal,
      slots: createSharedSlots(slots),
      startTask,
      admitter,
    });
    const schedules = { everySeconds: config.TRAILMARK_SCHEDULER_SECONDS };
    const servesWorkflows = serve.includes('workflows');
    let told: string | undefined;
    // Before anything is taken: a workflow of ours sets them.
    if (servesWorkflows) {
      told = await ensureAttributes(temporal, logger);
      await fillReferences(pool);
      // And before there are workers: these can't be given up, so what fails after them would end as a connection that can't be closed.
      await ensureSchedules(temporal, schedules);
      await setMark(pool, 'schedules_checked', { everySeconds: schedules.everySeconds });
    }
    const workers = await createWorkers({
      connection: nativeConnection,
      namespace: config.TEMPORAL_NAMESPACE,
      queues: taskQueues(),
      serve,
      slots,
      activities,
      workflows: existsSync(BUNDLE) ? { workflowBundle: { codePath: BUNDLE } } : { workflowsPath: WORKFLOWS },
      graceMs: GRACE_MS,
      buildId: config.TRAILMARK_BUILD_ID,
    });
    const stop = new AbortController();
    signal.addEventListener('abort', () => stop.abort(), { once: true });
    if (signal.aborted) stop.abort();
    logger.info({ serve, buildId: config.TRAILMARK_BUILD_ID }, 'worker ready');
    sayReady();
    if (config.TRAILMARK_BUILD_ID !== undefined) await sayWhetherDeployed(temporal, config.TRAILMARK_BUILD_ID, logger);
    const programs = [async () => await runWorkers(workers, stop.signal)];
    if (servesWorkflows)
      programs.push(async () => await watchTemporal({ temporal, pool, schedules, logger, told }, stop.signal));
    if (serve.includes('compute')) {
      programs.push(async () => await createLoader({ pool, clickhouse, logger }).run(stop.signal));
    }
    await Promise.all(programs.map(async (run) => await run().finally(() => stop.abort())));
  } finally {
    await admitter.close();
    await nativeConnection.close();
    await connection.close();
    await clickhouse.close();
    await pool.end();
    await telemetry.stop();
  }
}

/** The kinds of work that were asked for, all where nothing was. Throws a RequestError that names what there is not. */
export function readWorkKinds(given: string | undefined): readonly WorkKind[] {
  if (given === undefined) return WORK_KINDS;
  const names = [...new Set(given.split(',').map((name) => name.trim()))];
  const unknown = names.filter((name) => !WORK_KINDS.some((kind) => kind === name));
  if (unknown.length > 0) {
    throw new RequestError(
      'invalid',
      'queues_invalid',
      `--queues names ${unknown.map((name) => `"${name}"`).join(', ')}. It takes ${WORK_KINDS.join(', ')}, separated by commas.`,
      { field: '--queues' },
    );
  }
  return WORK_KINDS.filter((kind) => names.includes(kind));
}

/**
 * How many connections to PostgreSQL a worker may have: one for each workflow task, for that is what bookkeeping is done in; and
 * for the rest, which look into it only now and then, a quarter of what they do at once, the loader among it.
 */
function connectionsFor(serve: readonly WorkKind[], slots: Slots): number {
  const others = serve.filter((kind) => kind !== 'workflows').reduce((sum, kind) => sum + slots[kind], 0);
  return (serve.includes('workflows') ? slots.workflows : 0) + Math.max(4, Math.ceil(others / 4));
}

/** Says why search attributes are missing where they have to, once for each reason that there is. */
async function ensureAttributes(temporal: Client, logger: Logger, told?: string): Promise<string | undefined> {
  const problem = await ensureSearchAttributes(temporal);
  if (problem !== undefined && problem !== told) logger.warn(problem);
  return problem;
}

/** A worker whose build is not deployed looks healthy and does nothing: it says so. */
async function sayWhetherDeployed(temporal: Client, buildId: string, logger: Logger): Promise<void> {
  try {
    const build = (await listBuilds(temporal)).find((one) => one.buildId === buildId);
    if (build?.status === 'current' || build?.status === 'ramping') return;
    logger.warn({ buildId }, `no work goes to this build yet: trailmark deploy --build-id ${buildId} makes it current`);
  } catch (error) {
    logger.warn({ buildId, err: error }, 'Temporal does not say whether this build is deployed');
  }
}

/**
 * Puts back what Temporal has lost of ours, and puts right what somebody changed there. It must not be a workflow that does it: where the data of Temporal is gone, so are the
 * schedules that would start one.
 */
async function watchTemporal(
  options: {
    temporal: Client;
    pool: PostgresPool;
    schedules: SchedulesOptions;
    logger: Logger;
    told: string | undefined;
  },
  signal: AbortSignal,
): Promise<void> {
  const { temporal, pool, schedules, logger } = options;
  let { told } = options;
  for (;;) {
    await wait(WATCH_EVERY_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    try {
      told = await ensureAttributes(temporal, logger, told);
      const restored = await restoreSchedules(temporal, schedules);
      if (restored.length > 0) {
        logger.warn({ restored }, 'schedules in Temporal were not as they have to be, and were put right');
        countRestoredSchedules(restored.length);
        await setMark(pool, 'schedules_restored', { schedules: restored });
      }
      await setMark(pool, 'schedules_checked', { everySeconds: schedules.everySeconds });
    } catch (error) {
      logger.warn({ err: error }, 'Temporal could not be looked after; tried again in a moment');
    }
  }
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
    logger: new DefaultLogger('INFO', (entry) => {
      const level = entry.message.startsWith(NO_WORKFLOWS) ? 'debug' : levels[entry.level];
      logger[level](entry.meta ?? {}, entry.message);
    }),
    shutdownSignals: [],
    ...(metrics === undefined ? {} : { telemetryOptions: { metrics } }),
  });
}
