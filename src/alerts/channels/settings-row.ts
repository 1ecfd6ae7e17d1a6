import type { Queryable } from '../../store/index.ts';

export interface SettingsRow {
  workspace_id: string;
  workspace_name: string;
  reduced_notifications: boolean;
  reduced_notifications_reason: string | null;
  reduced_notifications_expires_at: Date | null;
  expired: boolean;
  updated_at: Date;
}

export async function selectSettings(
  db: Queryable,
  workspaceId: string,
  lock: '' | 'for share of s' | 'for update of s' = '',
): Promise<SettingsRow | undefined> {
  const { rows } = await db.query<SettingsRow>(
    `select s.*, w.name as workspace_name,
            coalesce(s.reduced_notifications_expires_at <= clock_timestamp(), false) as expired
     from workspace_settings s join workspaces w on w.id = s.workspace_id
     where s.workspace_id = $1 ${lock}`,
    [workspaceId],
  );
  return rows[0];
}

/** Whether reduced notifications are on, locked as it is until the transaction ends. Expired counts as off. */
export async function isReducedNow(tx: Queryable, workspaceId: string): Promise<boolean> {
  const row = await selectSettings(tx, workspaceId, 'for share of s');
  return row !== undefined && row.reduced_notifications && !row.expired;
}
