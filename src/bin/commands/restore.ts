import { StartError } from '../../embedded/index.ts';
import { applyRestore, planRestore } from '../../pipeline/index.ts';
import { createClickHouse, createPool } from '../../store/index.ts';
import type { Context } from '../context.ts';
import { clickhouseUrlOf, findRunningEngines, requireDatabaseUrl } from '../system/running.ts';

/** `trailmark restore`: says whether the database was restored and what has to be done; with `apply` it is done. */
export async function runRestore({ config }: Context, options: { apply: boolean }): Promise<void> {
  const connectionString = await requireDatabaseUrl(config);
  const running = await findRunningEngines(config);
  const url = config.CLICKHOUSE_URL ?? (running === undefined ? undefined : clickhouseUrlOf(running));
  if (url === undefined) throw new StartError('ClickHouse is not known: set CLICKHOUSE_URL, or run trailmark start.');
  const pool = createPool({ connectionString, applicationName: 'trailmark-restore', max: 2, onError: () => undefined });
  const clickhouse = createClickHouse({ url, applicationName: 'trailmark-restore' });
  try {
    const plan = await planRestore(pool, clickhouse);
    console.log(
      `The event log knows transactions up to ${plan.newest}; this PostgreSQL's next one is ${plan.next}. ${plan.logged} events are in the log, ${plan.waiting} of them behind the offset.`,
    );
    if (!plan.needed) {
      console.log('Nothing has to be put right.');
      return;
    }
    console.log('To put it right:');
    console.log('- every event of the log gets a new position, in the same order, before all that come from now on;');
    console.log(
      `- ${plan.beyond} events of ClickHouse, of batches that this database does not know, are taken out; those that the log has are loaded again.`,
    );
    if (!options.apply) {
      console.log('Nothing was changed. trailmark restore --apply does it.');
      return;
    }
    await applyRestore(pool, clickhouse);
    console.log('Done. Loading goes on within seconds.');
  } finally {
    await clickhouse.close();
    await pool.end();
  }
}
