import { parseJson } from '../exact-json.ts';
import { storedToJson } from '../stored-json.ts';
import { selectColumns } from '../store/index.ts';
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
  const traits = parseJson(storedToJson(`[${(columns.traits ?? []).join(',')}]`)) as Record<string, unknown>[];
  return (columns.idx ?? []).map((idx, row) => ({
    idx,
    profile: cell(columns.profile, row),
    value: storedToJson(cell(columns.value, row)),
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
