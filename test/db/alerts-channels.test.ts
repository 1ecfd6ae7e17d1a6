import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import type { Dispatcher } from 'undici';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listAuditEvents } from '../../src/audit/index.ts';
import {
  alertWebhookSchema,
  attemptDelivery,
  createChannel,
  deleteChannel,
  listChannels,
  pendingDeliveries,
  setReducedNotifications,
  sweepAlerts,
  testChannel,
  updateChannel,
  type ChannelDeps,
} from '../../src/alerts/index.ts';
import { createOutgoingAgent, createSecretBox } from '../../src/security/index.ts';
import { createTestPool } from '../helpers/engines.ts';
import { createAlertsWorld, type AlertsWorld } from './alerts-world.ts';

interface Received {
  headers: IncomingHttpHeaders;
  /** As it came: a signature is over bytes. */
  raw: string;
}

const secretBox = createSecretBox('a secret of the tests, 32 characters or more');
const RETRY_DELAYS_MS = [5_000, 30_000, 120_000, 600_000, 3_600_000, 21_600_000];

let db: Awaited<ReturnType<typeof createTestPool>>;
let dispatcher: Dispatcher;
let server: Server;
let url: string;
let received: Received[];
let answer: { status: number; headers?: Record<string, string>; delayMs?: number; body?: string; endless?: boolean };
let world: AlertsWorld;
let deps: ChannelDeps;
let channelId: string;
let secret: string;

