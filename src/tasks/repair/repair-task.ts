import { recordAuditEvent, SYSTEM_ACTOR, type AuditEventInput } from '../../audit/index.ts';
import { inTransaction, type PostgresPool, type Transaction } from '../../store/index.ts';
import { taskEventType } from '../model/event-types.ts';
import { isEnded, type TaskRow } from '../model/task.ts';
import { lockTask } from '../model/lock-task.ts';
import type { SuspectRow } from './open-tasks.ts';
import type { StartedFor } from './workflow-state.ts';

/** Why a task's workflow is replaced: there was none, it failed in its own code, or it did not go on although it was woken. */
export type ReplaceReason = 'missing' | 'failing' | 'stuck';

/**
 * Writes that a task's workflow is replaced, and lets the task be dispatched again: whoever starts undispatched tasks does it
 * where the reconciler can't. False where the task has ended, or someone has mended it since it was looked at.
 */
export async function noteReplaced(
  pool: PostgresPool,
  suspect: SuspectRow,
  because: ReplaceReason,
  detail: string,
): Promise<boolean> {
  return await noteRepaired(pool, suspect, 'dispatched_at = null, stuck_at = clock_timestamp()', (task) => ({
    type: taskEventType(task, 'Workflow Replaced'),
    details: { because, detail },
  }));
}

/** Writes that a task was found that should have gone on, and is woken. False as noteReplaced. */
export async function noteStuck(pool: PostgresPool, suspect: SuspectRow): Promise<boolean> {
  const overdueMs = Math.round(suspect.overdue_ms);
  return await noteRepaired(pool, suspect, 'stuck_at = clock_timestamp()', (task) => ({
    type: taskEventType(task, 'Stuck'),
    details: { status: task.status, overdueMs },
  }));
}

/**
 * Writes that a workflow was ended that had no task to execute. Of a task whose row is gone there is only what its workflow was
 * started with, and where its workspace is gone too there is no trail to write to.
 */
export async function noteWorkflowEnded(
  pool: PostgresPool,
  taskId: string,
  startedFor: StartedFor | undefined,
): Promise<void> {
  await inTransaction(pool, async (tx) => {
    const { rows } = await tx.query<SubjectRow>(
      `select c.workspace_id, c.space_id, c.id, c.kind as computation_kind, c.name, coalesce(t.kind, $3) as kind, t.status
       from computations c left join tasks t on t.id = $1
       where c.id = coalesce((select computation_id from tasks where id = $1), $2)`,
      [taskId, startedFor?.computationId ?? null, startedFor?.kind === 'sync' ? 'sync' : 'run'],
    );
    const subject = rows[0];
    if (subject === undefined) return;
    await recordAuditEvent(tx, {
      workspaceId: subject.workspace_id,
      spaceId: subject.space_id,
      type: taskEventType(subject, 'Workflow Ended'),
      actor: SYSTEM_ACTOR,
      resource: { type: subject.computation_kind, id: subject.id, name: subject.name },
      taskId,
      details: { task: subject.status ?? 'not_there' },
    });
  });
}

interface SubjectRow {
  workspace_id: string;
  space_id: string;
  id: string;
  computation_kind: TaskRow['computation_kind'];
  name: string;
  kind: TaskRow['kind'];
  status: TaskRow['status'] | null;
}

async function noteRepaired(
  pool: PostgresPool,
  suspect: SuspectRow,
  change: string,
  tell: (task: TaskRow) => Pick<AuditEventInput, 'type' | 'details'>,
): Promise<boolean> {
  return await inTransaction(pool, async (tx) => {
    const task = await lockTask(tx, suspect.id);
    if (isEnded(task.status) || !(await isAsSeen(tx, suspect))) return false;
    await tx.query(`update tasks set ${change} where id = $1`, [suspect.id]);
    const { type, details } = tell(task);
    await recordAuditEvent(tx, {
      workspaceId: task.workspace_id,
      spaceId: task.space_id,
      type,
      actor: SYSTEM_ACTOR,
      resource: { type: task.computation_kind, id: task.computation_id, name: task.computation_name },
      taskId: task.id,
      attempt: task.attempt,
      details: {
        ...details,
        ...(task.destination_id === null
          ? {}
          : { destinationId: task.destination_id, destinationName: task.destination_name }),
      },
    });
    return true;
  });
}

/** Whether nobody has dispatched the task or found it stuck since it was looked at; its row is locked. */
async function isAsSeen(tx: Transaction, suspect: SuspectRow): Promise<boolean> {
  const { rowCount } = await tx.query(
    `select from tasks where id = $1 and dispatched_at is not distinct from $2::timestamptz
       and stuck_at is not distinct from $3::timestamptz`,
    [suspect.id, suspect.dispatched_at, suspect.stuck_at],
  );
  return rowCount === 1;
}
