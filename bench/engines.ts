import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTemporal, startClickHouse, startPostgres, startTemporal, type Child } from '../src/embedded/index.ts';
import {
  createClickHouse,
  createPool,
  migrateClickHouse,
  migratePostgres,
  type ClickHouseClient,
  type PostgresPool,
} from '../src/store/index.ts';
import { startTemporalServer } from './temporal-server.ts';

/** The development server that `trailmark start` runs, or the real one over PostgreSQL. */
export type TemporalKind = 'development' | 'postgres';

export interface BenchEngines {
  pool: PostgresPool;
  clickhouse: ClickHouseClient;
  databaseUrl: string;
  clickhouseUrl: string;
  temporalAddress: string;
  stop(): Promise<void>;
}

/**
 * The three engines as `trailmark start` runs them, durable, in a temporary folder, with the newest schema. The real Temporal
 * server keeps its data in the same PostgreSQL. Throws NotMeasurable where that server is not here and can't be built.
 */
export async function startBenchEngines(temporalKind: TemporalKind = 'development'): Promise<BenchEngines> {
  const folder = await mkdtemp(join(tmpdir(), 'trailmark-bench-'));
  await chmod(folder, 0o711);
  const cacheFolder = process.env['TRAILMARK_CACHE'] ?? join(homedir(), '.cache', 'trailmark');
  const common = { password: 'of-a-benchmark', port: undefined };
  const [postgres, clickhouseServer] = await Promise.all([
    startPostgres({
      ...common,
      folder: join(folder, 'postgres'),
      logFile: join(folder, 'postgres.log'),
      durable: true,
    }),
    startClickHouse({
      ...common,
      folder: join(folder, 'clickhouse'),
      logFile: join(folder, 'clickhouse.log'),
      memoryLimitMb: undefined,
      durable: true,
      env: process.env,
    }),
  ]);
  const stopped = async (temporal: Child | undefined): Promise<void> => {
    await temporal?.stop();
    await Promise.all([postgres.stop(), clickhouseServer.stop()]);
    await rm(folder, { recursive: true, force: true });
  };
  const temporalOptions = {
    folder: join(folder, 'temporal'),
    logFile: join(folder, 'temporal.log'),
    namespace: 'default',
  };
  let temporal: Child & { address: string };
  try {
    temporal =
      temporalKind === 'postgres'
        ? await startTemporalServer({
            ...temporalOptions,
            cacheFolder,
            databaseUrl: postgres.databaseUrl,
            env: process.env,
          })
        : await startTemporal({
            ...temporalOptions,
            binary: await findTemporal({ cacheFolder, env: process.env }),
            port: undefined,
            uiPort: undefined,
          });
  } catch (error) {
    await stopped(undefined);
    throw error;
  }
  const pool = createPool({
    connectionString: postgres.databaseUrl,
    applicationName: 'trailmark-bench',
    max: 20,
    // Stopping the server ends the connections that the pool is still closing.
    onError: () => undefined,
  });
  const clickhouse = createClickHouse({ url: clickhouseServer.clickhouseUrl, applicationName: 'trailmark-bench' });
  await migratePostgres(pool);
  await migrateClickHouse(clickhouse, pool);
  return {
    pool,
    clickhouse,
    databaseUrl: postgres.databaseUrl,
    clickhouseUrl: clickhouseServer.clickhouseUrl,
    temporalAddress: temporal.address,
    stop: async () => {
      await clickhouse.close();
      await pool.end();
      await stopped(temporal);
    },
  };
}
