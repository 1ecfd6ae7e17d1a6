import { runStatement, selectRows, type ClickHouseClient } from '../store/index.ts';
import type { QueryContext } from './versions.ts';

/*
 * What a destination has acknowledged about each profile: rows of the table baselines, of which the one with the highest seq (the
 * extract that delivered it) counts. `noted` says in which order they were written, so that an audience's baseline can be kept as
 * bitmaps too: those, and the rows noted since, are the baseline, however large it is.
 */

/**
 * A baseline's value where the destination may have taken a change and did not say so. It is no JSON, so it differs from every
 * value and from none: the difference has the profile until the destination acknowledges what is live.
 */
export const UNKNOWN = '?';

/** So many rows noted since the last bitmaps are worth new ones. */
export const BITMAPS_AFTER_ROWS = 10_000;

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
 * Twice is as once. `noted` is a number of nextVersion, taken for this call.
 */
export async function forgetUnsettled(
  context: QueryContext,
  connectionId: string,
  unsettled: Unsettled,
  noted: number,
): Promise<void> {
  const { extractId, next, size, redo } = unsettled;
  await runStatement(
    context.clickhouse,
    `INSERT INTO baselines (connection_id, profile, value, anonymous, seq, noted)
     SELECT {connection:String}, profile, {unknown:String}, user_id = '', extract_id, {noted:UInt64} FROM sync_changes
     WHERE extract_id = {extract:UInt64}
       AND (idx IN {redo:Array(UInt32)} OR (idx >= {next:UInt32} AND idx < {end:UInt32}))`,
    { connection: connectionId, unknown: UNKNOWN, extract: extractId, next, end: next + size, redo, noted },
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
 * replaces itself. `noted` is a number of nextVersion, taken for this call; the extract's own where no bitmaps were kept since.
 */
export async function advanceBaseline(
  context: QueryContext,
  connectionId: string,
  extractId: number,
  ranges: readonly ChangeRange[],
  { taken = 'whole', noted = extractId }: { taken?: 'whole' | 'in_part'; noted?: number } = {},
): Promise<void> {
  if (ranges.length === 0) return;
  await runStatement(
    context.clickhouse,
    `INSERT INTO baselines (connection_id, profile, value, anonymous, seq, noted)
     SELECT {connection:String}, profile, ${taken === 'whole' ? 'value' : '{unknown:String}'}, user_id = '', extract_id, {noted:UInt64} FROM sync_changes
     WHERE extract_id = {extract:UInt64}
       AND idx >= {least:UInt32} AND idx < {most:UInt32}
       AND arrayExists((first, end) -> idx >= first AND idx < end, {firsts:Array(UInt32)}, {ends:Array(UInt32)})`,
    {
      connection: connectionId,
      extract: extractId,
      noted,
      ...(taken === 'whole' ? {} : { unknown: UNKNOWN }),
      least: Math.min(...ranges.map(({ first }) => first)),
      most: Math.max(...ranges.map(({ end }) => end)),
      firsts: ranges.map(({ first }) => first),
      ends: ranges.map(({ end }) => end),
    },
    context,
  );
}

/** The number at which a connection's baseline was last kept as bitmaps, 0 for never, and how many rows were noted since. */
export async function readBaselineState(
  context: QueryContext,
  connectionId: string,
): Promise<{ since: number; rows: number }> {
  const [row] = await selectRows<{ since: number; rows: number }>(
    context.clickhouse,
    `WITH (SELECT max(noted) FROM baseline_bitmaps WHERE connection_id = {connection:String}) AS since
     SELECT since, toUInt32(count()) AS rows FROM baselines WHERE connection_id = {connection:String} AND noted >= since`,
    { connection: connectionId },
    context,
  );
  return row ?? { since: 0, rows: 0 };
}

/**
 * Keeps an audience's baseline as bitmaps, as it is now. `since` is where readBaselineState says that they were kept before. `noted`
 * is a number of nextVersion; what was noted under a lower one must be there by now.
 */
export async function keepBaselineBitmaps(
  context: QueryContext,
  connectionId: string,
  { since, noted }: { since: number; noted: number },
): Promise<void> {
  await runStatement(
    context.clickhouse,
    `INSERT INTO baseline_bitmaps (connection_id, noted, acknowledged, unknown, anonymous)
     SELECT {connection:String}, {noted:UInt64}, acknowledged, unknown, anonymous FROM (${baselineBitmapsSql(since)})`,
    { connection: connectionId, since, noted, unknown: UNKNOWN },
    context,
  );
}

/** Deletes bitmaps that newer ones have replaced for a day: no query reads them any more. */
export async function dropOldBitmaps(clickhouse: ClickHouseClient): Promise<void> {
  const old = `created_at < now() - INTERVAL 1 DAY
    AND (connection_id, noted) NOT IN (SELECT connection_id, max(noted) FROM baseline_bitmaps GROUP BY connection_id)`;
  const [row] = await selectRows<{ old: number }>(
    clickhouse,
    `SELECT toUInt32(count()) AS old FROM baseline_bitmaps WHERE ${old}`,
  );
  if (row === undefined || row.old === 0) return;
  await clickhouse.command({ query: `DELETE FROM baseline_bitmaps WHERE ${old}` });
}

/**
 * An audience's baseline as one row of bitmaps: `acknowledged`, the members that the destination has, `unknown`, and `anonymous`, those of
 * both that it knows by an anonymous id. Takes the parameters connection, unknown and since, the number of the bitmaps to go on from; 0 is none. Ends the query where those are not
 * there: a replica is behind.
 */
export function baselineBitmapsSql(since: number): string {
  const bitmaps = `groupBitmapStateIf(profile, value = 'true') AS acknowledged, groupBitmapStateIf(profile, value = {unknown:String}) AS unknown,
    groupBitmapStateIf(profile, anonymous = 1 AND value != '') AS anonymous`;
  if (since === 0) return `SELECT ${bitmaps} FROM baselines FINAL WHERE connection_id = {connection:String}`;
  const touched =
    '(SELECT profile FROM baselines WHERE connection_id = {connection:String} AND noted >= {since:UInt64})';
  const now = (name: string): string =>
    `bitmapOr(bitmapAndnot(kept.${name}, recent.touched), recent.${name}) AS ${name}`;
  return `SELECT ${now('acknowledged')}, ${now('unknown')}, ${now('anonymous')}
    FROM (
      SELECT groupBitmapMergeState(acknowledged) AS acknowledged, groupBitmapMergeState(unknown) AS unknown,
             groupBitmapMergeState(anonymous) AS anonymous, count() AS rows
      FROM baseline_bitmaps WHERE connection_id = {connection:String} AND noted = {since:UInt64}
    ) AS kept
    CROSS JOIN (SELECT groupBitmapState(profile) AS touched, ${bitmaps} FROM (${baselineValuesSql(touched)})) AS recent
    WHERE throwIf(kept.rows = 0, 'the bitmaps of a baseline are not there') = 0`;
}

// One number and not a tuple, which takes several times as long to compare and much more memory.
const NEWEST = 'bitShiftLeft(toUInt128(seq), 64) + noted';

/** What the destination has of some profiles: rows of `profile`, `value` and `anonymous`. `among` stands after IN. Takes the parameter connection. */
export function baselineValuesSql(among: string): string {
  return `SELECT profile, argMax(value, ${NEWEST}) AS value, argMax(anonymous, ${NEWEST}) AS anonymous FROM baselines
    WHERE connection_id = {connection:String} AND profile IN ${among} GROUP BY profile`;
}
