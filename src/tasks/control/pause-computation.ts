import { prolongHolds } from '../../alerts/index.ts';
import { recordAuditEvent, type Actor } from '../../audit/index.ts';
import { KIND_NAMES, type ComputationAddress, notePaused, noteResumed } from '../../computations/index.ts';
import { RequestError } from '../../errors.ts';
import type { Queryable, Transaction } from '../../store/index.ts';
import { findControlled } from './requirements.ts';

/**
 * Pauses a computation: its open tasks stay at their checkpoints, and it has no new ones. Events keep flowing. Returns the tasks
 * to wake, so that what is under way stops at its cursor. Throws RequestError `computation_paused` or `computation_not_found`.
 */
export async function pauseComputation(tx: Transaction, address: ComputationAddress, actor: Actor): Promise<string[]> {
  const computation = await findControlled(tx, address);
  const pausedAt = await notePaused(tx, computation.id, actor.id);
  if (pausedAt === undefined) {
    throw new RequestError(
      'conflict',
      'computation_paused',
      `${computation.name} is paused already. Resume it to let it go on.`,
      { field: 'id' },
    );
  }
  const openTasks = await openTasksOf(tx, computation.id);
  await recordAuditEvent(tx, {
    workspaceId: address.workspaceId,
    spaceId: address.spaceId,
    type: `${KIND_NAMES[address.kind]} Paused`,
    actor,
    resource: { type: address.kind, id: computation.id, name: computation.name },
    details: { openTasks },
    before: { pausedAt: null },
    after: { pausedAt },
  });
  return openTasks;
}

/**
 * Resumes a paused computation: its tasks go on from their cursors, and a slot that it missed is run once. Returns the tasks to
 * wake. Throws RequestError `not_paused` or `computation_not_found`.
 */
export async function resumeComputation(tx: Transaction, address: ComputationAddress, actor: Actor): Promise<string[]> {
  const computation = await findControlled(tx, address);
  const pausedAt = await noteResumed(tx, computation.id);
  if (pausedAt === undefined) {
    throw new RequestError('conflict', 'not_paused', `${computation.name} is not paused: there is nothing to resume.`, {
      field: 'id',
    });
  }
  const openTasks = await openTasksOf(tx, computation.id);
  await prolongHolds(tx, computation.id, pausedAt);
  await recordAuditEvent(tx, {
    workspaceId: address.workspaceId,
    spaceId: address.spaceId,
    type: `${KIND_NAMES[address.kind]} Resumed`,
    actor,
    resource: { type: address.kind, id: computation.id, name: computation.name },
    details: { openTasks },
    before: { pausedAt },
    after: { pausedAt: null },
  });
  return openTasks;
}

async function openTasksOf(db: Queryable, computationId: string): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    'select id from tasks where computation_id = $1 and ended_at is null order by id',
    [computationId],
  );
  return rows.map((row) => row.id);
}
