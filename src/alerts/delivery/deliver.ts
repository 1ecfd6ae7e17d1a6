import { recordAuditEvent, SYSTEM_ACTOR } from '../../audit/index.ts';
import { countAlertDelivery } from '../../metrics/index.ts';
import type { SecretBox } from '../../security/index.ts';
import { inTransaction, outlastPermits, Permit, type Queryable } from '../../store/index.ts';
import {
  CHANNEL_COLUMNS,
  giveUpDeliveries,
  openChannel,
  openChannelUrl,
  shownChannel,
  type ChannelDeps,
  type ChannelRow,
  type SealedChannelRow,
} from '../channels/channels.ts';
import { readAlert } from '../episodes/list-alerts.ts';
import { notify } from '../rules/on-task.ts';
import type { AlertWebhook } from './payload.ts';
import { postWebhook, type PostOutcome } from './post-webhook.ts';

/** The waits after each failed try but the last. After that a delivery is dead. */
const RETRY_DELAYS_MS = [5_000, 30_000, 120_000, 600_000, 3_600_000, 6 * 3_600_000] as const;
const MAX_TRIES = RETRY_DELAYS_MS.length + 1;
/** A claim that nobody comes back from (its process died) is over after this; longer than a post can take. */
const CLAIM_MS = 30_000;
/** So many dead deliveries one after the other, and the channel is switched off. */
const DEAD_IN_A_ROW = 3;

export type DeliveryOutcome = { status: 'delivered' } | { status: 'retry'; afterMs: number } | { status: 'dead' };

