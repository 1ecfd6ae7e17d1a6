import { selectRows, type ClickHouseClient } from '../store/index.ts';

// A version this young may be of a run that has not written down its number yet, or be read by a sync that has just replaced it.
const KEPT_DAYS = 1;
// What one statement names: its parameters are in the request's address.
const CHUNK = 1_000;

/**
 * Deletes versions older than a day that nothing refers to. `inUse` is asked after they were looked up, and nothing can come to
 * refer to a version of that age which nothing refers to then. Returns how many were deleted; ClickHouse drops their rows
 * when it merges. Where there are none it costs one small select a table.
 */
export async function dropOldVersions(
  clickhouse: ClickHouseClient,
  inUse: () => Promise<ReadonlySet<number>>,
): Promise<number> {
  let dropped = 0;
  for (const table of ['audience_versions', 'trait_versions']) {
    const old = await selectRows<{ version: number }>(
      clickhouse,
      `SELECT DISTINCT version FROM ${table} WHERE created_at < now() - INTERVAL {days:UInt32} DAY ORDER BY version`,
      { days: KEPT_DAYS },
    );
    if (old.length === 0) continue;
    const kept = await inUse();
    const unused = old.map((row) => row.version).filter((version) => !kept.has(version));
    for (let from = 0; from < unused.length; from += CHUNK) {
      const versions = unused.slice(from, from + CHUNK);
      await clickhouse.command({
        query: `DELETE FROM ${table} WHERE version IN {versions:Array(UInt64)}`,
        query_params: { versions },
      });
      dropped += versions.length;
    }
  }
  return dropped;
}
