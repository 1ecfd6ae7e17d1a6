import type { PostgresPool } from '../store/index.ts';
import { referencesOf } from './definition.ts';

const BATCH = 1_000;

// As the next run would have read them.
const AS_THEY_ARE_NOW = `computed_traits = array(
  select read.trait from unnest($3::text[]) as read (trait)
  where exists (select from computations o where o.space_id = c.space_id and o.key = read.trait and o.deleted_at is null and o.id <> c.id))`;

/**
 * Fills what definitions refer to, of computations that were written before that was kept beside them. Safe to call again, and
 * from several processes at once: a worker does when it starts. Returns how many it filled.
 */
export async function fillReferences(pool: PostgresPool): Promise<number> {
  let filled = 0;
  let after = '';
  for (;;) {
    const { rows } = await pool.query<{ id: string; definition_query: string; definition_version: number }>(
      `select id, definition_query, definition_version from computations
       where refers_to = '{}' and deleted_at is null and strpos(lower(definition_query), 'trait') > 0 and id > $1
       order by id limit $2`,
      [after, BATCH],
    );
    for (const row of rows) {
      const refersTo = referencesOf(row.definition_query);
      if (refersTo.length === 0) continue;
      // Not over an edit of the meantime, which has written its own.
      await pool.query(
        `update computations c set refers_to = $3, ${AS_THEY_ARE_NOW} where id = $1 and definition_version = $2`,
        [row.id, row.definition_version, refersTo],
      );
      filled++;
    }
    if (rows.length < BATCH) return filled;
    after = rows.at(-1)?.id ?? after;
  }
}
