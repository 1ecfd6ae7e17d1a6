import {
  computedTraitSql,
  followersSql,
  mergedProfilesSql,
  ownTraitSql,
  profileIdsSql,
  recordedTraitSql,
  traitVersionSql,
} from '../profiles/index.ts';
import { runStatement, selectRows } from '../store/index.ts';
import { baselineBitmapsSql, baselineValuesSql, HAS_BITMAPS, UNKNOWN } from './baselines.ts';
import type { QueryContext } from './versions.ts';

const SPACE = '{space:String}';
const VERSION = 'computation_id = {computation:String} AND version = {version:UInt64}';

type Scope = 'difference' | 'everything' | 'redriven';

/**
 * Freezes what a sync delivers: every profile whose value in `version` differs from the connection's baseline, numbered in
 * profile order, under the number `extractId`. Returns how many there are. Of `everything`, also those that have a value which the
 * baseline has; of what is `redriven`, only the profiles that keepRedrivenProfiles wrote down under that number.
 *
 * Values, ids and traits are those of the person: read through the mapping of merged profiles, as a query reads them. A profile
 * that was merged into another counts for that one. It is not delivered any more, unless the destination has it and the profile it
 * became has no value: then somebody has to take it out, under the ids and traits that were its own.
 *
 * First who differs is found, as bitmaps; ids and traits are read of those alone. So ten changes cost what ten changes cost, in an
 * audience of a million. `since` says which bitmaps of an audience's baseline to go on from (see keepBaselineBitmaps); without, all
 * of its rows are read.
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
  scope: Scope = 'difference',
  since = 0,
): Promise<number> {
  const { compared, differs, values } = connection.kind === 'audience' ? ofAudience(since) : ofTrait(scope);
  const params = {
    extract: extractId,
    connection: connection.id,
    space: connection.spaceId,
    computation: connection.computationId,
    version: connection.version,
    since,
    unknown: UNKNOWN,
  };
  await runStatement(context.clickhouse, bitmapsSql(compared, inScope(differs, scope)), params, context);
  await runStatement(context.clickhouse, changesSql(values), params, context);
  const rows = await selectRows<{ total: number }>(
    context.clickhouse,
    'SELECT toUInt32(count()) AS total FROM sync_changes WHERE extract_id = {extract:UInt64}',
    { extract: extractId },
    context,
  );
  return rows[0]?.total ?? 0;
}

/** How the two kinds of computation are compared with a baseline. */
interface Comparison {
  /**
   * Common table expressions, the bitmaps `computed`, `acknowledged` and `unknown`: who has a value in the version as it was computed,
   * who has one at the destination, and of whom nobody knows.
   */
  compared: string;
  /** Of the bitmaps `live`, `acknowledged` and `unknown`, who may differ. */
  differs: string;
  /** Rows of `profile`, `after` and `before`, for those who are in `standing` or `leaving` and differ. */
  values: string;
}

/** An audience is bitmaps on both sides. */
function ofAudience(since: number): Comparison {
  return {
    compared: `(SELECT groupBitmapMergeState(members) FROM audience_versions WHERE ${VERSION}) AS computed,
      ${baselineBitmapsSql(since)}`,
    differs: 'bitmapOr(bitmapXor(live, acknowledged), unknown)',
    values: `SELECT arrayJoin(bitmapToArray(bitmapOr(standing, leaving))) AS profile,
        if(bitmapContains(live, profile), 'true', '') AS after,
        multiIf(bitmapContains(unknown, profile), {unknown:String}, bitmapContains(acknowledged, profile), 'true', '') AS before`,
  };
}

// Profiles whose numbers are neighbours, so many of them, are compared by one sum of hashes.
const RANGE = 256;

/**
 * A computed trait has values on both sides. They are compared range by range of profiles, each by a sum of 64-bit hashes that takes
 * no memory to speak of; only those of ranges that differ are compared one by one.
 */
function ofTrait(scope: Scope): Comparison {
  const computed = traitVersionSql(VERSION);
  const known = `SELECT profile, value FROM baselines FINAL WHERE connection_id = {connection:String} AND value != ''`;
  const hashed = (rows: string, sign: '' | '-'): string =>
    `SELECT intDiv(profile, ${RANGE}) AS range, ${sign}reinterpretAsInt64(sipHash64(profile, value)) AS hash FROM (${rows})`;
  const ranges = `(SELECT range FROM (${hashed(computed, '')} UNION ALL ${hashed(known, '-')}) GROUP BY range HAVING sum(hash) != 0)`;
  const differing = `SELECT profile FROM (SELECT profile FROM (${computed}) UNION ALL SELECT profile FROM (${known})) WHERE intDiv(profile, ${RANGE}) IN ${ranges}`;
  const owned = `SELECT profile, value FROM (${computed}) WHERE bitmapContains(standing, profile) OR profile IN (SELECT profile FROM (${FOLLOWERS}))`;
  return {
    compared: `(SELECT groupBitmapState(profile) FROM (${computed})) AS computed,
      (SELECT groupBitmapState(profile) FROM (${known})) AS acknowledged,
      (SELECT groupBitmapState(profile) FROM (${differing})) AS unknown,
      1 AS kept_rows`,
    // Whoever was merged since the version was computed may have given a value to their owner.
    differs: 'bitmapOr(unknown, moved)',
    values: `SELECT profile, max(live_value) AS after, max(known_value) AS before
      FROM (
        SELECT owner AS profile, value AS live_value, '' AS known_value FROM (${computedTraitSql(owned, SPACE, FOLLOWERS)})
        UNION ALL
        SELECT profile, '' AS live_value, value AS known_value
        FROM (${baselineValuesSql('(SELECT arrayJoin(bitmapToArray(bitmapOr(standing, leaving))))')})
      )
      GROUP BY profile
      HAVING after != before ${scope === 'everything' ? "OR after != ''" : ''}`,
  };
}

