import { TaskFailure } from '../errors.ts';
import { selectRows } from '../store/index.ts';
import type { QueryContext } from './versions.ts';

/** A version that something is about to read; `size` is what was noted of it when it was written, null or absent where nothing was. */
export interface WantedVersion {
  from: 'audience' | 'computed_trait';
  computationId: string;
  version: number;
  size?: number | null | undefined;
}

/**
 * Refuses to read versions that ClickHouse does not have as they were written: one was dropped, or a replica is behind. It would read
 * as one without members, and whoever is compared with it as having left. Throws TaskFailure clickhouse_unavailable.
 */
export async function requireVersions(context: QueryContext, wanted: readonly WantedVersion[]): Promise<void> {
  for (const { from, computationId, version, size = null } of wanted) {
    const counted = from === 'audience' ? 'bitmapCardinality(members)' : 'length(profiles)';
    const table = from === 'audience' ? 'audience_versions' : 'trait_versions';
    const [row] = await selectRows<{ size: number; rows: number }>(
      context.clickhouse,
      `SELECT toUInt32(sum(${counted})) AS size, toUInt32(count()) AS rows FROM ${table}
       WHERE computation_id = {computation:String} AND version = {version:UInt64}`,
      { computation: computationId, version },
      context,
    );
    // A computed trait's version of before it had a row in any case has none where it has no values.
    const isEmpty = from === 'computed_trait' && size === 0;
    const isThere = row !== undefined && (row.rows > 0 || isEmpty) && (size === null || row.size === size);
    if (isThere) continue;
    const found = row === undefined || row.rows === 0 ? 'is not there' : `has ${row.size} profiles and not ${size}`;
    throw new TaskFailure('clickhouse_unavailable', `version ${version} of ${computationId} ${found}`);
  }
}
