import { runStatement, selectColumns, selectRows } from '../store/index.ts';
import type { QueryContext } from './versions.ts';

/** One profile whose value a destination has not acknowledged yet. */
export interface Change {
  /** Its place in the extract, from 0: the order of delivery, and what a cursor counts. */
  idx: number;
  profile: number;
  /** JSON: 'true' for a member of an audience, a computed trait's value; '' where there is none any more. */
  value: string;
  userId: string;
  anonymousId: string;
  /** Traits that destinations match people by: today the e-mail address, where the profile has one. */
  traits: Record<string, unknown>;
}

/**
 * Freezes what a sync delivers: every profile whose value in `version` differs from the connection's baseline, numbered in
 * profile order, under the number `extractId`. Returns how many there are. Of `everything`, also those that have a value which the
 * baseline has; of what is `redriven`, only the profiles that keepRedrivenProfiles wrote down under that number.
 *
 * A profile that was merged into another counts for that one: it is not delivered any more, unless the destination has it and
 * the profile it became has no value, because then somebody has to take it out.
 */
export async function freezeChanges(
  context: QueryContext,
  connection: {
    id: string;
    spaceId: string;
    computationId: string;
    kind: 'audience' | 'computed_trait';
    version: number;
  },
  extractId: number,
  scope: 'difference' | 'everything' | 'redriven' = 'difference',
): Promise<number> {
  const live =
    connection.kind === 'audience'
      ? `SELECT arrayJoin(bitmapToArray(members)) AS profile, 'true' AS value FROM audience_versions
         WHERE computation_id = {computation:String} AND version = {version:UInt64}`
      : `SELECT profile, value FROM trait_versions ARRAY JOIN profiles AS profile, values AS value
         WHERE computation_id = {computation:String} AND version = {version:UInt64}`;
  const params = {
    extract: extractId,
    connection: connection.id,
    space: connection.spaceId,
    computation: connection.computationId,
    version: connection.version,
  };
  await runStatement(
    context.clickhouse,
    `
      INSERT INTO sync_changes (extract_id, idx, profile, value, previous, user_id, anonymous_id, traits)
      WITH live AS (${live})
      SELECT {extract:UInt64}, toUInt32(row_number() OVER (ORDER BY changed.profile) - 1), changed.profile, after, before,
             ids.user_id, ids.anonymous_id, if(mail.value = '', '{}', concat('{"email":', mail.value, '}'))
      FROM (
        SELECT profile, max(live_value) AS after, max(baseline_value) AS before
        FROM (
          SELECT profile, value AS live_value, '' AS baseline_value FROM live
          UNION ALL
          SELECT profile, '' AS live_value, argMax(value, seq) AS baseline_value FROM baselines
          WHERE connection_id = {connection:String} GROUP BY profile
        )
        ${scope === 'redriven' ? 'WHERE profile IN (SELECT profile FROM redriven_profiles WHERE extract_id = {extract:UInt64})' : ''}
        GROUP BY profile
        HAVING after != before ${scope === 'everything' ? "OR after != ''" : ''}
      ) AS changed
      INNER JOIN (
        SELECT profile AS id, argMax(user_id, version) AS user_id, argMax(anonymous_id, version) AS anonymous_id,
               argMax(merged_into, version) AS merged_into
        FROM profiles WHERE space_id = {space:String} GROUP BY profile
      ) AS ids ON ids.id = changed.profile
      LEFT JOIN (
        SELECT profile AS id, argMax(value, version) AS value FROM profile_traits
        WHERE space_id = {space:String} AND trait = 'email' GROUP BY profile HAVING value != 'null'
      ) AS mail ON mail.id = changed.profile
      WHERE ids.merged_into = 0 OR (after = '' AND ids.merged_into NOT IN (SELECT profile FROM live))`,
    params,
    context,
  );
  const rows = await selectRows<{ total: number }>(
    context.clickhouse,
    'SELECT toUInt32(count()) AS total FROM sync_changes WHERE extract_id = {extract:UInt64}',
    { extract: extractId },
    context,
  );
  return rows[0]?.total ?? 0;
}