/** The ids of deliveries that are due, or have been for `overdueMs`; the longest waiting first. */
export async function pendingDeliveries(db: Queryable, limit: number, overdueMs = 0): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select id from alert_deliveries
     where status = 'pending' and next_attempt_at <= now() - $2 * interval '1 millisecond'
     order by next_attempt_at, id limit $1`,
    [limit, overdueMs],
  );
  return rows.map((row) => row.id);
}

/** Whose delivery it is; '' for one that is not there. */
export async function workspaceOfDelivery(db: Queryable, deliveryId: string): Promise<string> {
  const { rows } = await db.query<{ workspace_id: string }>(
    'select c.workspace_id from alert_deliveries d join channels c on c.id = d.channel_id where d.id = $1',
    [deliveryId],
  );
  return rows[0]?.workspace_id ?? '';
}

interface ClaimRow {
  id: string;
  alert_id: string;
  channel_id: string;
  attempts: number;
  workspace_id: string;
  channel_name: string;
}

/** Where a channel's messages go, and what signs them. */
interface Target {
  url_box: Buffer;
  secret_box: Buffer;
}

/**
 * One try at one delivery. A claim keeps two processes from trying at once. The message id is the delivery's id, the same in
 * every try, so that a receiver can tell a repetition. 'retry' says when it is due again.
 */
export async function attemptDelivery(deps: ChannelDeps, deliveryId: string): Promise<DeliveryOutcome> {
  const claim = await claimDelivery(deps.pool, deliveryId);
  if (claim === undefined) return await unclaimed(deps.pool, deliveryId);
  const payload = await buildPayload(deps.pool, claim);
  const target = await readTarget(deps.pool, claim.channel_id);
  if (target === null) return await unclaimed(deps.pool, deliveryId);
  const opened = openTarget(deps, claim.channel_id, target);
  const result: PostOutcome =
    opened === undefined
      ? { outcome: 'failed', status: null, error: SECRET_LOST, gone: false, retryAfterMs: null }
      : await postWebhook(deps.dispatcher, { ...opened, messageId: claim.id, payload });
  const outcome = await inTransaction(deps.pool, (tx) => settle(tx, deps, claim, result));
  countAlertDelivery(outcome.status);
  return outcome;
}

// It ends as any failure does: in tries, a dead delivery and the trail, and not in an error for ever.
const SECRET_LOST =
  "The channel's secret does not open: TRAILMARK_SECRET is another one than when the channel was created. Create the channel anew.";

function openTarget(
  { secretBox }: ChannelDeps,
  channelId: string,
  target: Target,
): { url: string; secret: string } | undefined {
  try {
    return {
      url: openChannelUrl(secretBox, channelId, target.url_box),
      secret: secretBox.open(target.secret_box, channelId),
    };
  } catch {
    return undefined;
  }
}

async function claimDelivery(db: Queryable, deliveryId: string): Promise<ClaimRow | undefined> {
  const { rows } = await db.query<ClaimRow>(
    `update alert_deliveries d
     set attempts = d.attempts + 1, next_attempt_at = clock_timestamp() + $2 * interval '1 millisecond'
     from channels c
     where d.id = $1 and d.status = 'pending' and d.next_attempt_at <= clock_timestamp() and c.id = d.channel_id and c.enabled
     returning d.id, d.alert_id, d.channel_id, d.attempts, c.workspace_id, c.name as channel_name`,
    [deliveryId, CLAIM_MS],
  );
  return rows[0];
}

/** Where to post now, and at once; null for a channel that was switched off or deleted. */
async function readTarget(db: Queryable, channelId: string): Promise<Target | null> {
  let target: Target | undefined;
  const permit = new Permit(async () => {
    const { rows } = await db.query<Target>(
      'select url_box, secret_box from channels where id = $1 and enabled and deleted_at is null',
      [channelId],
    );
    [target] = rows;
  });
  await permit.ask();
  return target ?? null;
}

/** Waits, after a change of a channel was committed, until nothing is posted any more to where it went before. */
export async function outlastPosts(db: Queryable, channelId: string): Promise<void> {
  const { rowCount } = await db.query(
    `select from alert_deliveries
     where channel_id = $1 and attempts > 0 and (ended_at is null or ended_at > clock_timestamp() - interval '10 seconds')
     limit 1`,
    [channelId],
  );
  if (rowCount !== 0) await outlastPermits();
}

async function unclaimed(db: Queryable, deliveryId: string): Promise<DeliveryOutcome> {
  const { rows } = await db.query<{
    status: 'pending' | 'delivered' | 'dead';
    channel_id: string;
    enabled: boolean;
    wait_ms: number;
  }>(
    `select d.status, d.channel_id, c.enabled,
            greatest(1, ceil(extract(epoch from d.next_attempt_at - clock_timestamp()) * 1000))::integer as wait_ms
     from alert_deliveries d join channels c on c.id = d.channel_id where d.id = $1`,
    [deliveryId],
  );
  const [row] = rows;
  if (row === undefined || row.status === 'dead') return { status: 'dead' };
  if (row.status === 'delivered') return { status: 'delivered' };
  if (row.enabled) return { status: 'retry', afterMs: row.wait_ms };
  // Written while its channel was being switched off.
  await giveUpDeliveries(db, row.channel_id, 'The channel was switched off.');
  return { status: 'dead' };
}

async function buildPayload(db: Queryable, claim: ClaimRow): Promise<AlertWebhook> {
  const alert = await readAlert(db, claim.workspace_id, claim.alert_id);
  if (alert === undefined || (alert.decision !== 'sent' && alert.decision !== 'released')) {
    throw new Error(`delivery ${claim.id} is of alert ${claim.alert_id}, which was not sent`);
  }
  const { decision } = alert;
  const closed = await db.query<{ id: string }>(
    `select id from alerts
     where task_id = $1 and kind <> 'recovery' and decision in ('sent', 'released') order by created_at, id`,
    [alert.kind === 'recovery' ? alert.taskId : null],
  );
  return {
    type: decision === 'sent' ? 'alert.sent' : 'alert.released',
    timestamp: new Date().toISOString(),
    data: {
      id: alert.id,
      workspaceId: alert.workspaceId,
      kind: alert.kind,
      decision,
      rule: alert.rule,
      title: alert.title,
      body: alert.body,
      auditEventId: alert.auditEventId,
      taskId: alert.taskId,
      computationId: alert.computationId,
      attempts: alert.attempts,
      createdAt: alert.createdAt,
      now: alert.now,
      closes: closed.rows.map((row) => row.id),
    },
  };
}

async function settle(
  tx: Queryable,
  deps: ChannelDeps,
  claim: ClaimRow,
  result: PostOutcome,
): Promise<DeliveryOutcome> {
  if (result.outcome === 'delivered') {
    await tx.query(
      `update alert_deliveries set status = 'delivered', last_error = null, ended_at = clock_timestamp()
       where id = $1 and status = 'pending'`,
      [claim.id],
    );
    return { status: 'delivered' };
  }
  const delayMs = RETRY_DELAYS_MS[claim.attempts - 1];
  if (!result.gone && delayMs !== undefined) {
    const afterMs = Math.max(delayMs, result.retryAfterMs ?? 0);
    // Only the newest claim says when: a slow one must not pull in what a later one has put off.
    await tx.query(
      `update alert_deliveries set next_attempt_at = clock_timestamp() + $3 * interval '1 millisecond', last_error = $4
       where id = $1 and status = 'pending' and attempts = $2`,
      [claim.id, claim.attempts, afterMs, result.error],
    );
    return { status: 'retry', afterMs };
  }
  const ended = await tx.query(
    `update alert_deliveries set status = 'dead', last_error = $2, ended_at = clock_timestamp()
     where id = $1 and status = 'pending'`,
    [claim.id, result.error],
  );
  if (ended.rowCount === 0) return { status: 'dead' };
  await recordAuditEvent(tx, {
    workspaceId: claim.workspace_id,
    type: 'Alert Delivery Failed',
    actor: SYSTEM_ACTOR,
    resource: { type: 'channel', id: claim.channel_id, name: claim.channel_name },
    outcome: 'failure',
    details: {
      alertId: claim.alert_id,
      deliveryId: claim.id,
      tries: claim.attempts,
      maxTries: MAX_TRIES,
      error: result.error,
    },
  });
  await switchOffIfBroken(tx, deps, claim, result);
  return { status: 'dead' };
}

/** A channel that keeps failing, or whose receiver is gone, is switched off, and its owners are told where they still hear it. */
async function switchOffIfBroken(
  tx: Queryable,
  { secretBox }: ChannelDeps,
  claim: ClaimRow,
  result: PostOutcome & { outcome: 'failed' },
): Promise<void> {
  const locked = await tx.query<SealedChannelRow>(
    `select ${CHANNEL_COLUMNS} from channels where id = $1 and enabled and deleted_at is null for no key update`,
    [claim.channel_id],
  );
  const [sealed] = locked.rows;
  if (sealed === undefined) return;
  const channel = openOrHide(secretBox, sealed);
  const { rows } = await tx.query<{ status: string }>(
    `select status from alert_deliveries where channel_id = $1 and status <> 'pending' order by ended_at desc limit $2`,
    [channel.id, DEAD_IN_A_ROW],
  );
  const broken = rows.length === DEAD_IN_A_ROW && rows.every((row) => row.status === 'dead');
  if (!result.gone && !broken) return;

  await tx.query('update channels set enabled = false where id = $1', [channel.id]);
  await giveUpDeliveries(tx, channel.id, 'The channel was switched off.');
  const event = await recordAuditEvent(tx, {
    workspaceId: claim.workspace_id,
    type: 'Alert Channel Disabled',
    actor: SYSTEM_ACTOR,
    resource: { type: 'channel', id: channel.id, name: channel.name },
    details: { error: result.error, gone: result.gone },
    before: shownChannel(channel),
    after: shownChannel({ ...channel, enabled: false }),
  });
  const why = result.gone
    ? 'Its receiver answered that it is gone.'
    : `Its last ${DEAD_IN_A_ROW} messages could not be delivered.`;
  await notify(tx, {
    event,
    title: `The channel "${channel.name}" was switched off`,
    body: `${why} ${result.error} Alerts are in the app; mend the receiver and switch the channel on again.`,
  });
}

/** A channel whose address does not open is switched off like any other. */
function openOrHide(secretBox: SecretBox, row: SealedChannelRow): ChannelRow {
  try {
    return openChannel(secretBox, row);
  } catch {
    return { ...row, url: '' };
  }
}
