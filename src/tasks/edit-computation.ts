import type { Actor } from '../audit/index.ts';
import { updateComputation, type ComputationAddress, type UpdateComputationInput } from '../compute/index.ts';
import type { Transaction } from '../store/index.ts';
import { cancelTask } from './attempts.ts';
import { lockTask } from './load-task.ts';
import { outputOf } from './step-outputs.ts';

/**
 * Changes a computation (see updateComputation). A run that waits for approval of what another definition computed is cancelled as
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
  const { rows } = await tx.query<{ id: string }>(
    `select id from tasks where computation_id = $1 and workspace_id = $2 and kind = 'run' and ended_at is null for update`,
    [address.id, address.workspaceId],
  );
  const computation = await updateComputation(tx, address, patch, actor);
  const superseded: string[] = [];
  for (const { id } of rows) {
    const run = await lockTask(tx, id);
    if (run.status !== 'awaiting_approval') continue;
    if (outputOf(run, 'pin').definitionVersion === computation.definition_version) continue;
    await cancelTask(tx, run, 'superseded', { actor });
    superseded.push(id);
  }
  return superseded;
}
