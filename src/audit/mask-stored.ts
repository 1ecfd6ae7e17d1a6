import { inTransaction, jsonText, type PostgresPool } from '../store/index.ts';

type View = Record<string, unknown>;

const CHUNK = 500;

/**
 * Masks the secrets that an older version wrote into the trail, in `before` and `after` of what it told of destinations. It is the
 * one thing that changes an event: a promise that what happened stays would else keep keys readable for ever. `mask` gives a view
 * as it is to be, for the destination that the event is about. Returns how many events it changed.
 */
export async function maskStoredEvents(
  pool: PostgresPool,
  mask: (destinationId: string, view: View) => View,
): Promise<number> {
  let changed = 0;
  for (let after = ''; ;) {
    const { rows } = await pool.query<{ id: string; destination: string; before: View | null; after: View | null }>(
      `select id, coalesce(details->>'destinationId', resource_id) as destination, before, after
       from audit_events
       where id > $1 and type like 'Destination %' and (before is not null or after is not null)
       order by id limit $2`,
      [after, CHUNK],
    );
    const masked = rows.flatMap((row) => {
      const [was, is] = [row.before, row.after].map((view) => (view === null ? null : mask(row.destination, view)));
      const same = JSON.stringify([was, is]) === JSON.stringify([row.before, row.after]);
      return same ? [] : [{ id: row.id, before: was ?? null, after: is ?? null }];
    });
    if (masked.length > 0) await rewrite(pool, masked);
    changed += masked.length;
    const last = rows.at(-1);
    if (last === undefined || rows.length < CHUNK) return changed;
    after = last.id;
  }
}

/** In one transaction: nobody else can change an event while the trail's trigger is off, because that locks the table. */
async function rewrite(
  pool: PostgresPool,
  events: readonly { id: string; before: View | null; after: View | null }[],
): Promise<void> {
  await inTransaction(pool, async (tx) => {
    await tx.query('alter table audit_events disable trigger audit_events_append_only');
    await tx.query(
      `update audit_events e set before = masked.before, after = masked.after
       from unnest($1::text[], $2::jsonb[], $3::jsonb[]) as masked (id, before, after) where e.id = masked.id`,
      [
        events.map(({ id }) => id),
        events.map(({ before }) => (before === null ? null : jsonText(before))),
        events.map(({ after }) => (after === null ? null : jsonText(after))),
      ],
    );
    await tx.query('alter table audit_events enable trigger audit_events_append_only');
  });
}
