import {
  firstOfOwnerSql,
  followersSql,
  mergedOrUsersSql,
  ownIdsSql,
  ownTraitSql,
  traitVersionSql,
} from '../profiles/index.ts';
import { baselineBitmapsSql, baselineValuesSql } from './baselines.ts';

/*
 * The statements that an extract is made of, in their order. Each writes down what the next one reads by its key. ClickHouse takes longer
 * to plan a small statement than to execute it, and plans and executes each scalar subquery by itself: so there are few of them, and what
 * is compared is one tuple.
 *
 * All take the parameters extract, connection, space, computation, version, since and unknown.
 */

export type ExtractKind = 'audience' | 'computed_trait';
export type ExtractScope = 'difference' | 'everything' | 'redriven';

const SPACE = '{space:String}';
const VERSION = 'computation_id = {computation:String} AND version = {version:UInt64}';
const THIS = 'extract_id = {extract:UInt64}';

// What is compared: who has a value in the version as it was computed, who has one at the destination, of whom nobody knows, and whom the
// destination knows by an anonymous id.
const COMPUTED = 'sides.1';
const ACKNOWLEDGED = 'sides.2';
const UNCERTAIN = 'sides.3';
const ANONYMOUS = 'sides.4';
// To ask a bitmap costs something for each profile of the space; where the destination knows nobody so, a comparison is enough.
const IS_ANONYMOUS = `(profile <= bitmapMax(${ANONYMOUS}) AND bitmapContains(${ANONYMOUS}, profile))`;

/** An audience is bitmaps on both sides. */
function audienceSidesSql(since: number): string {
  return `SELECT (version.members, baseline.acknowledged, baseline.unknown, baseline.anonymous)
    FROM (SELECT groupBitmapMergeState(members) AS members FROM audience_versions WHERE ${VERSION}) AS version
    CROSS JOIN (${baselineBitmapsSql(since)}) AS baseline`;
}

// Profiles whose numbers are neighbours, so many of them, are compared by one sum of hashes.
const RANGE = 256;

/**
 * A computed trait has values on both sides. They are compared range by range of profiles, each by a sum of 64-bit hashes that takes
 * no memory to speak of; only those of ranges that differ are compared one by one, by the last statement.
 */
function traitSidesSql(): string {
  const hash = 'reinterpretAsInt64(sipHash64(profile, value))';
  return `
    SELECT (groupBitmapMergeState(range_computed), groupBitmapMergeState(range_known),
            groupBitmapMergeStateIf(bitmapOr(range_computed, range_known), difference != 0), groupBitmapMergeState(range_anonymous))
    FROM (
      SELECT groupBitmapStateIf(profile, side = 1) AS range_computed, groupBitmapStateIf(profile, side = -1) AS range_known,
             groupBitmapStateIf(profile, anonymous) AS range_anonymous, sum(side * hash) AS difference
      FROM (
        SELECT profile, 1 AS side, ${hash} AS hash, 0 AS anonymous FROM (${traitVersionSql(VERSION)})
        UNION ALL
        SELECT profile, -1 AS side, ${hash} AS hash, anonymous
        FROM (SELECT profile, value, anonymous FROM baselines FINAL WHERE connection_id = {connection:String} AND value != '')
      )
      GROUP BY intDiv(profile, ${RANGE})
    )`;
}

/**
 * Writes down of whom the extract says something, and of an audience also what: who differs and stands, and who was merged and has to be
 * taken out. `merges` are the merged profiles that one of the sides has, each with its owner; no other merge matters. `outgrown` are
 * those whom the destination knows by an anonymous id and who are users by now. Columns of one row, each made of those before it, because
 * an alias would be computed wherever it is used.
 */
export function peopleSql(kind: ExtractKind, scope: ExtractScope, since: number): string {
  const audience = kind === 'audience';
  const differs = audience
    ? `bitmapOr(bitmapOr(bitmapXor(live, ${ACKNOWLEDGED}), ${UNCERTAIN}), outgrown)`
    : // Whoever was merged since the version was computed may have given a value to their owner.
      `bitmapOr(bitmapOr(${UNCERTAIN}, moved), outgrown)`;
  const bitmapOf = (profiles: string): string => `arrayReduce('groupBitmapState', ${profiles})`;
  const sides = [COMPUTED, ACKNOWLEDGED, UNCERTAIN].map((side) => `bitmapContains(${side}, profile)`).join(' OR ');
  const gaveValue = `arrayFilter(merge -> bitmapContains(${COMPUTED}, merge.1), merges)`;
  const leaving =
    'arrayFilter(merge -> bitmapContains(differing, merge.1) AND NOT bitmapContains(live, merge.2), merges)';
  const said = audience
    ? `bitmapContains(live, profile) AND NOT bitmapContains(outgrown, profile),
       multiIf(bitmapContains(${UNCERTAIN}, profile), 2, bitmapContains(${ACKNOWLEDGED}, profile), 1, 0)`
    : '0, 0';
  return `
    INSERT INTO extract_people (extract_id, profile, owner, is_in, was_in, outgrown)
    WITH (${audience ? audienceSidesSql(since) : traitSidesSql()}) AS sides
    SELECT {extract:UInt64}, profile, profile, ${said}, bitmapContains(outgrown, profile)
    FROM (
      SELECT live, outgrown, arrayJoin(bitmapToArray(bitmapOr(bitmapAndnot(differing, merged), ${bitmapOf(`arrayMap(merge -> merge.1, ${leaving})`)}))) AS profile
      FROM (
        SELECT *, ${inScope(differs, scope)} AS differing
        FROM (
          SELECT *, bitmapOr(bitmapAndnot(${COMPUTED}, merged), heirs) AS live,
                 bitmapOr(heirs, ${bitmapOf(`arrayMap(merge -> merge.1, ${gaveValue})`)}) AS moved
          FROM (
            SELECT merges, outgrown, ${bitmapOf('arrayMap(merge -> merge.1, merges)')} AS merged,
                   ${bitmapOf(`arrayMap(merge -> merge.2, ${gaveValue})`)} AS heirs
            FROM (
              SELECT groupArrayIf((profile, owner), owner != 0) AS merges, groupBitmapStateIf(profile, is_user AND ${IS_ANONYMOUS}) AS outgrown
              FROM (${mergedOrUsersSql(SPACE, `(${sides})`, IS_ANONYMOUS)})
            )
          )
        )
      )
    )`;
}

