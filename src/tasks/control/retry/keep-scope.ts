import { keepResyncWish } from '../../../connections/index.ts';
import { RequestError } from '../../../errors.ts';
import type { Transaction } from '../../../store/index.ts';
import type { StepName } from '../../model/kinds.ts';
import type { TaskRow } from '../../model/task.ts';

/**
 * Has a retry send what the task before it was to send, also where it extracts anew: the rows of a redrive are the new task's to
 * send again, and a resync is wished for again where cancelling it took the wish back. Throws RequestError `retry_superseded`
 * where another redrive has the rows.
 */
export async function keepScope(
  tx: Transaction,
  task: TaskRow,
  retry: { taskId: string; carried: readonly StepName[] },
): Promise<void> {
  const taken = await tx.query('update rejected_rows set redriven_by = $2 where redriven_by = $1', [
    task.id,
    retry.taskId,
  ]);
  if (task.kind === 'run' || retry.carried.includes('extract')) return;
  const { rows } = await tx.query<{ reason: string }>('select reason from tasks where id = $1', [task.id]);
  const scope = task.outputs.extract?.scope;
  if (taken.rowCount === 0 && (rows[0]?.reason === 'redrive' || scope === 'redriven')) {
    throw new RequestError(
      'conflict',
      'retry_superseded',
      `The rejected rows that ${task.id} was to send are another redrive's by now. Redrive the rows that are left instead.`,
      { field: 'taskId', data: { because: 'redriven' } },
    );
  }
  if (rows[0]?.reason === 'resync' || scope === 'everything') {
    await keepResyncWish(tx, task.connection_id);
  }
}
