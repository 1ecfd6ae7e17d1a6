import {
  advanceBaseline,
  BITMAPS_AFTER_ROWS,
  keepBaselineBitmaps,
  nextVersion,
  readBaselineState,
  type ChangeRange,
  type QueryContext,
} from '../../../compute/index.ts';
import type { PostgresPool } from '../../../store/index.ts';

/*
 * What a destination has taken is noted in PostgreSQL, in the statement that moves the cursor: one commit settles a batch, so a
 * worker that dies has at most one batch to send again. Into ClickHouse's baselines it goes in larger blocks, because an insert of
 * a few hundred rows costs ClickHouse nearly as much as one of fifty thousand. Whoever compares with a connection's baseline puts
 * there first what is left.
 */

/** Changes that a destination took: as a whole, which it acknowledged, or in part. */
export interface SettledRange extends ChangeRange {
  whole: boolean;
}

const RANGES_AT_ONCE = 1_000;

/** Ascending numbers as the ranges that they fill. */
export function toRanges(indexes: readonly number[]): ChangeRange[] {
  const ranges: ChangeRange[] = [];
  for (const index of indexes) {
    const last = ranges.at(-1);
    if (last?.end === index) last.end += 1;
    else ranges.push({ first: index, end: index + 1 });
  }
  return ranges;
}

/** Puts into a connection's baseline what its destination has taken, as far as that is noted and not there yet. */
export async function foldSettled(pool: PostgresPool, context: QueryContext, connectionId: string): Promise<void> {
  for (;;) {
    const { rows } = await pool.query<{ extract_id: number; whole: boolean; firsts: number[]; ends: number[] }>(
      `select extract_id, whole, array_agg(first_idx) as firsts, array_agg(end_idx) as ends
       from (
         select * from settled_ranges where connection_id = $1 order by extract_id, first_idx limit $2
       ) as oldest
       group by extract_id, whole order by extract_id`,
      [connectionId, RANGES_AT_ONCE],
    );
    if (rows.length === 0) return;
    for (const { extract_id, whole, firsts, ends } of rows) {
      const ranges = firsts.map((first, at) => ({ first, end: ends[at] ?? first }));
      // The number is taken after the ranges were read, and they are deleted after they were put there: see keepBitmaps.
      const noted = await nextVersion(pool);
      const how = { taken: whole ? 'whole' : 'in_part', noted } as const;
      await advanceBaseline(context, connectionId, extract_id, ranges, how);
      // One that has grown meanwhile stays: its rows are put there once more, with the rest of it.
      await pool.query(
        `delete from settled_ranges s using unnest($3::int[], $4::int[]) as folded (first_idx, end_idx)
         where s.connection_id = $1 and s.extract_id = $2
           and s.first_idx = folded.first_idx and s.end_idx = folded.end_idx`,
        [connectionId, extract_id, firsts, ends],
      );
    }
  }
}

/**
 * Keeps an audience's baseline as bitmaps where so much was noted since the last ones that it is worth it. Gives the number of those
 * to go on from, 0 for none. What another worker puts there just now under a lower number must not be missed: its ranges are still
 * noted here, and then nothing is kept this time.
 */
export async function keepBitmaps(pool: PostgresPool, context: QueryContext, connectionId: string): Promise<number> {
  const { since, rows } = await readBaselineState(context, connectionId);
  if (rows < BITMAPS_AFTER_ROWS) return since;
  const noted = await nextVersion(pool);
  const { rowCount } = await pool.query('select from settled_ranges where connection_id = $1 limit 1', [connectionId]);
  if (rowCount !== 0) return since;
  await keepBaselineBitmaps(context, connectionId, { since, noted });
  return noted;
}

/**
 * Puts there what is noted of connections whose sync ended in the middle, long ago, and had none after it: the changes themselves, which the ranges
 * count, are kept for a month only.
 */
export async function foldForgotten(pool: PostgresPool, context: QueryContext): Promise<void> {
  const { rows } = await pool.query<{ connection_id: string }>(
    `select distinct connection_id from settled_ranges s
     where created_at < now() - interval '1 day'
       and not exists (select from tasks t where t.connection_id = s.connection_id and t.ended_at is null)`,
  );
  for (const { connection_id } of rows) await foldSettled(pool, context, connection_id);
}
