import { join } from 'node:path';
import { openDataFolder, planEngines } from '../../embedded/index.ts';
import type { Context } from '../context.ts';
import { clickhouseUrlOf, databaseUrlOf, findRunningEngines } from '../system/running.ts';
import { showAsLines, showAsList } from '../system/stages.ts';
import { migrate } from '../system/system.ts';

/**
 * `trailmark migrate`: the given servers, or those of a running start; where nothing runs, the embedded engines are started
 * for it and stopped again.
 */
export async function runMigrate(context: Context): Promise<void> {
  const { config, env, signal } = context;
  const running = await findRunningEngines(config);
  const databaseUrl = config.DATABASE_URL ?? (running === undefined ? undefined : databaseUrlOf(running));
  const clickhouseUrl = config.CLICKHOUSE_URL ?? (running === undefined ? undefined : clickhouseUrlOf(running));
  if (databaseUrl !== undefined && clickhouseUrl !== undefined) {
    console.log(`Schema: ${await migrate({ databaseUrl, clickhouseUrl })}`);
    return;
  }
  const data = await openDataFolder(config.TRAILMARK_DATA);
  const engines = planEngines({
    data,
    // Temporal has no schema of ours.
    given: { databaseUrl, clickhouseUrl, temporalAddress: 'none' },
    temporalNamespace: config.TEMPORAL_NAMESPACE,
    temporalPages: false,
    onTemporalPorts: async () => await Promise.resolve(),
    cacheFolder: config.TRAILMARK_CACHE ?? join(data.path, 'cache'),
    clickhouseMemoryMb: config.TRAILMARK_CLICKHOUSE_MEMORY_MB,
    env,
    signal,
    onNotice: (sentence) => console.log(sentence),
  });
  context.onForce(() => engines.running().forEach((child) => child.kill()));
  const show = context.terminal ? showAsList : showAsLines((line) => console.log(line));
  try {
    await show(engines.starts.map(({ name, start }) => ({ title: name, run: start })));
    const addresses = {
      databaseUrl: engines.addressOf('databaseUrl'),
      clickhouseUrl: engines.addressOf('clickhouseUrl'),
    };
    await show([{ title: 'Schema', run: async () => await migrate(addresses) }]);
  } finally {
    await engines.stop();
    await data.release();
  }
}
