import type { QueryContext } from '../context.ts';
import type { EventField, Scalar } from '../plan.ts';
import type { SqlParams } from './params.ts';

/** What every part of one statement is built with. */
export interface SqlContext extends QueryContext {
  readonly params: SqlParams;
  readonly asOfMs: number;
}

/** The profiles of the space that were not merged into another, one a row. */
export function standingProfilesSql({ params, spaceId }: SqlContext): string {
  return `SELECT profile FROM profiles FINAL WHERE space_id = ${params.bind('String', spaceId)} AND merged_into = 0`;
}

/**
 * Rows of profiles (`rows` selects a column `profile`) with the profile that each of them counts for as `owner`: itself,
 * or the one it was merged into. Only merged profiles are joined, so the join's table stays small.
 */
export function withOwnersSql(rows: string, { params, spaceId }: SqlContext): string {
  const merged = `SELECT profile, merged_into FROM profiles FINAL WHERE space_id = ${params.bind('String', spaceId)} AND merged_into != 0`;
  return `SELECT if(m.merged_into = 0, r.profile, m.merged_into) AS owner, r.* FROM (${rows}) AS r LEFT ANY JOIN (${merged}) AS m ON m.profile = r.profile`;
}

/**
 * Where a property or context path becomes SQL, and the only place: the value as JSON text, '' where there is none. A
 * property that gets a typed column of its own is read from there by a change to this function.
 */
export function eventFieldSql(field: EventField, params: SqlParams): string {
  return jsonPathSql(field.kind === 'property' ? 'properties' : 'context', field.path, params);
}

function jsonPathSql(json: string, path: readonly string[], params: SqlParams): string {
  if (path.length === 0) return json;
  return `JSONExtractRaw(${[json, ...path.map((key) => params.bind('String', key))].join(', ')})`;
}

/** The values of a trait, one row an `owner`; `value` is JSON text. Absent values may have a row or none. */
export function traitSql(trait: Scalar & { kind: 'trait' }, context: SqlContext): string {
  const value = jsonPathSql('value', trait.path, context.params);
  return `SELECT owner, ${value} AS value FROM (${wholeTraitSql(trait.name, context)})`;
}

function wholeTraitSql(name: string, context: SqlContext): string {
  const { params, spaceId } = context;
  const place = context.traits(name);
  if (place.from === 'profile') {
    const rows = `SELECT profile, value, version FROM profile_traits WHERE space_id = ${params.bind('String', spaceId)} AND trait = ${params.bind('String', name)}`;
    return `SELECT owner, argMax(value, version) AS value FROM (${withOwnersSql(rows, context)}) GROUP BY owner`;
  }
  const version = `computation_id = ${params.bind('String', place.computationId)} AND version = ${params.bind('UInt64', place.version)}`;
  if (place.from === 'audience') {
    const rows = `SELECT arrayJoin(bitmapToArray(members)) AS profile FROM audience_versions WHERE ${version}`;
    return `SELECT DISTINCT owner, 'true' AS value FROM (${withOwnersSql(rows, context)})`;
  }
  const rows = `SELECT profile, value FROM trait_versions ARRAY JOIN profiles AS profile, \`values\` AS value WHERE ${version}`;
  // Two profiles that were merged since may both have a value: the standing one's counts, then the lowest number's.
  return `SELECT owner, argMin(value, (profile != owner, profile)) AS value FROM (${withOwnersSql(rows, context)}) GROUP BY owner`;
}