function inScope(differs: string, scope: Scope): string {
  if (scope === 'everything') return `bitmapOr(bitmapOr(${differs}, live), acknowledged)`;
  if (scope === 'difference') return differs;
  return `bitmapAnd(${differs}, (SELECT groupBitmapState(profile) FROM redriven_profiles WHERE extract_id = {extract:UInt64}))`;
}

/**
 * Writes down of whom the extract says something. `merges` are the merged profiles that one of the sides has, each with its owner; no
 * other merge matters. Columns of one row, each made of those before it, because an alias would be computed wherever it is used.
 */
function bitmapsSql(compared: string, differs: string): string {
  const bitmapOf = (profiles: string): string => `arrayReduce('groupBitmapState', ${profiles})`;
  const merges = `(SELECT groupArray((profile, owner)) FROM (${mergedProfilesSql(
    SPACE,
    `(SELECT profile FROM profiles WHERE space_id = ${SPACE} AND merged_into != 0
      AND (bitmapContains(computed, profile) OR bitmapContains(acknowledged, profile) OR bitmapContains(unknown, profile)))`,
  )}))`;
  const gaveValue = 'arrayFilter(merge -> bitmapContains(computed, merge.1), merges)';
  const leaving =
    'arrayFilter(merge -> bitmapContains(differing, merge.1) AND NOT bitmapContains(live, merge.2), merges)';
  return `
    INSERT INTO extract_bitmaps (extract_id, live, acknowledged, unknown, standing, leaving)
    WITH ${compared}
    SELECT {extract:UInt64}, live, acknowledged, unknown,
           bitmapAndnot(differing, merged), ${bitmapOf(`arrayMap(merge -> merge.1, ${leaving})`)}
    FROM (
      SELECT *, ${differs} AS differing
      FROM (
        SELECT *, bitmapOr(bitmapAndnot(computed, merged), heirs) AS live,
               bitmapOr(heirs, ${bitmapOf(`arrayMap(merge -> merge.1, ${gaveValue})`)}) AS moved
        FROM (
          SELECT *, ${bitmapOf('arrayMap(merge -> merge.1, merges)')} AS merged,
                 ${bitmapOf(`arrayMap(merge -> merge.2, ${gaveValue})`)} AS heirs
          FROM (SELECT computed, acknowledged, unknown, ${merges} AS merges WHERE ${HAS_BITMAPS})
        )
      )
    )`;
}

const FOLLOWERS = followersSql(SPACE, (column) => `bitmapContains(standing, ${column})`);

/** Writes down the changes of those whom the bitmaps name, with who they are. */
function changesSql(values: string): string {
  const bitmap = (name: string): string =>
    `(SELECT groupBitmapMergeState(${name}) FROM extract_bitmaps WHERE extract_id = {extract:UInt64}) AS ${name}`;
  const setOf = (expression: string): string => `(SELECT arrayJoin(bitmapToArray(${expression})))`;
  const people = { profiles: setOf('bitmapOr(standing, leaving)'), followers: FOLLOWERS };
  const mail = `${recordedTraitSql(SPACE, `'email'`, { ...people, profiles: setOf('standing') })}
    UNION ALL ${ownTraitSql(SPACE, `'email'`, setOf('leaving'))}`;
  return `
    INSERT INTO sync_changes (extract_id, idx, profile, value, previous, user_id, anonymous_id, traits)
    WITH ${['live', 'acknowledged', 'unknown', 'standing', 'leaving'].map(bitmap).join(',\n      ')}
    SELECT {extract:UInt64}, toUInt32(row_number() OVER (ORDER BY changed.profile) - 1), changed.profile, changed.after, changed.before,
           ids.user_id, ids.anonymous_id, if(mail.value IN ('', 'null'), '{}', concat('{"email":', mail.value, '}'))
    FROM (${values}) AS changed
    INNER JOIN (${profileIdsSql(SPACE, people)}) AS ids ON ids.owner = changed.profile
    LEFT JOIN (${mail}) AS mail ON mail.owner = changed.profile`;
}
