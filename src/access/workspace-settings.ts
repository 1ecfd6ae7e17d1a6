import type { Queryable } from '../store/index.ts';

/*
 * The row of a workspace's settings. Who may change one, what that means and what the trail says of it is the part's that reads it.
 */

/** Switches reduced notifications, with why and until when. */
export async function writeReducedNotifications(
  tx: Queryable,
  workspaceId: string,
  next: { enabled: boolean; reason: string | null; expiresAt: Date | null },
): Promise<void> {
  await tx.query(
    `update workspace_settings set reduced_notifications = $2, reduced_notifications_reason = $3,
            reduced_notifications_expires_at = $4, updated_at = clock_timestamp()
     where workspace_id = $1`,
    [workspaceId, next.enabled, next.reason, next.expiresAt],
  );
}

/** Sets after how many hard failures in a row something is disabled or suspended; null for never. */
export async function writeAutoDisableAfter(
  tx: Queryable,
  workspaceId: string,
  hardFailures: number | null,
): Promise<void> {
  await tx.query(
    'update workspace_settings set auto_disable_after = $2, updated_at = clock_timestamp() where workspace_id = $1',
    [workspaceId, hardFailures],
  );
}
