import { recordAuditEvent, type Actor } from '../../audit/index.ts';
import { KIND_NAMES, takeEarlyRun, type ComputationAddress } from '../../computations/index.ts';
import type { Transaction } from '../../store/index.ts';
import { createTask } from '../scheduling/create-task.ts';
import { openRunOf } from '../history/read-task.ts';
import { alreadyOpen } from './refusals.ts';
import { findControlled, requireActive } from './requirements.ts';

/**
 * Writes a run that someone asked for, to be started once it is committed; the schedule stays as it is, and where a run is due before
 * its slot (the computation is new, edited or enabled again), this is it. A `backfill` computes as a new computation does: it has a cap of its own. Throws RequestError `run_open`, `computation_disabled`,
 * `computation_paused` or `computation_not_found`.
 */
export async function forceRun(
  tx: Transaction,
  address: ComputationAddress,
  by: { actor: Actor; reason: 'run_now' | 'backfill' },
): Promise<string> {
  const computation = await findControlled(tx, address);
  requireActive({ ...computation, paused: computation.paused_at !== null });
  await takeEarlyRun(tx, computation.id);
  const taskId = await createTask(tx, {
    workspaceId: address.workspaceId,
    spaceId: address.spaceId,
    computationId: computation.id,
    kind: 'run',
    reason: by.reason,
  });
  if (taskId === null) throw alreadyOpen('run', computation.name, await openRunOf(tx, computation.id), 'id');
  await recordAuditEvent(tx, {
    workspaceId: address.workspaceId,
    spaceId: address.spaceId,
    type: `${KIND_NAMES[address.kind]} Run Forced`,
    actor: by.actor,
    resource: { type: address.kind, id: computation.id, name: computation.name },
    taskId,
    details: { reason: by.reason },
  });
  return taskId;
}
