import type { PostgresPool, Queryable } from '../../../store/index.ts';
import type { ExtractScope, TaskRow } from '../../model/task.ts';

const PAGE_ROWS = 20_000;

/**
 * Says what a sync sends. A sync is a redrive where rejected rows say that it sends them again; any other sends everything where
 * someone has asked for it since the last one that did. `resyncRequestedAt` is that wish, in PostgreSQL's own precision: `finish`
 * fulfils this one, and not one that came later.
 */
export async function readExtractScope(
  db: Queryable,
  task: Pick<TaskRow, 'id' | 'connection_id'>,
): Promise<{ scope: ExtractScope; resyncRequestedAt: string | null }> {
  const { rows } = await db.query<{ redrive: boolean; resync_requested_at: string | null }>(
    `select exists (select from rejected_rows where redriven_by = $2) as redrive,
            to_json(resync_requested_at) #>> '{}' as resync_requested_at
     from connections where id = $1`,
    [task.connection_id, task.id],
  );
  const row = rows[0];
  if (row?.redrive === true) return { scope: 'redriven', resyncRequestedAt: null };
  const resyncRequestedAt = row?.resync_requested_at ?? null;
  return { scope: resyncRequestedAt === null ? 'difference' : 'everything', resyncRequestedAt };
}

/** The profiles whose rejected rows the task sends again, in pages of ascending numbers. */
export async function* redrivenProfiles(pool: PostgresPool, taskId: string): AsyncGenerator<number[]> {
  let after = -1;
  for (;;) {
    const { rows } = await pool.query<{ profile: number }>(
      `select distinct profile from rejected_rows where redriven_by = $1 and profile > $2 order by profile limit $3`,
      [taskId, after, PAGE_ROWS],
    );
    const profiles = rows.map((row) => row.profile);
    if (profiles.length > 0) yield profiles;
    if (profiles.length < PAGE_ROWS) return;
    after = profiles.at(-1) ?? after;
  }
}
