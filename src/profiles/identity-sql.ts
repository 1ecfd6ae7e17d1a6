/*
 * How a profile is read in ClickHouse, whoever reads it: through the mapping of merged profiles (docs/decisions/0003 and 0004).
 * Events, traits and memberships keep the number that they came in by; `owner` is the profile they count for. What reads ids,
 * traits or members by bare numbers reads what a person was before somebody said who they are.
 *
 * Each function gives a SELECT that is fit to stand in parentheses. `space` is the space's id as it is bound, such as
 * `{space:String}`; what names a set of profiles is fit to stand after IN.
 */

/**
 * The merged profiles of a space, one a row, with their owner. Without FINAL: a profile that was merged is never one that stands
 * again, so its latest row is among those that say so. `among` keeps it to some of them, found by the primary key.
 */
export function mergedProfilesSql(space: string, among?: string): string {
  const few = among === undefined ? '' : ` AND profile IN ${among}`;
  return `SELECT profile, argMax(merged_into, version) AS owner FROM profiles WHERE space_id = ${space} AND merged_into != 0${few} GROUP BY profile`;
}

/**
 * The merged profiles whose owner is one of some, with that owner. `isOne` says of a column whether it is, such as
 * `(column) => `${column} IN …``. Only the column merged_into is read of all profiles.
 */
export function followersSql(space: string, isOne: (column: string) => string): string {
  const ever = `(SELECT profile FROM profiles WHERE space_id = ${space} AND merged_into != 0 AND ${isOne('merged_into')})`;
  return `SELECT profile, owner FROM (${mergedProfilesSql(space, ever)}) WHERE ${isOne('owner')}`;
}

/** All merged profiles of a space as one bitmap. */
export function mergedBitmapSql(space: string): string {
  return `SELECT groupBitmapState(profile) FROM profiles WHERE space_id = ${space} AND merged_into != 0`;
}

/** The profiles of a space that were not merged into another, one a row. */
export function standingProfilesSql(space: string): string {
  return `SELECT profile FROM profiles FINAL WHERE space_id = ${space} AND merged_into = 0`;
}

/**
 * Rows of profiles (`rows` selects a column `profile`) with the profile that each of them counts for as `owner`: itself,
 * or the one it was merged into. Only merged profiles are joined, so the join's table stays small.
 */
export function withOwnersSql(rows: string, space: string, merged: string = mergedProfilesSql(space)): string {
  return `SELECT if(m.owner = 0, r.profile, m.owner) AS owner, r.* FROM (${rows}) AS r LEFT ANY JOIN (${merged}) AS m ON m.profile = r.profile`;
}

/** Some profiles, `profiles`, which stands after IN, and who was merged into them, rows of `profile` and `owner`. */
export interface People {
  profiles: string;
  followers: string;
}

/** A recorded trait, one row an `owner`: the latest write counts, whichever profile it was made to. Its `value` may be 'null': absent. */
export function recordedTraitSql(space: string, trait: string, among?: People): string {
  const few =
    among === undefined
      ? ''
      : ` AND (profile IN ${among.profiles} OR profile IN (SELECT profile FROM (${among.followers})))`;
  const rows = `SELECT profile, value, version FROM profile_traits WHERE space_id = ${space} AND trait = ${trait}${few}`;
  return `SELECT owner, argMax(value, version) AS value FROM (${withOwnersSql(rows, space, among?.followers)}) GROUP BY owner`;
}

/** A recorded trait as some profiles have it by their own number, whoever they were merged into: rows of `owner` and `value`. */
export function ownTraitSql(space: string, trait: string, profiles: string): string {
  return `SELECT profile AS owner, argMax(value, version) AS value FROM profile_traits WHERE space_id = ${space} AND trait = ${trait} AND profile IN ${profiles} GROUP BY profile`;
}

/**
 * Who each of some profiles is, one row an `owner`: `user_id` and `anonymous_id`, '' where there is none. A profile's own ids count;
 * where it lacks one, that of the profile with the lowest number that was merged into it.
 */
export function profileIdsSql(space: string, { profiles, followers }: People): string {
  const rows = (set: string): string =>
    `SELECT profile, argMax(user_id, version) AS user, argMax(anonymous_id, version) AS anonymous FROM profiles WHERE space_id = ${space} AND profile IN ${set} GROUP BY profile`;
  const first = (column: string): string => `argMinIf(r.${column}, r.profile, r.${column} != '')`;
  const theirs = `SELECT f.owner AS owner, ${first('user')} AS user, ${first('anonymous')} AS anonymous FROM (${rows(`(SELECT profile FROM (${followers}))`)}) AS r INNER JOIN (${followers}) AS f ON f.profile = r.profile GROUP BY f.owner`;
  const either = (column: string): string => `if(own.${column} != '', own.${column}, theirs.${column})`;
  return `SELECT own.profile AS owner, ${either('user')} AS user_id, ${either('anonymous')} AS anonymous_id FROM (${rows(profiles)}) AS own LEFT JOIN (${theirs}) AS theirs ON theirs.owner = own.profile`;
}

/** The members of an audience's version, as rows of `owner`. `version` is the condition that names it. */
export function membersSql(version: string, space: string): string {
  const rows = `SELECT arrayJoin(bitmapToArray(members)) AS profile FROM audience_versions WHERE ${version}`;
  return `SELECT DISTINCT owner FROM (${withOwnersSql(rows, space)})`;
}

/**
 * The members of an audience's version as one bitmap: the common table expressions that it takes, by names that begin with `name`,
 * the last of which is the bitmap. `merged` names the bitmap of merged profiles. A version is of profiles that stood when it was
 * computed, so only those that were merged since are looked up.
 */
export function membersBitmapSql(name: string, version: string, space: string, merged: string): string {
  const gone = `(SELECT arrayJoin(bitmapToArray(bitmapAnd(${name}_computed, ${merged}))))`;
  return `(SELECT groupBitmapMergeState(members) FROM audience_versions WHERE ${version}) AS ${name}_computed,
    (SELECT groupBitmapState(owner) FROM (${mergedProfilesSql(space, gone)})) AS ${name}_heirs,
    bitmapOr(bitmapAndnot(${name}_computed, ${merged}), ${name}_heirs) AS ${name}`;
}

/**
 * The values of a computed trait's version, one row an `owner`. Of two that meet in a merge the standing profile's counts, then the
 * lowest number's.
 */
export function computedTraitSql(rows: string, space: string, merged?: string): string {
  return `SELECT owner, argMin(value, (profile != owner, profile)) AS value FROM (${withOwnersSql(rows, space, merged)}) GROUP BY owner`;
}

/** The rows of a computed trait's version as they were computed. `version` is the condition that names it. */
export function traitVersionSql(version: string): string {
  return `SELECT profile, value FROM trait_versions ARRAY JOIN profiles AS profile, \`values\` AS value WHERE ${version}`;
}
