import { randomBytes } from 'node:crypto';
import type { Dispatcher } from 'undici';
import { recordAuditEvent, type Actor } from '../../audit/index.ts';
import { RequestError } from '../../errors.ts';
import { keepMasked, showAddress, type SecretBox } from '../../security/index.ts';
import { newId, type PostgresPool, type Queryable } from '../../store/index.ts';
import { postWebhook } from '../delivery/post-webhook.ts';

/** What sending to channels needs. */
export interface ChannelDeps {
  pool: PostgresPool;
  secretBox: SecretBox;
  /** The one way out to addresses that people typed in: createOutgoingAgent of src/security. */
  dispatcher: Dispatcher;
}

/** Where alerts go besides the app. Its secret is not in it. */
export interface ChannelRow {
  id: string;
  workspace_id: string;
  kind: 'webhook';
  name: string;
  /** Opened: its path is often its secret. See shownChannel. */
  url: string;
  enabled: boolean;
  created_at: Date;
}

/** A channel as it is kept: its address in a box. */
export interface SealedChannelRow extends Omit<ChannelRow, 'url'> {
  url_box: Buffer;
}

export const CHANNEL_COLUMNS = 'id, workspace_id, kind, name, url_box, enabled, created_at';
const MAX_NAME_LENGTH = 200;
const MAX_URL_LENGTH = 2_000;
// Standard Webhooks: between 24 and 64 bytes.
const SECRET_BYTES = 32;

/**
 * Creates a webhook channel. The signing secret (`whsec_…`) is in this answer and not shown again.
 * Throws 'name_invalid' or 'url_invalid'.
 */
