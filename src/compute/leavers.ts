import { selectRows, type ClickHouseClient } from '../store/index.ts';
import { readProfileIds, type ProfileIds } from '../profiles/index.ts';
import { membersBeforeAndAfterSql, valuesBeforeAndAfterSql } from './versions.ts';

/** Two versions of a computation: from one to the other, somebody leaves an audience, or loses the value of a trait. */
export interface VersionPair {
  spaceId: string;
  computationId: string;
  kind: 'audience' | 'computed_trait';
  from: number;
  to: number;
}

/** Whether both versions are still there: what nothing refers to is dropped after a day. */
export async function hasVersions(
  clickhouse: ClickHouseClient,
  { computationId, kind, from, to }: VersionPair,
): Promise<boolean> {
  const rows = await selectRows<{ found: number }>(
    clickhouse,
    `SELECT toUInt32(uniqExact(version)) AS found FROM ${kind === 'audience' ? 'audience_versions' : 'trait_versions'}
     WHERE computation_id = {computation:String} AND version IN ({from:UInt64}, {to:UInt64})`,
    { computation: computationId, from, to },
  );
  return rows[0]?.found === new Set([from, to]).size;
}

/**
 * People who are members by the one version and not by the other, on one side of a profile's number (which is not included; null is the
 * beginning), the nearest to it first. The difference is one operation on two bitmaps; only the asked ones become rows.
 */
export async function listLeavers(
  clickhouse: ClickHouseClient,
  pair: VersionPair,
  { side, edge, limit }: { side: 'after' | 'before'; edge: number | null; limit: number },
): Promise<ProfileIds[]> {
  if (pair.kind === 'computed_trait') return await listLosers(clickhouse, pair, { side, edge, limit });
  // Sorted, because a bitmap of few members gives them in any order.
  const slice =
    side === 'after'
      ? 'arraySort(bitmapToArray(bitmapSubsetLimit(leaving, {start:UInt32}, {limit:UInt32})))'
      : 'arraySlice(arrayReverseSort(bitmapToArray(bitmapSubsetInRange(leaving, toUInt32(0), {start:UInt32}))), 1, {limit:UInt32})';
  const rows = await selectRows<{ profile: number }>(
    clickhouse,
    `WITH
       ${membersBeforeAndAfterSql},
       bitmapAndnot(before, after) AS leaving
     SELECT arrayJoin(${slice}) AS profile`,
    {
      space: pair.spaceId,
      computation: pair.computationId,
      from: pair.from,
      to: pair.to,
      // A range's beginning is in it, its end is not.
      start: edge === null ? 0 : side === 'after' ? edge + 1 : edge,
      limit,
    },
  );
  const profiles = rows.map((row) => row.profile);
  const idsOf = await readProfileIds(clickhouse, pair.spaceId, profiles);
  return profiles.map(idsOf);
}

/** The same of a computed trait: people who have a value by the one version, and none by the other. */
async function listLosers(
  clickhouse: ClickHouseClient,
  pair: VersionPair,
  { side, edge, limit }: { side: 'after' | 'before'; edge: number | null; limit: number },
): Promise<ProfileIds[]> {
  const [operator, order] = side === 'after' ? ['>', 'ASC'] : ['<', 'DESC'];
  const rows = await selectRows<{ profile: number }>(
    clickhouse,
    `SELECT profile FROM (${valuesBeforeAndAfterSql})
     WHERE before != '' AND after = '' ${edge === null ? '' : `AND profile ${operator} {edge:UInt32}`}
     ORDER BY profile ${order} LIMIT {limit:UInt32}`,
    { space: pair.spaceId, computation: pair.computationId, from: pair.from, to: pair.to, edge: edge ?? 0, limit },
  );
  const profiles = rows.map((row) => row.profile);
  const idsOf = await readProfileIds(clickhouse, pair.spaceId, profiles);
  return profiles.map(idsOf);
}
