import { recordAuditEvent, type Actor } from '../../audit/index.ts';
import { KIND_NAMES } from '../../computations/index.ts';
import { RequestError } from '../../errors.ts';
import { inTransaction, type PostgresPool } from '../../store/index.ts';
import { streamRejectedRows, type RejectedRow } from './rejected-rows.ts';

interface ExportedTask {
  space_id: string;
  computation_id: string;
  computation_kind: 'audience' | 'computed_trait';
  computation_key: string;
  computation_name: string;
  destination_id: string | null;
  destination_name: string | null;
  rows: number;
}

/**
 * Begins to give all rejected rows of a task away as a file. That somebody takes people's ids out of the workspace is an audit
 * event, written before the first row is read; a file without rows takes nothing away, and is none. Throws RequestError
 * `task_not_found`.
 */
export async function exportRejectedRows(
  pool: PostgresPool,
  actor: Actor,
  query: { workspaceId: string; taskId: string },
): Promise<{ computationKey: string; batches: AsyncGenerator<RejectedRow[]> }> {
  const computationKey = await inTransaction(pool, async (tx) => {
    const { rows } = await tx.query<ExportedTask>(
      `select t.space_id, c.id as computation_id, c.kind as computation_kind, c.key as computation_key,
              c.name as computation_name, d.id as destination_id, d.name as destination_name,
              (select count(*) from rejected_rows r where r.task_id = t.id) as rows
       from tasks t
       join computations c on c.id = t.computation_id
       left join connections n on n.id = t.connection_id
       left join destinations d on d.id = n.destination_id
       where t.workspace_id = $1 and t.id = $2`,
      [query.workspaceId, query.taskId],
    );
    const task = rows[0];
    if (task === undefined) {
      throw new RequestError('not_found', 'task_not_found', `There is no task ${query.taskId} in this workspace.`, {
        field: 'taskId',
      });
    }
    if (task.rows > 0) {
      await recordAuditEvent(tx, {
        workspaceId: query.workspaceId,
        spaceId: task.space_id,
        type: `${KIND_NAMES[task.computation_kind]} Rejected Rows Downloaded`,
        actor,
        resource: { type: task.computation_kind, id: task.computation_id, name: task.computation_name },
        taskId: query.taskId,
        details: { rows: task.rows, destinationId: task.destination_id, destinationName: task.destination_name },
      });
    }
    return task.computation_key;
  });
  return { computationKey, batches: streamRejectedRows(pool, query) };
}