beforeAll(async () => {
  db = await createTestPool();
  dispatcher = createOutgoingAgent({ allowPrivateAddresses: true });
  deps = { pool: db.pool, secretBox, dispatcher };
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, raw: Buffer.concat(chunks).toString('utf8') });
      const { status, headers, delayMs, body, endless } = answer;
      setTimeout(() => {
        response.writeHead(status, headers);
        if (endless === true) response.write('and so on');
        else response.end(body ?? 'an answer');
      }, delayMs ?? 0);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/sEcReT`;
});
afterAll(async () => {
  await dispatcher.close();
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
  await db.close();
});
beforeEach(async () => {
  received = [];
  answer = { status: 204 };
  world = await createAlertsWorld(db.pool);
  ({
    secret,
    channel: { id: channelId },
  } = await newChannel(url));
});

function newChannel(to: string) {
  return world.change((tx) =>
    createChannel(tx, secretBox, { workspaceId: world.workspaceId, name: 'Ops', url: to, actor: actor() }),
  );
}
const actor = () => world.principal('workspace_owner').actor;

async function deliveries() {
  const { rows } = await db.pool.query<{ id: string; status: string; attempts: number; last_error: string | null }>(
    `select d.id, d.status, d.attempts, d.last_error from alert_deliveries d join alerts a on a.id = d.alert_id
     where a.workspace_id = $1 order by d.created_at, d.id`,
    [world.workspaceId],
  );
  return rows;
}

/** The id of the one delivery of a new failure's alert. */
async function failOnce(): Promise<string> {
  await world.fail(await world.newTask(), 1);
  const id = (await deliveries()).at(-1)?.id;
  if (id === undefined) throw new Error('no delivery was written');
  return id;
}

async function makeDue(id: string, secondsAgo = 1) {
  await db.pool.query(
    `update alert_deliveries set next_attempt_at = clock_timestamp() - $2 * interval '1 second' where id = $1`,
    [id, secondsAgo],
  );
}

async function trail(type: string) {
  const { events } = await listAuditEvents(db.pool, { workspaceId: world.workspaceId, type, count: 100 });
  return events;
}

describe('channels', () => {
  test("are created, changed and deleted in the trail, without their address's path or their secret", async () => {
    const { workspaceId } = world;
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]+=*$/);
    await world.change((tx) =>
      updateChannel(tx, secretBox, { workspaceId, channelId, url: `${url}/other`, name: 'Ops 2', actor: actor() }),
    );
    expect(await listChannels(db.pool, secretBox, workspaceId)).toMatchObject([
      { id: channelId, name: 'Ops 2', enabled: true },
    ]);
    await world.change((tx) => deleteChannel(tx, secretBox, { workspaceId, channelId, actor: actor() }));
    expect(await listChannels(db.pool, secretBox, workspaceId)).toEqual([]);
    const events = [
      ...(await trail('Alert Channel Created')),
      ...(await trail('Alert Channel Modified')),
      ...(await trail('Alert Channel Deleted')),
    ];
    expect(events).toMatchObject([
      { after: { name: 'Ops', enabled: true } },
      { details: { changed: ['name', 'url'] }, before: { name: 'Ops' }, after: { name: 'Ops 2' } },
      { before: { name: 'Ops 2' }, after: null },
    ]);
    expect(JSON.stringify(events)).not.toMatch(/sEcReT|whsec_/);
    const stored = await db.pool.query('select c::text as everything from channels c where id = $1', [channelId]);
    expect(JSON.stringify(stored.rows)).not.toContain(Buffer.from(secret).toString('hex'));
  });

  test.each([
    '',
    'example.com',
    'ftp://example.com',
    'http://user:pass@example.com',
    `https://e.com/${'x'.repeat(2000)}`,
  ])('refuse the address %j', async (wrong) => {
    await expect(newChannel(wrong)).rejects.toMatchObject({ kind: 'invalid', code: 'url_invalid', field: 'url' });
  });

  test("another workspace's are not to be found", async () => {
    const stranger = await createAlertsWorld(db.pool);
    const theirs = { workspaceId: stranger.workspaceId, channelId, actor: actor() };
    await expect(
      world.change((tx) => updateChannel(tx, secretBox, { ...theirs, enabled: false })),
    ).rejects.toMatchObject({
      kind: 'not_found',
    });
    await expect(world.change((tx) => deleteChannel(tx, secretBox, theirs))).rejects.toMatchObject({
      kind: 'not_found',
    });
    await expect(testChannel(deps, theirs)).rejects.toMatchObject({ kind: 'not_found' });
    await stranger.fail(await stranger.newTask(), 1);
    expect(await deliveries()).toEqual([]);
  });

  test('are tried at once with a signed message', async () => {
    const input = { workspaceId: world.workspaceId, channelId };
    expect(await testChannel(deps, input)).toEqual({ delivered: true, status: 204, error: null });
    const [request] = received;
    const payload = new Webhook(secret).verify(request?.raw ?? '', request?.headers as Record<string, string>);
    expect(alertWebhookSchema.parse(payload)).toMatchObject({ type: 'alert.test', data: { channelId } });
    answer = { status: 500 };
    expect(await testChannel(deps, input)).toMatchObject({ delivered: false, status: 500 });
  });
});

