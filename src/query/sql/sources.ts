import { computedTraitSql, membersSql, recordedTraitSql, traitVersionSql } from '../../profiles/index.ts';
import { escapeMarks } from '../../stored-json.ts';
import type { QueryContext } from '../context.ts';
import type { EventField, Scalar } from '../plan.ts';
import type { SqlParams } from './params.ts';
import { storedToJsonSql } from './stored-json-sql.ts';

/** What every part of one statement is built with. */
export interface SqlContext extends QueryContext {
  readonly params: SqlParams;
  readonly asOfMs: number;
}

/** The space's id, bound. */
export function spaceOf({ params, spaceId }: SqlContext): string {
  return params.bind('String', spaceId);
}

/**
 * Where a property or context path becomes SQL, and the only place: the value as JSON in its stored form, '' where there is none. A
 * property that gets a typed column of its own is read from there by a change to this function.
 */
export function eventFieldSql(field: EventField, params: SqlParams): string {
  return jsonPathSql(field.kind === 'property' ? 'properties' : 'context', field.path, params);
}

function jsonPathSql(json: string, path: readonly string[], params: SqlParams): string {
  if (path.length === 0) return json;
  return `JSONExtractRaw(${[json, ...path.map((key) => params.bind('String', escapeMarks(key)))].join(', ')})`;
}

/** The values of a trait, one row an `owner`; `value` is JSON text, `stored` its stored form. Absent values may have a row or none. */
export function traitSql(trait: Scalar & { kind: 'trait' }, context: SqlContext): string {
  // Qualified: a bare `value` would be the alias.
  const stored = jsonPathSql('w.value', trait.path, context.params);
  return `SELECT owner, ${stored} AS stored, ${storedToJsonSql('stored')} AS value FROM (${wholeTraitSql(trait.name, context)}) AS w`;
}

function wholeTraitSql(name: string, context: SqlContext): string {
  const { params } = context;
  const space = spaceOf(context);
  const place = context.traits(name);
  if (place.from === 'profile') return recordedTraitSql(space, params.bind('String', name));
  const version = `computation_id = ${params.bind('String', place.computationId)} AND version = ${params.bind('UInt64', place.version)}`;
  if (place.from === 'audience') return `SELECT owner, 'true' AS value FROM (${membersSql(version, space)})`;
  return computedTraitSql(traitVersionSql(version), space);
}