export async function createChannel(
  tx: Queryable,
  secretBox: SecretBox,
  input: { workspaceId: string; name: string; url: string; actor: Actor },
): Promise<{ channel: ChannelRow; secret: string }> {
  const name = checkName(input.name);
  const url = checkUrl(input.url);
  const id = newId('channel');
  const secret = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
  const { rows } = await tx.query<SealedChannelRow>(
    `insert into channels (id, workspace_id, kind, name, url_box, secret_box) values ($1, $2, 'webhook', $3, $4, $5)
     returning ${CHANNEL_COLUMNS}`,
    [id, input.workspaceId, name, sealChannelUrl(secretBox, id, url), secretBox.seal(secret, id)],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('insert … returning gave no row');
  const channel = openChannel(secretBox, row);
  await recordAuditEvent(tx, {
    workspaceId: input.workspaceId,
    type: 'Alert Channel Created',
    actor: input.actor,
    resource: { type: 'channel', id, name },
    after: shownChannel(channel),
  });
  return { channel, secret };
}

/** The channels of a workspace, oldest first. */
export async function listChannels(db: Queryable, secretBox: SecretBox, workspaceId: string): Promise<ChannelRow[]> {
  const { rows } = await db.query<SealedChannelRow>(
    `select ${CHANNEL_COLUMNS} from channels where workspace_id = $1 and deleted_at is null order by created_at, id`,
    [workspaceId],
  );
  return rows.map((row) => openChannel(secretBox, row));
}

/** Addresses are one box each, bound to the channel's id, and not to be taken for the box of its secret. */
function sealChannelUrl(secretBox: SecretBox, channelId: string, url: string): Buffer {
  return secretBox.seal(url, `${channelId} url`);
}

/** The row with its address opened; '' where the channel was deleted, and its address with it. */
export function openChannel(secretBox: SecretBox, { url_box: box, ...row }: SealedChannelRow): ChannelRow {
  return { ...row, url: box.length === 0 ? '' : openChannelUrl(secretBox, row.id, box) };
}

export function openChannelUrl(secretBox: SecretBox, channelId: string, box: Buffer): string {
  return secretBox.open(box, `${channelId} url`);
}

/** Throws 'channel_not_found', also for a channel of another workspace. */
async function getChannel(
  db: Queryable,
  secretBox: SecretBox,
  workspaceId: string,
  channelId: string,
  options: { lock?: boolean } = {},
): Promise<ChannelRow> {
  const { rows } = await db.query<SealedChannelRow>(
    `select ${CHANNEL_COLUMNS} from channels where workspace_id = $1 and id = $2 and deleted_at is null${options.lock === true ? ' for no key update' : ''}`,
    [workspaceId, channelId],
  );
  const [channel] = rows;
  if (channel !== undefined) return openChannel(secretBox, channel);
  throw new RequestError('not_found', 'channel_not_found', 'There is no such channel in this workspace.');
}

/**
 * Changes a channel. Switched off it gets nothing any more, and what waited for it is given up: the app has those alerts.
 * Throws 'channel_not_found', 'name_invalid' or 'url_invalid'.
 */
export async function updateChannel(
  tx: Queryable,
  secretBox: SecretBox,
  input: {
    workspaceId: string;
    channelId: string;
    name?: string | undefined;
    url?: string | undefined;
    enabled?: boolean | undefined;
    actor: Actor;
  },
): Promise<ChannelRow> {
  const before = await getChannel(tx, secretBox, input.workspaceId, input.channelId, { lock: true });
  const after: ChannelRow = {
    ...before,
    name: input.name === undefined ? before.name : checkName(input.name),
    url: input.url === undefined ? before.url : checkUrl(keepUrl(before, input.url)),
    enabled: input.enabled ?? before.enabled,
  };
  const changed = (['name', 'url', 'enabled'] as const).filter((key) => before[key] !== after[key]);
  if (changed.length === 0) return before;
  await tx.query('update channels set name = $3, url_box = $4, enabled = $5 where workspace_id = $1 and id = $2', [
    input.workspaceId,
    input.channelId,
    after.name,
    sealChannelUrl(secretBox, after.id, after.url),
    after.enabled,
  ]);
  if (!after.enabled) await giveUpDeliveries(tx, after.id, 'The channel was switched off.');
  await recordAuditEvent(tx, {
    workspaceId: input.workspaceId,
    type: 'Alert Channel Modified',
    actor: input.actor,
    resource: { type: 'channel', id: after.id, name: after.name },
    details: { changed },
    before: shownChannel(before),
    after: shownChannel(after),
  });
  return after;
}

/** Deletes a channel, its secrets at once, and gives up what still waits for it. Throws 'channel_not_found'. */
export async function deleteChannel(
  tx: Queryable,
  secretBox: SecretBox,
  input: { workspaceId: string; channelId: string; actor: Actor },
): Promise<void> {
  const before = await getChannel(tx, secretBox, input.workspaceId, input.channelId, { lock: true });
  await tx.query(
    `update channels set deleted_at = now(), enabled = false, url_box = '', secret_box = ''
     where workspace_id = $1 and id = $2`,
    [input.workspaceId, input.channelId],
  );
  await giveUpDeliveries(tx, input.channelId, 'The channel was deleted.');
  await recordAuditEvent(tx, {
    workspaceId: input.workspaceId,
    type: 'Alert Channel Deleted',
    actor: input.actor,
    resource: { type: 'channel', id: before.id, name: before.name },
    before: shownChannel(before),
  });
}

/** Ends what waits for a channel that gets nothing any more. */
export async function giveUpDeliveries(tx: Queryable, channelId: string, why: string): Promise<void> {
  await tx.query(
    `update alert_deliveries set status = 'dead', last_error = $2, ended_at = clock_timestamp()
     where channel_id = $1 and status = 'pending'`,
    [channelId, why],
  );
}

/** Sends a signed test message at once, and says how the receiver took it. Throws 'channel_not_found'. */
export async function testChannel(
  deps: ChannelDeps,
  input: { workspaceId: string; channelId: string },
): Promise<{ delivered: boolean; status: number | null; error: string | null }> {
  const channel = await getChannel(deps.pool, deps.secretBox, input.workspaceId, input.channelId);
  const { rows } = await deps.pool.query<{ secret_box: Buffer }>('select secret_box from channels where id = $1', [
    channel.id,
  ]);
  const box = rows[0]?.secret_box;
  if (box === undefined) throw new Error(`channel ${channel.id} has no secret`);
  const result = await postWebhook(deps.dispatcher, {
    url: channel.url,
    secret: deps.secretBox.open(box, channel.id),
    messageId: newId('delivery'),
    payload: {
      type: 'alert.test',
      timestamp: new Date().toISOString(),
      data: { workspaceId: channel.workspace_id, channelId: channel.id, title: 'This is a test of the channel.' },
    },
  });
  if (result.outcome === 'delivered') return { delivered: true, status: result.status, error: null };
  return { delivered: false, status: result.status, error: result.error };
}

function checkName(name: string): string {
  const trimmed = name.trim();
  if (trimmed.length >= 1 && trimmed.length <= MAX_NAME_LENGTH) return trimmed;
  throw new RequestError('invalid', 'name_invalid', `name has 1 to ${MAX_NAME_LENGTH} characters.`, { field: 'name' });
}

function checkUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const problem =
    url === undefined || given.length > MAX_URL_LENGTH
      ? `an address such as https://example.com/hooks, of at most ${MAX_URL_LENGTH} characters`
      : url.protocol !== 'https:' && url.protocol !== 'http:'
        ? 'an address that begins with https:// or http://'
        : url.username !== '' || url.password !== ''
          ? 'an address without a user name and password in it: messages are signed'
          : undefined;
  if (problem === undefined && url !== undefined) return url.href;
  throw new RequestError('invalid', 'url_invalid', `url is ${problem ?? 'an address'}.`, { field: 'url' });
}

/** The address after a change: what reading gave, written back, means the one there is. Throws 'secret_masked'. */
function keepUrl(before: ChannelRow, given: string): string {
  return String(keepMasked(given, before.url, showAddress(before.url), 'url'));
}

/** A channel as people and the trail may see it: the path and query of a hook's address are often its secret. */
export function shownChannel(channel: Pick<ChannelRow, 'kind' | 'name' | 'url' | 'enabled'>): Record<string, unknown> {
  return { kind: channel.kind, name: channel.name, url: showAddress(channel.url), enabled: channel.enabled };
}
