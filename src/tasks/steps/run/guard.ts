import { notify } from '../../../alerts/index.ts';
import { KIND_NAMES } from '../../../computations/index.ts';
import { recordAuditEvent, SYSTEM_ACTOR } from '../../../audit/index.ts';
import type { Transaction } from '../../../store/index.ts';
import { endCancelled } from '../../attempts/attempts.ts';
import type { TransactionStep } from '../contract.ts';
import type { TaskRow } from '../../model/task.ts';
import { outputOf, type StepOutputs } from '../../model/task.ts';

/**
 * guard: a run that would remove more than a share of the members of an audience, or of the values of a computed trait, that has more
 * than a number of them stops before its commit
 * and asks. Nothing is live, and nothing sent, until someone approves; a definition that lost its meaning would else empty the
 * audience, or take the trait from everybody, at every destination.
 */
export const guard: TransactionStep = async (tx, task) => {
  const pinned = outputOf(task, 'pin');
  const { exited } = outputOf(task, 'diff');
  const before = pinned.liveSize ?? 0;
  const output = { before, exited, exitedShare: before === 0 ? 0 : exited / before };
  if (task.approved_at !== null || !asksFirst(task, output)) return { output };
  // Nobody needs to answer for a definition that has been edited since: the run of the new one is waiting for this one's end.
  if (task.definition_version !== pinned.definitionVersion) await endCancelled(tx, task, 'superseded');
  else await hold(tx, task, output);
  return 'held';
};

/** Whether a run that would remove so many must be approved by a person. */
export function asksFirst(
  computation: Pick<TaskRow, 'guard_share' | 'guard_min_members'>,
  { before, exited, exitedShare }: StepOutputs['guard'],
): boolean {
  return (
    computation.guard_share !== null &&
    exited > 0 &&
    before > computation.guard_min_members &&
    exitedShare > computation.guard_share
  );
}

async function hold(tx: Transaction, task: TaskRow, output: StepOutputs['guard']): Promise<void> {
  const { entered } = outputOf(task, 'diff');
  await tx.query(`update tasks set status = 'awaiting_approval' where id = $1`, [task.id]);
  const event = await recordAuditEvent(tx, {
    workspaceId: task.workspace_id,
    spaceId: task.space_id,
    type: `${KIND_NAMES[task.computation_kind]} Run Awaiting Approval`,
    actor: SYSTEM_ACTOR,
    resource: { type: task.computation_kind, id: task.computation_id, name: task.computation_name },
    taskId: task.id,
    attempt: task.attempt,
    details: {
      ...output,
      entered,
      after: outputOf(task, 'compute').size,
      limit: { share: task.guard_share, minMembers: task.guard_min_members },
    },
  });
  await notify(tx, {
    event,
    computationId: task.computation_id,
    title: `${task.computation_name}: a run waits for your approval`,
    body:
      `It would remove ${output.exited} of ${output.before} ${task.computation_kind === 'audience' ? 'members' : 'values'} (${Math.round(output.exitedShare * 100)} %). ` +
      'Nothing has changed yet: look at whom it is about, then approve the run or discard it.',
  });
}
