import type { Actor } from '../../audit/index.ts';
import { updateComputation, type ComputationAddress, type UpdateComputationInput } from '../../computations/index.ts';
import type { Transaction } from '../../store/index.ts';
import { endCancelled } from '../attempts/attempts.ts';
import { lockTask } from '../model/lock-task.ts';
import { outputOf } from '../model/task.ts';

/**
 * Changes a computation (see updateComputation). Its syncs end where it is switched off. A run that waits for approval of what another definition computed is cancelled as
 * superseded: nobody has to answer any more, and the new definition is due. Returns the tasks to wake once it is committed.
 * Throws what updateComputation throws.
 */
export async function editComputation(
  tx: Transaction,
  address: ComputationAddress,
  patch: UpdateComputationInput,
  actor: Actor,
): Promise<string[]> {
  // The run first, as a step locks it: so it can't begin to wait between this look and the edit.
  const { rows } = await tx.query<{ id: string; kind: 'run' | 'sync' }>(
    `select id, kind from tasks
     where computation_id = $1 and workspace_id = $2 and (kind = 'run' or $3) and ended_at is null order by id for update`,
    [address.id, address.workspaceId, patch.enabled === false],
  );
  const computation = await updateComputation(tx, address, patch, actor);
  const signalled: string[] = [];
  for (const { id, kind } of rows) {
    if (kind === 'sync') {
      // It finds that out itself, where it has kept what was acknowledged.
      if (!computation.enabled) signalled.push(id);
      continue;
    }
    const run = await lockTask(tx, id);
    if (run.status !== 'awaiting_approval') continue;
    if (outputOf(run, 'pin').definitionVersion === computation.definition_version) continue;
    await endCancelled(tx, run, 'superseded', { actor });
    signalled.push(id);
  }
  return signalled;
}