describe('a delivery', () => {
  test('is a Standard Webhook that its receiver can verify and read, and says how it is now', async () => {
    const task = await world.newTask();
    await world.fail(task, 1);
    await world.recover(task, 2);
    for (const { id } of await deliveries()) expect(await attemptDelivery(deps, id)).toEqual({ status: 'delivered' });
    const payloads = received.map(({ raw, headers }) => {
      expect(headers['content-type']).toBe('application/json');
      return alertWebhookSchema.parse(new Webhook(secret).verify(raw, headers as Record<string, string>));
    });
    const [failure, recovery] = payloads;
    expect(failure).toMatchObject({
      type: 'alert.sent',
      data: { kind: 'transient_failure', now: { taskStatus: 'succeeded', attempts: 2 }, closes: [] },
    });
    expect(recovery?.data).toMatchObject({
      kind: 'recovery',
      taskId: task.id,
      closes: [failure?.type === 'alert.sent' ? failure.data.id : 'none'],
    });
  });

  test('is there for what is sent or released, not for what is held or folded', async () => {
    await world.change((tx) =>
      setReducedNotifications(tx, { principal: world.principal('support'), enabled: true, reason: 'why' }),
    );
    const task = await world.newTask();
    await world.fail(task, 1);
    expect(await deliveries()).toHaveLength(1); // of the notice
    await world.fail(task, 2, { hard: true });
    expect(await deliveries()).toHaveLength(2);
  });

  test('that was held and is overdue goes out with PostgreSQL alone', async () => {
    await world.change((tx) =>
      setReducedNotifications(tx, { principal: world.principal('support'), enabled: true, reason: 'why' }),
    );
    await world.fail(await world.newTask(), 1, { holdUntil: new Date(Date.now() - 1000) });
    expect(await sweepAlerts(deps, new Date())).toMatchObject({ released: 1 });
    const released = (await deliveries()).at(-1)?.id ?? '';
    // A minute in which no workflow took it.
    await makeDue(released, 61);
    expect(await sweepAlerts(deps, new Date())).toMatchObject({ released: 0, tried: 1 });
    expect(received.map(({ raw }) => (JSON.parse(raw) as { type: string }).type)).toContain('alert.released');
  });

  test('is tried again after each wait, under one id, then dead, in the trail and never silently', async () => {
    answer = { status: 503 };
    const id = await failOnce();
    for (const afterMs of RETRY_DELAYS_MS) {
      expect(await attemptDelivery(deps, id)).toEqual({ status: 'retry', afterMs });
      const early = await attemptDelivery(deps, id);
      expect(early).toMatchObject({ status: 'retry' });
      expect(early.status === 'retry' && early.afterMs <= afterMs && early.afterMs > 0).toBe(true);
      await makeDue(id);
    }
    expect(await attemptDelivery(deps, id)).toEqual({ status: 'dead' });
    expect(await attemptDelivery(deps, id)).toEqual({ status: 'dead' });
    expect(received).toHaveLength(RETRY_DELAYS_MS.length + 1);
    expect(new Set(received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([id]));
    expect(await deliveries()).toMatchObject([{ status: 'dead', last_error: 'The receiver answered 503.' }]);
    expect(await trail('Alert Delivery Failed')).toMatchObject([
      { resourceId: channelId, outcome: 'failure', details: { deliveryId: id, tries: 7 } },
    ]);
    expect(await pendingDeliveries(db.pool, 100)).not.toContain(id);
  });

  test.each([{ body: 'x'.repeat(1_000_000) }, { endless: true }, { body: '' }])(
    'does not care what its receiver says besides the status, %#',
    async (saying) => {
      answer = { status: 200, ...saying };
      expect(await attemptDelivery(deps, await failOnce())).toEqual({ status: 'delivered' });
      server.closeAllConnections();
    },
  );

  test('waits as long as its receiver asks for', async () => {
    answer = { status: 429, headers: { 'retry-after': '90' } };
    expect(await attemptDelivery(deps, await failOnce())).toEqual({ status: 'retry', afterMs: 90_000 });
  });

  test('is not led elsewhere by a redirect', async () => {
    answer = { status: 302, headers: { location: `${url}/elsewhere` } };
    const id = await failOnce();
    expect(await attemptDelivery(deps, id)).toMatchObject({ status: 'retry' });
    expect(received).toHaveLength(1);
    expect((await deliveries())[0]?.last_error).toMatch(/redirects are not followed/);
  });

  test('is refused to private addresses by the outgoing agent', async () => {
    const guarded = createOutgoingAgent({ allowPrivateAddresses: false });
    const id = await failOnce();
    expect(await attemptDelivery({ ...deps, dispatcher: guarded }, id)).toMatchObject({ status: 'retry' });
    await guarded.close();
    expect(received).toEqual([]);
    expect((await deliveries())[0]?.last_error).toMatch(/not one that this installation sends to/);
  });

  test('whose secret does not open any more fails as any other, and says why', async () => {
    const id = await failOnce();
    const changed = { ...deps, secretBox: createSecretBox('another secret, of 32 characters or more too') };
    expect(await attemptDelivery(changed, id)).toMatchObject({ status: 'retry' });
    expect((await deliveries())[0]?.last_error).toMatch(/TRAILMARK_SECRET/);
    expect(received).toEqual([]);
  });

  test('of two processes at once, one makes it', async () => {
    answer = { status: 200, delayMs: 100 };
    const id = await failOnce();
    const outcomes = await Promise.all([1, 2, 3].map(() => attemptDelivery(deps, id)));
    expect(received).toHaveLength(1);
    expect(outcomes.filter(({ status }) => status === 'delivered')).toHaveLength(1);
    expect(await attemptDelivery(deps, id)).toEqual({ status: 'delivered' });
    expect(received).toHaveLength(1);
  });

  test('whose process died in the middle is made by the next one, under the same id', async () => {
    const id = await failOnce();
    // A claim that nobody came back from.
    await db.pool.query('update alert_deliveries set attempts = 1 where id = $1', [id]);
    await makeDue(id);
    expect(await attemptDelivery(deps, id)).toEqual({ status: 'delivered' });
    expect(received[0]?.headers['webhook-id']).toBe(id);
  });

  test('to a channel that is switched off or deleted is given up, and nothing new is written for it', async () => {
    const { workspaceId } = world;
    const id = await failOnce();
    await world.change((tx) =>
      updateChannel(tx, secretBox, { workspaceId, channelId, enabled: false, actor: actor() }),
    );
    expect(await attemptDelivery(deps, id)).toEqual({ status: 'dead' });
    await world.fail(await world.newTask(), 1);
    expect(await deliveries()).toHaveLength(1);
    await db.pool.query(`update alert_deliveries set status = 'pending' where id = $1`, [id]);
    expect(await attemptDelivery(deps, id)).toEqual({ status: 'dead' });
    expect(received).toEqual([]);
  });
});

describe('a channel that keeps failing', () => {
  test('is switched off after three dead deliveries, and its owners are told where they still hear it', async () => {
    answer = { status: 500 };
    const other = await newChannel(`${url}/working`);
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) {
      await world.fail(await world.newTask(), 1);
      const { rows } = await db.pool.query<{ id: string }>(
        `select id from alert_deliveries where channel_id = $1 and status = 'pending' order by created_at desc limit 1`,
        [channelId],
      );
      ids.push(rows[0]?.id ?? '');
    }
    await db.pool.query('update alert_deliveries set attempts = 6 where id = any($1)', [ids]);
    for (const [index, id] of ids.entries()) {
      expect((await listChannels(db.pool, secretBox, world.workspaceId))[0]?.enabled).toBe(index < 3);
      expect(await attemptDelivery(deps, id)).toEqual({ status: 'dead' });
    }
    const channels = await listChannels(db.pool, secretBox, world.workspaceId);
    expect(channels.map((channel) => channel.enabled)).toEqual([false, true]);
    expect(await trail('Alert Channel Disabled')).toMatchObject([
      { actorKind: 'system', before: { enabled: true }, after: { enabled: false } },
    ]);
    const notice = (await world.alerts()).at(-1);
    expect(notice).toMatchObject({ kind: 'notice', decision: 'sent', title: 'The channel "Ops" was switched off' });
    const { rows } = await db.pool.query('select channel_id from alert_deliveries where alert_id = $1', [notice?.id]);
    expect(rows).toEqual([{ channel_id: other.channel.id }]);
  });

  test('is switched off at once where its receiver says that it is gone', async () => {
    answer = { status: 410 };
    expect(await attemptDelivery(deps, await failOnce())).toEqual({ status: 'dead' });
    expect(await listChannels(db.pool, secretBox, world.workspaceId)).toMatchObject([{ enabled: false }]);
  });
});