function inScope(differs: string, scope: ExtractScope): string {
  if (scope === 'everything') return `bitmapOr(bitmapOr(${differs}, live), ${ACKNOWLEDGED})`;
  if (scope === 'difference') return differs;
  return `bitmapAnd(${differs}, (SELECT groupBitmapState(profile) FROM redriven_profiles WHERE ${THIS}))`;
}

const PEOPLE = `(SELECT profile FROM extract_people WHERE ${THIS})`;

/** Asks for every {slice}-th of those whom the extract says something of: rows of `owner`, in order; none where there are fewer. */
export function sliceEndsSql(): string {
  return `SELECT owner FROM (
      SELECT owner, row_number() OVER (ORDER BY owner) AS place FROM extract_people WHERE ${THIS} AND profile = owner
    ) WHERE place % {slice:UInt32} = 0 ORDER BY owner`;
}

/** Writes down who was merged into those whom the extract says something of: their ids, traits and values may count for them. */
export function followersOfPeopleSql(): string {
  return `
    INSERT INTO extract_people (extract_id, profile, owner, is_in, was_in)
    SELECT {extract:UInt64}, profile, owner, 0, 0 FROM (${followersSql(SPACE, PEOPLE)})`;
}

// What the sources of a change have together; each has some of it.
const EMPTY = {
  known: '0',
  user_id: "''",
  anonymous_id: "''",
  mail: "''",
  written: 'toUInt128(0)',
  value: "''",
  previous: "''",
};

/** Rows of one column set, from `rows` (by the name `own`): the columns that it has, the others empty. */
function sourceSql(rows: string, has: Partial<typeof EMPTY>): string {
  const columns = Object.entries({ ...EMPTY, ...has }).map(([name, value]) => `${value} AS ${name}`);
  return `SELECT profile, ${columns.join(', ')} FROM (${rows}) AS own`;
}

/**
 * Writes down the changes, with who they are of. Each source gives its rows by the profile that they came in by; all of a person's are then
 * put together in one go. Of whom ClickHouse has no ids yet, nothing is said. Takes the parameters `after`, `upTo` and `next` too: of whom it says something, those
 * with numbers above `after` up to `upTo`, and the idx of the `next` change.
 */
export function changesSql(kind: ExtractKind, scope: ExtractScope): string {
  const trait = kind === 'computed_trait';
  const slice = `${THIS} AND owner > {after:UInt32} AND owner <= {upTo:UInt32}`;
  const among = `(SELECT profile FROM extract_people WHERE ${slice})`;
  const first = (column: string): string => firstOfOwnerSql(`r.${column}`, 'p.profile', 'p.owner');
  const sources = [
    sourceSql(ownIdsSql(SPACE, among), { user_id: 'own.user_id', anonymous_id: 'own.anonymous_id', known: '1' }),
    sourceSql(ownTraitSql(SPACE, `'email'`, among), { mail: 'own.value', written: 'own.written' }),
    ...(trait
      ? [
          sourceSql(`SELECT * FROM (${traitVersionSql(VERSION)}) WHERE profile IN ${among}`, { value: 'own.value' }),
          sourceSql(baselineValuesSql(among), { previous: 'own.value' }),
        ]
      : []),
  ];
  const after = trait ? `if(max(p.outgrown) = 1, '', ${first('value')})` : `if(max(p.is_in) = 1, 'true', '')`;
  const before = trait
    ? `maxIf(r.previous, p.profile = p.owner)`
    : `multiIf(max(p.was_in) = 2, {unknown:String}, max(p.was_in) = 1, 'true', '')`;
  const differs = trait ? `AND (after != before ${scope === 'everything' ? "OR after != ''" : ''})` : '';
  return `
    INSERT INTO sync_changes (extract_id, idx, profile, value, previous, user_id, anonymous_id, traits, outgrown)
    SELECT {extract:UInt64}, toUInt32({next:UInt32} + row_number() OVER (ORDER BY owner) - 1), owner, after, before, if(is_outgrown, '', user), anonymous,
           if(email IN ('', 'null'), '{}', concat('{"email":', email, '}')), is_outgrown
    FROM (
      SELECT p.owner AS owner, ${after} AS after, ${before} AS before, max(p.outgrown) AS is_outgrown, ${first('user_id')} AS user, ${first('anonymous_id')} AS anonymous,
             argMax(r.mail, r.written) AS email
      FROM (${sources.join(' UNION ALL ')}) AS r
      INNER JOIN (SELECT profile, owner, is_in, was_in, outgrown FROM extract_people WHERE ${slice}) AS p ON p.profile = r.profile
      GROUP BY p.owner
      HAVING maxIf(r.known, p.profile = p.owner) = 1 ${differs}
    )`;
}
