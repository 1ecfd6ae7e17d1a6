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
 * again, so its latest row is among those that say so. `which` is a condition on `profile` that keeps it to some of them.
 */
function mergedProfilesSql(space: string, which = '1'): string {
  return `SELECT profile, argMax(merged_into, version) AS owner FROM profiles WHERE space_id = ${space} AND merged_into != 0 AND ${which} GROUP BY profile`;
}

/**
 * Of profiles for which `isMerged` holds those that were merged, and of those for which `isUser` does all: rows of `profile`, `owner` (0
 * for one that stands) and `is_user`, whether it has a user id of its own. Both are conditions on `profile`.
 */
export function mergedOrUsersSql(space: string, isMerged: string, isUser: string): string {
  return `SELECT profile, argMaxIf(merged_into, version, merged_into != 0) AS owner, max(user_id != '') AS is_user FROM profiles
    WHERE space_id = ${space} AND ((merged_into != 0 AND ${isMerged}) OR ${isUser}) GROUP BY profile`;
}

/**
 * The merged profiles whose owner is one of some, with that owner. `owners` stands after IN. Only the column merged_into is read of all
 * profiles.
 */
export function followersSql(space: string, owners: string): string {
  const ever = `(SELECT profile FROM profiles WHERE space_id = ${space} AND merged_into != 0 AND merged_into IN ${owners})`;
  return `SELECT profile, owner FROM (${mergedProfilesSql(space, `profile IN ${ever}`)}) WHERE owner IN ${owners}`;
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
export function withOwnersSql(rows: string, space: string): string {
  return `SELECT if(m.owner = 0, r.profile, m.owner) AS owner, r.* FROM (${rows}) AS r LEFT ANY JOIN (${mergedProfilesSql(space)}) AS m ON m.profile = r.profile`;
}

/** A recorded trait, one row an `owner`: the latest write counts, whichever profile it was made to. Its `value` may be 'null': absent. */
export function recordedTraitSql(space: string, trait: string): string {
  const rows = `SELECT profile, value, version FROM profile_traits WHERE space_id = ${space} AND trait = ${trait}`;
  return `SELECT owner, argMax(value, version) AS value FROM (${withOwnersSql(rows, space)}) GROUP BY owner`;
}

/** The ids of some profiles as they came in by each, rows of `profile`, `user_id` and `anonymous_id`. `among` stands after IN. */
export function ownIdsSql(space: string, among: string): string {
  return `SELECT profile, argMax(user_id, version) AS user_id, argMax(anonymous_id, version) AS anonymous_id FROM profiles WHERE space_id = ${space} AND profile IN ${among} GROUP BY profile`;
}

/** A recorded trait of some profiles as it came in by each, rows of `profile`, `value` and `written`, which orders the writes. */
export function ownTraitSql(space: string, trait: string, among: string): string {
  return `SELECT profile, argMax(value, version) AS value, max(version) AS written FROM profile_traits WHERE space_id = ${space} AND trait = ${trait} AND profile IN ${among} GROUP BY profile`;
}

/** Orders what came in by several profiles: the owner's own first, then by number, from 1. A number, because a tuple takes much more. */
function ownFirstSql(profile: string, owner: string): string {
  return `if(${profile} = ${owner}, 0, ${profile})`;
}

/**
 * Of rows of `profile` and `owner`, what counts for the owner of a text that came in by several profiles, '' for none: the owner's own,
 * and where that is none, that of the lowest number.
 */
export function firstOfOwnerSql(column: string, profile: string, owner: string): string {
  return `argMinIf(${column}, ${ownFirstSql(profile, owner)}, ${column} != '')`;
}

/** Who each of some profiles is, one row an `owner`: `user_id` and `anonymous_id`, '' where there is none. `among` is an array. */
export function profileIdsSql(space: string, among: string): string {
  const people = `SELECT arrayJoin(${among}) AS profile, profile AS owner UNION ALL ${followersSql(space, among)}`;
  const first = (column: string): string => `${firstOfOwnerSql(`ids.${column}`, 'p.profile', 'p.owner')} AS ${column}`;
  return `SELECT p.owner AS owner, ${first('user_id')}, ${first('anonymous_id')}
    FROM (${people}) AS p INNER JOIN (${ownIdsSql(space, `(SELECT profile FROM (${people}))`)}) AS ids ON ids.profile = p.profile
    GROUP BY p.owner HAVING countIf(p.profile = p.owner) > 0`;
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
    (SELECT groupBitmapState(owner) FROM (${mergedProfilesSql(space, `profile IN ${gone}`)})) AS ${name}_heirs,
    bitmapOr(bitmapAndnot(${name}_computed, ${merged}), ${name}_heirs) AS ${name}`;
}

/**
 * The values of a computed trait's version, one row an `owner`. Of two that meet in a merge the standing profile's counts, then the
 * lowest number's.
 */
export function computedTraitSql(rows: string, space: string): string {
  return `SELECT owner, argMin(value, ${ownFirstSql('profile', 'owner')}) AS value FROM (${withOwnersSql(rows, space)}) GROUP BY owner`;
}

/** The rows of a computed trait's version as they were computed. `version` is the condition that names it. */
export function traitVersionSql(version: string): string {
  return `SELECT profile, value FROM trait_versions ARRAY JOIN profiles AS profile, \`values\` AS value WHERE ${version}`;
}