/** The changes of an extract whose idx is in [from, to), or is one of `also`; in order. */
export async function readChanges(
  context: QueryContext,
  extractId: number,
  which: { from: number; to: number } | { also: readonly number[] },
): Promise<Change[]> {
  const columns = await selectColumns<Omit<Change, 'traits'> & { traits: string }>(
    context.clickhouse,
    `SELECT idx, profile, value, user_id AS userId, anonymous_id AS anonymousId, traits FROM sync_changes
     WHERE extract_id = {extract:UInt64}
       AND ${'also' in which ? 'idx IN {also:Array(UInt32)}' : 'idx >= {from:UInt32} AND idx < {to:UInt32}'}
     ORDER BY idx`,
    { extract: extractId, ...which },
    context,
  );
  // Parsed in one go: a call for each takes as long as what it parses.
  const traits = JSON.parse(`[${(columns.traits ?? []).join(',')}]`) as Record<string, unknown>[];
  return (columns.idx ?? []).map((idx, row) => ({
    idx,
    profile: cell(columns.profile, row),
    value: cell(columns.value, row),
    userId: cell(columns.userId, row),
    anonymousId: cell(columns.anonymousId, row),
    traits: cell(traits, row),
  }));
}

function cell<T>(column: readonly T[] | undefined, row: number): T {
  const value = column?.[row];
  if (value === undefined) throw new RangeError(`a column of an answer of ClickHouse ends before row ${row}`);
  return value;
}

/**
 * A baseline's value where the destination may have taken a change and did not say so. It is no JSON, so it differs from every
 * value and from none: the difference has the profile until the destination acknowledges what is live.
 */
const UNKNOWN = '?';

/** Which changes of an extract a destination may have taken without anyone knowing: those with idx in [next, next + size), and `redo`. */
export interface Unsettled {
  extractId: number;
  next: number;
  size: number;
  redo: readonly number[];
}

/**
 * Notes that nobody knows what a destination has of these changes, because their sync was given up after they were sent. Without
 * it, a profile that is back at its old value by the next sync would keep at the destination what that sync may have said.
 * Twice is as once.
 */
export async function forgetUnsettled(
  context: QueryContext,
  connectionId: string,
  unsettled: Unsettled,
): Promise<void> {
  const { extractId, next, size, redo } = unsettled;
  await runStatement(
    context.clickhouse,
    `INSERT INTO baselines (connection_id, profile, value, seq)
     SELECT {connection:String}, profile, {unknown:String}, extract_id FROM sync_changes
     WHERE extract_id = {extract:UInt64}
       AND (idx IN {redo:Array(UInt32)} OR (idx >= {next:UInt32} AND idx < {end:UInt32}))`,
    { connection: connectionId, unknown: UNKNOWN, extract: extractId, next, end: next + size, redo },
    context,
  );
}

/** Changes of an extract, from the first of them to before `end`. */
export interface ChangeRange {
  first: number;
  end: number;
}

/**
 * Advances a connection's baseline by changes that the destination has acknowledged, or notes that it took them in part. ClickHouse
 * copies them by itself: a block of many costs it little more than one of a few. Twice is as once: a row of the same extract
 * replaces itself.
 */
export async function advanceBaseline(
  context: QueryContext,
  connectionId: string,
  extractId: number,
  ranges: readonly ChangeRange[],
  taken: 'whole' | 'in_part' = 'whole',
): Promise<void> {
  if (ranges.length === 0) return;
  await runStatement(
    context.clickhouse,
    `INSERT INTO baselines (connection_id, profile, value, seq)
     SELECT {connection:String}, profile, ${taken === 'whole' ? 'value' : '{unknown:String}'}, extract_id FROM sync_changes
     WHERE extract_id = {extract:UInt64}
       AND idx >= {least:UInt32} AND idx < {most:UInt32}
       AND arrayExists((first, end) -> idx >= first AND idx < end, {firsts:Array(UInt32)}, {ends:Array(UInt32)})`,
    {
      connection: connectionId,
      extract: extractId,
      ...(taken === 'whole' ? {} : { unknown: UNKNOWN }),
      least: Math.min(...ranges.map(({ first }) => first)),
      most: Math.max(...ranges.map(({ end }) => end)),
      firsts: ranges.map(({ first }) => first),
      ends: ranges.map(({ end }) => end),
    },
    context,
  );
}
