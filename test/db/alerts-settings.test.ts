import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listAuditEvents } from '../../src/audit/index.ts';
import { readSettings, setReducedNotifications } from '../../src/alerts/index.ts';
import { createTestPool } from '../helpers/engines.ts';
import { createAlertsWorld, LATER, type AlertsWorld } from './alerts-world.ts';

let db: Awaited<ReturnType<typeof createTestPool>>;
let world: AlertsWorld;

beforeAll(async () => {
  db = await createTestPool();
});
afterAll(async () => {
  await db.close();
});
beforeEach(async () => {
  world = await createAlertsWorld(db.pool);
});

type Input = Parameters<typeof setReducedNotifications>[1];

function set(role: 'support' | 'workspace_owner' | 'workspace_member', input: Omit<Input, 'principal'>) {
  return world.change((tx) => setReducedNotifications(tx, { ...input, principal: world.principal(role) }));
}

async function trail() {
  const { events } = await listAuditEvents(db.pool, {
    workspaceId: world.workspaceId,
    type: 'Notification Settings Modified',
    count: 10,
  });
  return events;
}

describe('reduced notifications', () => {
  test('are off in a new workspace', async () => {
    expect(await readSettings(db.pool, world.workspaceId)).toMatchObject({
      reducedNotifications: false,
      reason: null,
      expiresAt: null,
    });
  });

  test('support switches them on with a reason; the trail has before and after, and owners are told', async () => {
    const expiresAt = LATER();
    const settings = await set('support', { enabled: true, reason: ' Noisy weekend ', expiresAt });
    expect(settings).toMatchObject({ reducedNotifications: true, reason: 'Noisy weekend', expiresAt });
    expect(await readSettings(db.pool, world.workspaceId)).toEqual(settings);
    expect(await trail()).toMatchObject([
      {
        actorKind: 'support',
        actor: 'usr_support',
        resourceType: 'workspace_settings',
        before: { reducedNotifications: false, reason: null, expiresAt: null },
        after: { reducedNotifications: true, reason: 'Noisy weekend', expiresAt: expiresAt.toISOString() },
      },
    ]);
    expect(await world.alerts()).toMatchObject([
      {
        kind: 'notice',
        decision: 'sent',
        title: 'Reduced notifications were switched on',
        body: expect.stringContaining('Noisy weekend') as string,
      },
    ]);
  });

  test('an owner switches them off, without a reason, and what was held goes out', async () => {
    await set('support', { enabled: true, reason: 'Noisy weekend' });
    await world.fail(await world.newTask(), 1);
    await set('workspace_owner', { enabled: false });
    const failure = (await world.alerts()).find((alert) => alert.kind === 'transient_failure');
    expect(failure).toMatchObject({ decision: 'released', rule: 'reduced notifications were switched off' });
    expect((await trail())[0]).toMatchObject({
      actor: 'usr_workspace_owner',
      details: { releasedAlerts: 1 },
      before: { reducedNotifications: true },
      after: { reducedNotifications: false },
    });
  });

  test('what changes nothing records nothing', async () => {
    await set('workspace_owner', { enabled: false });
    await set('support', { enabled: true, reason: 'Noisy' });
    await set('support', { enabled: true, reason: 'Noisy' });
    expect(await trail()).toHaveLength(1);
    await set('support', { enabled: true, reason: 'Noisy for longer' });
    expect((await trail())[0]).toMatchObject({ before: { reason: 'Noisy' }, after: { reason: 'Noisy for longer' } });
  });

  test.each([
    ['workspace_owner', { enabled: true, reason: 'me' }, 'forbidden', 'not_support'],
    ['workspace_member', { enabled: true, reason: 'me' }, 'forbidden', 'not_support'],
    ['workspace_member', { enabled: false }, 'forbidden', 'not_workspace_owner'],
    ['support', { enabled: true }, 'invalid', 'reason_required'],
    ['support', { enabled: true, reason: '  ' }, 'invalid', 'reason_required'],
    ['support', { enabled: true, reason: 'x'.repeat(501) }, 'invalid', 'reason_invalid'],
    ['support', { enabled: true, reason: 'why', expiresAt: new Date(0) }, 'invalid', 'expires_at_invalid'],
    ['support', { enabled: true, reason: 'why', expiresAt: new Date(Number.NaN) }, 'invalid', 'expires_at_invalid'],
  ] as const)('%s asking for %j is refused', async (role, input, kind, code) => {
    await expect(set(role, input)).rejects.toMatchObject({ kind, code });
    expect(await trail()).toEqual([]);
  });
});
