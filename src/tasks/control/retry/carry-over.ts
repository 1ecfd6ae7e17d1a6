import { allowStatements, type Transaction } from '../../../store/index.ts';
import type { StepName } from '../../model/kinds.ts';

const COPY_TIMEOUT_MS = 10 * 60_000;

/**
 * Gives a new task what another one left: the checkpoints of the steps before `fromStep`; where it goes on inside `deliver`, its
 * cursor; from there on the rejected rows too, which `reconcile` counts.
 */
export async function carryOver(
  tx: Transaction,
  tasks: { from: string; to: string; carried: readonly StepName[]; fromStep: StepName },
): Promise<void> {
  const { from, to, carried, fromStep } = tasks;
  await tx.query(
    `update steps made set started_at = old.started_at, completed_at = old.completed_at, output = old.output,
            progress_done = old.progress_done, progress_total = old.progress_total
     from steps old
     where made.task_id = $2 and old.task_id = $1 and old.name = made.name and made.name = any($3)`,
    [from, to, carried],
  );
  if (fromStep !== 'deliver' && !carried.includes('deliver')) return;
  // How long it has waited for the destination belongs to the attempt that waited. A cursor without anything says that it had begun.
  await tx.query(
    `update steps made set cursor = case when old.started_at is null then old.cursor else coalesce(old.cursor, '{}') end - 'waited', progress_done = old.progress_done,
            progress_total = old.progress_total
     from steps old
     where made.task_id = $2 and old.task_id = $1 and made.name = 'deliver' and old.name = 'deliver'`,
    [from, to],
  );
  // As many as a sync had: millions, perhaps.
  await allowStatements(tx, COPY_TIMEOUT_MS);
  await tx.query(
    `insert into rejected_rows (task_id, idx, profile, status, reason, created_at, user_id, anonymous_id, value)
     select $2, idx, profile, status, reason, created_at, user_id, anonymous_id, value
     from rejected_rows where task_id = $1`,
    [from, to],
  );
}
