import { onTaskRecovered } from '../../alerts/index.ts';
import { recordAuditEvent, SYSTEM_ACTOR } from '../../audit/index.ts';
import { jsonText, type Transaction } from '../../store/index.ts';
import { clearHardFailures } from './auto-disable.ts';
import { taskEventType } from '../model/event-types.ts';
import type { TaskRow } from '../model/task.ts';
import { observeAttemptEnd, observeTaskEnd } from './observe.ts';

/**
 * Ends a locked task well, in the transaction of its last step: the attempt, the completed run's audit event, and after
 * failed attempts the recovery's, which folds what was held and closes what was sent.
 */
export async function recordSuccess(tx: Transaction, task: TaskRow, result: Record<string, unknown>): Promise<void> {
  const { rows } = await tx.query<{ started_at: Date; ended_at: Date }>({
    name: 'record-success',
    text: `with ended as (
         update tasks set status = 'succeeded', ended_at = clock_timestamp(), result = $3, stuck_at = null where id = $1
       )
       update attempts set outcome = 'succeeded', ended_at = clock_timestamp() where task_id = $1 and attempt = $2
       returning started_at, ended_at`,
    values: [task.id, task.attempt, jsonText(result)],
  });
  for (const { started_at: startedAt, ended_at: endedAt } of rows) {
    observeAttemptEnd(tx, task, { startedAt, endedAt, outcome: 'succeeded' });
  }
  observeTaskEnd(tx, task, 'succeeded');
  const common = {
    workspaceId: task.workspace_id,
    spaceId: task.space_id,
    actor: SYSTEM_ACTOR,
    resource: { type: task.computation_kind, id: task.computation_id, name: task.computation_name },
    taskId: task.id,
    attempt: task.attempt,
  };
  if (task.kind === 'run') {
    await recordAuditEvent(tx, {
      ...common,
      type: task.computation_kind === 'audience' ? 'Audience Run Complete' : 'Computed Trait Run Complete',
      details: result,
    });
  }
  await clearHardFailures(tx, task);
  if (task.attempt === 1) return;
  const event = await recordAuditEvent(tx, {
    ...common,
    type: taskEventType(task, 'Recovered'),
    details: {
      attempts: task.attempt,
      failedAttempts: task.attempt - 1,
      ...(task.destination_id === null
        ? {}
        : { destinationId: task.destination_id, destinationName: task.destination_name }),
    },
  });
  await onTaskRecovered(tx, {
    event,
    task: {
      id: task.id,
      workspaceId: task.workspace_id,
      spaceId: task.space_id,
      computationId: task.computation_id,
      kind: task.kind,
    },
    computationName: task.computation_name,
    attempts: task.attempt,
  });
}
