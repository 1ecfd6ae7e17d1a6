import type { Queryable } from '../../store/index.ts';

/** The id of the connection's sync that is open, null if there is none. */
export async function openSyncOf(db: Queryable, connectionId: string): Promise<string | null> {
  const { rows } = await db.query<{ id: string }>(
    'select id from tasks where connection_id = $1 and ended_at is null',
    [connectionId],
  );
  return rows[0]?.id ?? null;
}
