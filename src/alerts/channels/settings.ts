import { requireOwner, requireSupport, type Principal, writeReducedNotifications } from '../../access/index.ts';
import { recordAuditEvent, SYSTEM_ACTOR, type Actor } from '../../audit/index.ts';
import { RequestError } from '../../errors.ts';
import { inTransaction, type PostgresPool, type Queryable } from '../../store/index.ts';
import { notify } from '../rules/on-task.ts';
import { releaseHeld } from '../rules/release-held.ts';
import { selectSettings, type SettingsRow } from './settings-row.ts';

const MAX_REASON_LENGTH = 500;

/** A workspace's settings of alerts, as they are in force. */
export interface AlertSettings {
  /** Holds alerts about transient failures until their task ends. An expired setting counts as off. */
  reducedNotifications: boolean;
  /** Why it was switched as it is. */
  reason: string | null;
  expiresAt: Date | null;
  updatedAt: Date;
}

/** Throws 'workspace_not_found'. */
export async function readSettings(db: Queryable, workspaceId: string): Promise<AlertSettings> {
  return toSettings(found(await selectSettings(db, workspaceId)));
}

/**
 * Switches reduced notifications of the principal's workspace. On: support only, with a reason. Off: support or an owner; what
 * is held then is released. Audited with before and after, and told to the workspace as a notice. A call that changes nothing
 * records nothing. Throws 'not_support', 'not_workspace_owner', 'reason_required', 'reason_invalid' or 'expires_at_invalid'.
 */
export async function setReducedNotifications(
  tx: Queryable,
  input: { principal: Principal; enabled: boolean; reason?: string | undefined; expiresAt?: Date | null | undefined },
): Promise<AlertSettings> {
  const { principal } = input;
  if (input.enabled) requireSupport(principal);
  else if (principal.role !== 'support') requireOwner(principal);

  const reason = checkReason(input.reason, input.enabled);
  const expiresAt = input.enabled ? (input.expiresAt ?? null) : null;
  // An expiry that is past would be off at once, with a trail that says on.
  if (expiresAt !== null && !(expiresAt.getTime() > Date.now())) {
    throw new RequestError('invalid', 'expires_at_invalid', 'expiresAt is a time in the future.', {
      field: 'expiresAt',
    });
  }
  const { settings } = await applySettings(tx, principal.workspaceId, {
    actor: principal.actor,
    enabled: input.enabled,
    reason,
    expiresAt,
    moment: 'setting_off',
  });
  return settings;
}

/** Switches off, as the system, every setting whose time is over. Returns how many alerts that released. */
export async function expireSettings(pool: PostgresPool, now: Date): Promise<number> {
  const { rows } = await pool.query<{ workspace_id: string }>(
    'select workspace_id from workspace_settings where reduced_notifications and reduced_notifications_expires_at <= $1',
    [now],
  );
  let released = 0;
  for (const { workspace_id: workspaceId } of rows) {
    released += await inTransaction(pool, async (tx) => {
      const row = await selectSettings(tx, workspaceId, 'for update of s');
      const expiresAt = row?.reduced_notifications_expires_at ?? null;
      // Another process may have ended it, or someone given it more time, since it was found.
      if (row?.reduced_notifications !== true || expiresAt === null || expiresAt > now) return 0;
      const applied = await applySettings(tx, workspaceId, {
        actor: SYSTEM_ACTOR,
        enabled: false,
        reason: `It expired at ${expiresAt.toISOString()}.`,
        expiresAt: null,
        moment: 'setting_expired',
      });
      return applied.released;
    });
  }
  return released;
}

async function applySettings(
  tx: Queryable,
  workspaceId: string,
  next: {
    actor: Actor;
    enabled: boolean;
    reason: string | null;
    expiresAt: Date | null;
    moment: 'setting_off' | 'setting_expired';
  },
): Promise<{ settings: AlertSettings; released: number }> {
  const before = found(await selectSettings(tx, workspaceId, 'for update of s'));
  const unchanged = next.enabled
    ? before.reduced_notifications &&
      !before.expired &&
      before.reduced_notifications_reason === next.reason &&
      before.reduced_notifications_expires_at?.getTime() === next.expiresAt?.getTime()
    : !before.reduced_notifications;
  if (unchanged) return { settings: toSettings(before), released: 0 };

  await writeReducedNotifications(tx, workspaceId, next);
  const after = found(await selectSettings(tx, workspaceId));
  let released = 0;
  if (!next.enabled) {
    const held = await tx.query<{ id: string }>(
      `select id from alerts where workspace_id = $1 and decision = 'held' order by id for update`,
      [workspaceId],
    );
    released = await releaseHeld(
      tx,
      held.rows.map((row) => row.id),
      next.moment,
    );
  }
  const event = await recordAuditEvent(tx, {
    workspaceId,
    type: 'Notification Settings Modified',
    actor: next.actor,
    resource: { type: 'workspace_settings', id: workspaceId, name: before.workspace_name },
    details: next.enabled ? {} : { releasedAlerts: released },
    before: shown(before),
    after: shown(after),
  });
  await notify(tx, { event, ...composeNotice(next, before.reduced_notifications, released) });
  return { settings: toSettings(after), released };
}

function composeNotice(
  next: { actor: Actor; enabled: boolean; reason: string | null; expiresAt: Date | null },
  wasOn: boolean,
  released: number,
): { title: string; body: string } {
  const why = next.reason === null ? '' : ` Reason: ${next.reason}`;
  if (next.enabled) {
    const until = next.expiresAt === null ? 'until it is switched off' : `until ${next.expiresAt.toISOString()}`;
    return {
      title: wasOn ? 'Reduced notifications were changed' : 'Reduced notifications were switched on',
      body: `${next.actor.name} set it, ${until}.${why}\nAlerts about failures that are tried again wait for the outcome. A hard failure is still sent at once, and the audit trail has every failure. An owner can switch it off at any time.`,
    };
  }
  return {
    title: 'Reduced notifications were switched off',
    body: `${next.actor.name} switched it off.${why}\nEvery failure is sent from now on. Alerts that had been held and were released: ${released}.`,
  };
}

function checkReason(given: string | undefined, required: boolean): string | null {
  const reason = given?.trim() ?? '';
  if (reason === '') {
    if (!required) return null;
    throw new RequestError(
      'invalid',
      'reason_required',
      'reason says why reduced notifications are switched on: owners see it.',
      { field: 'reason' },
    );
  }
  if (reason.length <= MAX_REASON_LENGTH) return reason;
  throw new RequestError(
    'invalid',
    'reason_invalid',
    `reason has at most ${MAX_REASON_LENGTH} characters; this one has ${reason.length}.`,
    { field: 'reason' },
  );
}

function found(row: SettingsRow | undefined): SettingsRow {
  if (row !== undefined) return row;
  throw new RequestError('not_found', 'workspace_not_found', 'There is no such workspace.');
}

function toSettings(row: SettingsRow): AlertSettings {
  return {
    reducedNotifications: row.reduced_notifications && !row.expired,
    reason: row.reduced_notifications_reason,
    expiresAt: row.reduced_notifications_expires_at,
    updatedAt: row.updated_at,
  };
}

function shown(row: SettingsRow): Record<string, unknown> {
  return {
    reducedNotifications: row.reduced_notifications,
    reason: row.reduced_notifications_reason,
    expiresAt: row.reduced_notifications_expires_at?.toISOString() ?? null,
  };
}
