import type { ClickHouseClient } from '../store/index.ts';

/**
 * Writes down which profiles the extract of a redrive looks at, under its number: there may be a hundred thousand, far more than
 * a query's parameters hold. Pages come and go one by one, so memory stays flat.
 */
export async function keepRedrivenProfiles(
  clickhouse: ClickHouseClient,
  extractId: number,
  pages: AsyncIterable<readonly number[]>,
): Promise<void> {
  for await (const profiles of pages) {
    if (profiles.length === 0) continue;
    await clickhouse.insert({
      table: 'redriven_profiles',
      format: 'JSONEachRow',
      values: profiles.map((profile) => ({ extract_id: extractId, profile })),
    });
  }
}
