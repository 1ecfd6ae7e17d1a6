import { countAlertDecisions } from '../../metrics/index.ts';
import { onCommit, type Queryable } from '../../store/index.ts';
import { enqueueDeliveries, type AlertRow } from '../episodes/alert-row.ts';
import { decideAlert } from './decide.ts';

/**
 * Releases held alerts that the transaction has locked. Of one task the latest goes out, which carries every attempt; the ones
 * before it are folded into it, so that people get one message and not six. Returns how many were released.
 */
export async function releaseHeld(
  tx: Queryable,
  alertIds: readonly string[],
  moment: 'no_outcome' | 'setting_off' | 'setting_expired',
): Promise<number> {
  if (alertIds.length === 0) return 0;
  const release = decideAlert({ kind: 'transient_failure', moment });
  const fold = decideAlert({ kind: 'transient_failure', moment: 'released_with_later' });
  const { rows } = await tx.query<Pick<AlertRow, 'id' | 'workspace_id' | 'decision'>>(
    `with held as (
       select id, first_value(id) over (partition by coalesce(task_id, id) order by created_at desc, id desc) as latest
       from alerts where id = any($1) and decision = 'held'
     )
     update alerts set
       decision = case when alerts.id = latest then $2 else $4 end,
       rule = case when alerts.id = latest then $3 else $5 end,
       folded_into = case when alerts.id = latest then null else latest end,
       hold_until = null, decided_at = clock_timestamp()
     from held where alerts.id = held.id
     returning alerts.id, alerts.workspace_id, alerts.decision`,
    [alertIds, release.decision, release.rule, fold.decision, fold.rule],
  );
  const released = rows.filter((row) => row.decision === release.decision);
  onCommit(tx, () => {
    const kind = 'transient_failure';
    countAlertDecisions({ kind, decision: release.decision, count: released.length });
    countAlertDecisions({ kind, decision: fold.decision, count: rows.length - released.length });
  });
  await enqueueDeliveries(tx, released);
  return released.length;
}
