import type { Unsettled } from '../../../compute/index.ts';
import { MAX_CHANGES_PER_BATCH } from '../../../destinations/index.ts';
import type { Queryable } from '../../../store/index.ts';
import type { TaskRow } from '../../model/task.ts';

/**
 * What the connection's sync before this one may have sent without hearing of it, where it ended in the middle of `deliver`: the
 * batches that came back unacknowledged, and the one that was in flight. Null where there is nothing of the kind. Only the latest
 * is looked at: the sync after an earlier one has seen to that.
 */
export async function readUnsettled(
  db: Queryable,
  task: Pick<TaskRow, 'id' | 'connection_id'>,
): Promise<Unsettled | null> {
  const { rows } = await db.query<{ extract_id: number; next: number; redo: number[] }>(
    `with latest as (
       select t.id, (e.output ->> 'extractId')::bigint as extract_id
       from tasks t
       join steps e on e.task_id = t.id and e.name = 'extract' and e.completed_at is not null
       where t.connection_id = $1 and t.id <> $2 and t.ended_at is not null
       order by t.created_at desc, t.id desc limit 1
     )
     select latest.extract_id, coalesce((d.cursor ->> 'next')::integer, 0) as next, coalesce(d.cursor -> 'redo', '[]') as redo
     from latest
     join steps d on d.task_id = latest.id and d.name = 'deliver' and d.completed_at is null
     -- a task that was to retry it may never have come to deliver, but the one before it did
     where exists (
       select from tasks t
       join steps e on e.task_id = t.id and e.name = 'extract' and (e.output ->> 'extractId')::bigint = latest.extract_id
       join steps begun on begun.task_id = t.id and begun.name = 'deliver' and begun.started_at is not null
       where t.connection_id = $1
     )`,
    [task.connection_id, task.id],
  );
  const [row] = rows;
  if (row === undefined) return null;
  // The batch's size may have been set anew since: no batch is larger than this.
  return { extractId: row.extract_id, next: row.next, size: MAX_CHANGES_PER_BATCH, redo: row.redo };
}
