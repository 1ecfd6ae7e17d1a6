import { outlastPermits, type Queryable } from '../../store/index.ts';

/**
 * Waits, after a change was committed, until no sync sends anything more under what there was before: but what is at the destination
 * already. Not where no sync of it is under way, or was just now.
 */
export async function outlastSends(
  db: Queryable,
  of: { destinationId: string } | { computationId: string } | { taskId: string },
): Promise<void> {
  const { rows } = await db.query<{ sends: boolean }>(
    `select exists (
       select from connections n cross join lateral (
         select ended_at, admitted_at from tasks where connection_id = n.id order by created_at desc limit 2
       ) t
       where (n.destination_id = $1 or n.computation_id = $2 or n.id = (select connection_id from tasks where id = $3))
         and t.admitted_at is not null and (t.ended_at is null or t.ended_at > clock_timestamp() - interval '10 seconds')
     ) as sends`,
    [
      'destinationId' in of ? of.destinationId : null,
      'computationId' in of ? of.computationId : null,
      'taskId' in of ? of.taskId : null,
    ],
  );
  if (rows[0]?.sends === true) await outlastPermits();
}
