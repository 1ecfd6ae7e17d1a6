import { countAlertDecisions } from '../../metrics/index.ts';
import { jsonText, newId, onCommit, type Queryable } from '../../store/index.ts';
import type { AlertDecision, AlertKind, AlertVerdict } from '../rules/decide.ts';

/** A failed attempt, as an alert carries it. */
export interface AlertAttempt {
  attempt: number;
  /** ISO 8601 */
  at: string;
  step: string | null;
  code: string;
  class: 'transient' | 'hard';
  /** Safe to show. */
  message: string;
}

export interface AlertRow {
  id: string;
  workspace_id: string;
  audit_event_id: string;
  task_id: string | null;
  computation_id: string | null;
  kind: AlertKind;
  decision: AlertDecision;
  rule: string;
  title: string;
  body: string;
  attempts: AlertAttempt[];
  hold_until: Date | null;
  folded_into: string | null;
  created_at: Date;
  decided_at: Date;
}

/** Writes a new alert, and its deliveries where it is sent at once. */
export async function insertAlert(
  tx: Queryable,
  input: {
    workspaceId: string;
    auditEventId: string;
    taskId?: string;
    computationId?: string;
    kind: AlertKind;
    verdict: AlertVerdict;
    title: string;
    body: string;
    attempts?: AlertAttempt[];
    holdUntil?: Date;
  },
): Promise<AlertRow> {
  const { rows } = await tx.query<AlertRow>(
    `insert into alerts (id, workspace_id, audit_event_id, task_id, computation_id, kind, decision, rule, title, body, attempts, hold_until)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning *`,
    [
      newId('alert'),
      input.workspaceId,
      input.auditEventId,
      input.taskId ?? null,
      input.computationId ?? null,
      input.kind,
      input.verdict.decision,
      input.verdict.rule,
      input.title,
      input.body,
      jsonText(input.attempts ?? []),
      input.verdict.decision === 'held' ? input.holdUntil : null,
    ],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('insert … returning gave no row');
  onCommit(tx, () => countAlertDecisions(row));
  if (row.decision === 'sent') await enqueueDeliveries(tx, [row]);
  return row;
}

/** One delivery for each alert and each channel of its workspace that is switched on. */
export async function enqueueDeliveries(
  tx: Queryable,
  alerts: readonly Pick<AlertRow, 'id' | 'workspace_id'>[],
): Promise<void> {
  if (alerts.length === 0) return;
  const { rows: channels } = await tx.query<{ id: string; workspace_id: string }>(
    'select id, workspace_id from channels where workspace_id = any($1) and enabled and deleted_at is null',
    [[...new Set(alerts.map((alert) => alert.workspace_id))]],
  );
  const deliveries = alerts.flatMap((alert) =>
    channels
      .filter((channel) => channel.workspace_id === alert.workspace_id)
      .map((channel) => ({ id: newId('delivery'), alertId: alert.id, channelId: channel.id })),
  );
  if (deliveries.length === 0) return;
  await tx.query(
    `insert into alert_deliveries (id, alert_id, channel_id)
     select * from unnest($1::text[], $2::text[], $3::text[]) on conflict (alert_id, channel_id) do nothing`,
    [deliveries.map((d) => d.id), deliveries.map((d) => d.alertId), deliveries.map((d) => d.channelId)],
  );
}
