import { getRequestListener } from '@hono/node-server';
import { Client, Connection } from '@temporalio/client';
import { setTimeout as wait } from 'node:timers/promises';
import { sweepSignInLimits } from '../../access/index.ts';
import { sweepAlerts } from '../../alerts/index.ts';
import { createApp } from '../../api/index.ts';
import type { Config } from '../../config.ts';
import { createDestinationDeps } from '../../destinations/index.ts';
import { RequestError } from '../../errors.ts';
import { checkWork, type HealthFinding } from '../../health/index.ts';
import { startListener } from '../../listen/index.ts';
import { createLogger } from '../../logger.ts';
import { noticeRestore } from '../../pipeline/index.ts';
import { createOutgoingAgent, createSecretBox } from '../../security/index.ts';
import { createClickHouse, createPool } from '../../store/index.ts';
import { createAdmitter, createTaskStarter, createTaskWaker } from '../../tasks/index.ts';
import { requireAddresses } from '../system/addresses.ts';
import { createHealthReading } from '../checks/health-reading.ts';
import { outgoingRules } from '../outgoing.ts';
import { createStoreReadings } from '../checks/store-readings.ts';
import { startTelemetry } from '../telemetry.ts';

const SWEEP_EVERY_MS = 5_000;
const LOOK_AGAIN_MS = 15_000;

/** `trailmark api`: the HTTP API, the tracking API and the pages. Ends when `signal` is aborted; `sayReady` tells a parent. */
export async function runApi(config: Config, signal: AbortSignal, sayReady: () => void): Promise<void> {
  const addresses = requireAddresses(config);
  const logger = createLogger({ level: config.TRAILMARK_LOG_LEVEL, program: 'api' });
  const onError = (error: Error) => logger.warn({ err: error }, 'a connection to PostgreSQL broke');
  const pool = createPool({
    connectionString: addresses.databaseUrl,
    applicationName: 'trailmark-api',
    max: 20,
    onError,
  });
  // For whoever watches, so that a scrape takes no connection from a request.
  const watched = createPool({
    connectionString: addresses.databaseUrl,
    applicationName: 'trailmark-metrics',
    max: 2,
    onError,
  });
  const clickhouse = createClickHouse({ url: addresses.clickhouseUrl, applicationName: 'trailmark-api' });
  // Lazy: the api serves while Temporal is away, and what it writes then is started later.
  const connection = Connection.lazy({ address: addresses.temporalAddress });
  const temporal = new Client({ connection, namespace: config.TEMPORAL_NAMESPACE });
  const lookAtWork = async (): Promise<HealthFinding[]> =>
    await checkWork({ pool: watched, temporal, afterSeconds: config.TRAILMARK_HEALTH_AFTER_SECONDS });
  const telemetry = await startTelemetry({
    program: 'api',
    config,
    logger,
    readings: [...createStoreReadings(watched), createHealthReading(lookAtWork)],
  });
  const secretBox = createSecretBox(addresses.secret);
  const outgoing = outgoingRules(config);
  const dispatcher = createOutgoingAgent(outgoing);
  const admitter = createAdmitter({
    pool,
    logger,
    startTask: createTaskStarter({
      pool,
      temporal,
      heartbeatTimeoutMs: config.TRAILMARK_HEARTBEAT_TIMEOUT_SECONDS * 1000,
    }),
    maxInFlight: config.TRAILMARK_MAX_IN_FLIGHT,
  });
  const { TEMPORAL_UI_URL: temporalUi, TEMPORAL_NAMESPACE: namespace } = config;
  const app = createApp({
    pool,
    clickhouse,
    secretBox,
    logger,
    destinations: createDestinationDeps({ secretBox, ...outgoing }),
    dispatcher,
    startTask: async (taskId) => {
      await admitter.admit([taskId]);
    },
    wakeTask: createTaskWaker(temporal),
    checkWork: lookAtWork,
    publicUrl: config.TRAILMARK_PUBLIC_URL ?? `http://${config.TRAILMARK_HOST}:${config.TRAILMARK_PORT}`,
    temporalUiUrl:
      temporalUi === undefined ? undefined : new URL(`namespaces/${namespace}`, withSlash(temporalUi)).href,
    trustedProxies: config.TRAILMARK_TRUST_PROXY,
    rateLimit: { perSecond: config.TRAILMARK_RATE_LIMIT, burst: config.TRAILMARK_RATE_LIMIT * 2 },
  });
  try {
    const listener = await startListener({
      host: config.TRAILMARK_HOST,
      port: config.TRAILMARK_PORT,
      // Its pages are for browsers, and the tracking API takes events from any page.
      refuseWebPages: false,
      onError: (error) => logger.warn({ err: error }, 'a request broke off'),
      answer: getRequestListener(app.fetch),
    }).catch((error: unknown) => {
      throw listenError(error as NodeJS.ErrnoException, config);
    });
    await lookForRestore();
    logger.info({ host: config.TRAILMARK_HOST, port: config.TRAILMARK_PORT }, 'api ready');
    sayReady();
    await sweepUntilAborted();
    const closed = listener.close();
    setTimeout(() => listener.server.closeAllConnections(), 3_000).unref();
    await closed;
  } finally {
    await admitter.close();
    await connection.close();
    await clickhouse.close();
    await telemetry.stop();
    await watched.end();
    await pool.end();
  }

  /**
   * Says at once, and writes down while it can be told, that the database was restored: the events that come in are taken and not
   * loaded until somebody puts that right.
   */
  async function lookForRestore(): Promise<void> {
    if (signal.aborted) return;
    try {
      const problem = await noticeRestore(watched);
      if (problem !== undefined) logger.error(problem);
    } catch (error) {
      logger.warn({ err: error }, 'whether the database was restored is not known; looked again in a moment');
      setTimeout(() => void lookForRestore(), LOOK_AGAIN_MS).unref();
    }
  }

  /**
   * Held alerts whose time has come go out from here, and not from a workflow: with Temporal or every worker dead,
   * this is what keeps silence from hiding a hard failure.
   */
  async function sweepUntilAborted(): Promise<void> {
    while (!signal.aborted) {
      try {
        await sweepAlerts({ pool, secretBox, dispatcher }, new Date());
      } catch (error) {
        logger.warn({ err: error }, 'overdue alerts were not released; tried again in a moment');
      }
      try {
        await sweepSignInLimits(pool);
      } catch (error) {
        logger.warn({ err: error }, 'old limits of sign-in were not deleted; tried again in a moment');
      }
      await wait(SWEEP_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** A URL that paths can be put behind. */
function withSlash(url: string): string {
  return url.endsWith('/') ? url : `${url}/`;
}

function listenError(error: NodeJS.ErrnoException, config: Config): Error {
  const where = `${config.TRAILMARK_HOST}:${config.TRAILMARK_PORT}`;
  const reasons: Record<string, string> = {
    EADDRINUSE: `Port ${config.TRAILMARK_PORT} of ${config.TRAILMARK_HOST} is in use. Stop what listens there, or set TRAILMARK_PORT to another port.`,
    EACCES: `This user may not listen on ${where}. Set TRAILMARK_PORT to a port over 1023.`,
    EADDRNOTAVAIL: `This machine has no address ${config.TRAILMARK_HOST}. Set TRAILMARK_HOST to one that it has.`,
  };
  const sentence = reasons[error.code ?? ''];
  return sentence === undefined
    ? error
    : new RequestError('unavailable', 'cannot_listen', sentence, { field: 'TRAILMARK_PORT', cause: error });
}
