import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listAuditEvents } from '../../src/audit/index.ts';
import {
  alertCounts,
  listAlerts,
  onTaskCancelled,
  readSettings,
  releaseOverdueAlerts,
  setReducedNotifications,
} from '../../src/alerts/index.ts';
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

function reduce(options: { enabled?: boolean; expiresAt?: Date } = {}) {
  return world.change((tx) =>
    setReducedNotifications(tx, {
      principal: world.principal('support'),
      enabled: options.enabled ?? true,
      reason: 'The owner asked for it.',
      expiresAt: options.expiresAt,
    }),
  );
}

/** What there is about tasks, without the notices about the setting. */
async function story() {
  return (await world.alerts())
    .filter((alert) => alert.kind !== 'notice')
    .map((alert) => `${alert.kind} ${alert.decision}`);
}

const OVERDUE = () => new Date(Date.now() - 1000);

describe('with the setting off, as Segment does', () => {
  test('every failed attempt is sent, and the recovery closes them', async () => {
    const task = await world.newTask();
    await world.fail(task, 1);
    await world.fail(task, 2);
    await world.recover(task, 3);
    expect(await story()).toEqual(['transient_failure sent', 'transient_failure sent', 'recovery sent']);
    const [first, , recovery] = await world.alerts();
    expect(first).toMatchObject({
      title: 'Audience "Buyers": run failed, attempt 1 of 6',
      closedBy: recovery?.id,
      now: { taskStatus: 'succeeded', attempts: 3, recoveredAt: expect.any(String) as string },
    });
    expect(recovery).toMatchObject({ title: 'Audience "Buyers": run recovered', closedBy: null });
    expect(recovery?.attempts.map((attempt) => attempt.attempt)).toEqual([1, 2]);
  });

  test('a hard failure is one alert and not two, with all attempts in it', async () => {
    const task = await world.newTask();
    for (let attempt = 1; attempt <= 5; attempt++) await world.fail(task, attempt);
    await world.fail(task, 6, { hard: true });
    expect(await story()).toEqual([...Array<string>(5).fill('transient_failure sent'), 'hard_failure sent']);
    const hard = (await world.alerts()).at(-1);
    expect(hard?.attempts.map((attempt) => [attempt.attempt, attempt.class])).toEqual([
      ...[1, 2, 3, 4, 5].map((attempt) => [attempt, 'transient']),
      [6, 'hard'],
    ]);
    expect(hard?.body).toMatch(/All 6 attempts failed.+1\. 20.+6\. 20/s);
    expect(hard?.now).toMatchObject({ taskStatus: 'failed', recoveredAt: null });
  });

  test('a task that succeeds at once says nothing', async () => {
    const task = await world.newTask();
    await world.recover(task, 1);
    expect(await story()).toEqual([]);
  });
});

describe('with reduced notifications', () => {
  test('a failure that recovers is held and then folded: in the list, and no message', async () => {
    await reduce();
    const task = await world.newTask();
    await world.fail(task, 1);
    expect(await story()).toEqual(['transient_failure held']);
    await world.recover(task, 2);
    expect(await story()).toEqual(['transient_failure folded']);
    const { alerts } = await listAlerts(db.pool, { workspaceId: world.workspaceId, decision: 'folded', count: 10 });
    expect(alerts).toMatchObject([{ rule: 'recovered', foldedInto: null, holdUntil: null, closedBy: null }]);
    expect(await alertCounts(db.pool, world.workspaceId)).toEqual({
      sent: 1, // the notice about the setting
      held: 0,
      folded: 1,
      released: 0,
      suppressed: 0,
    });
  });

  test('a hard failure is one message, with what was held folded into it', async () => {
    await reduce();
    const task = await world.newTask();
    const other = await world.newTask();
    await world.fail(other, 1);
    for (let attempt = 1; attempt <= 5; attempt++) await world.fail(task, attempt);
    const hard = await world.fail(task, 6, { hard: true });
    expect(hard.attempts).toHaveLength(6);
    const alerts = (await world.alerts()).filter((alert) => alert.kind !== 'notice');
    expect(alerts.map((alert) => [alert.decision, alert.foldedInto])).toEqual([
      ['held', null],
      ...Array.from({ length: 5 }, () => ['folded', hard.id]),
      ['sent', null],
    ]);
  });

  test('a hard failure at the first attempt is sent at once', async () => {
    await reduce();
    await world.fail(await world.newTask(), 1, { hard: true });
    expect(await story()).toEqual(['hard_failure sent']);
  });

  test('no outcome in time: one message of the task goes out, the latest, with every attempt', async () => {
    await reduce();
    const task = await world.newTask();
    await world.fail(task, 1, { holdUntil: OVERDUE() });
    const latest = await world.fail(task, 2, { holdUntil: OVERDUE() });
    await world.fail(await world.newTask(), 1, { holdUntil: LATER() });
    expect(await releaseOverdueAlerts(db.pool, new Date())).toBe(1);
    const alerts = (await world.alerts()).filter((alert) => alert.kind !== 'notice');
    expect(alerts.map((alert) => [alert.decision, alert.rule, alert.foldedInto])).toMatchObject([
      ['folded', expect.stringContaining('later alert'), latest.id],
      ['released', 'no outcome in time', null],
      ['held', expect.anything(), null],
    ]);
    expect(alerts[1]?.attempts).toHaveLength(2);
    expect(await releaseOverdueAlerts(db.pool, new Date())).toBe(0);
  });

  test('a recovery after a release is sent, and closes it; what was held since is folded into it', async () => {
    await reduce();
    const task = await world.newTask();
    await world.fail(task, 1, { holdUntil: OVERDUE() });
    await releaseOverdueAlerts(db.pool, new Date());
    await world.fail(task, 2);
    await world.recover(task, 3);
    expect(await story()).toEqual(['transient_failure released', 'transient_failure folded', 'recovery sent']);
    const alerts = (await world.alerts()).filter((alert) => alert.kind !== 'notice');
    expect(alerts[0]?.closedBy).toBe(alerts[2]?.id);
    expect(alerts[1]?.foldedInto).toBe(alerts[2]?.id);
  });

  test('a cancelled task suppresses what was held, and only that', async () => {
    const task = await world.newTask();
    await world.fail(task, 1);
    await reduce();
    await world.fail(task, 2);
    await world.change((tx) => onTaskCancelled(tx, task.id));
    expect(await story()).toEqual(['transient_failure sent', 'transient_failure suppressed']);
  });

  test('an expired setting counts as off, is ended by the system, and releases what was held', async () => {
    await reduce({ expiresAt: LATER() });
    await world.fail(await world.newTask(), 1);
    await db.pool.query(
      `update workspace_settings set reduced_notifications_expires_at = now() - interval '1 second' where workspace_id = $1`,
      [world.workspaceId],
    );
    expect((await readSettings(db.pool, world.workspaceId)).reducedNotifications).toBe(false);
    await world.fail(await world.newTask(), 1);
    expect(await story()).toEqual(['transient_failure held', 'transient_failure sent']);
    expect(await releaseOverdueAlerts(db.pool, new Date())).toBe(1);
    expect(await releaseOverdueAlerts(db.pool, new Date())).toBe(0);
    expect(await story()).toEqual(['transient_failure released', 'transient_failure sent']);
    const { events } = await listAuditEvents(db.pool, {
      workspaceId: world.workspaceId,
      type: 'Notification Settings Modified',
      count: 10,
    });
    expect(events[0]).toMatchObject({
      actorKind: 'system',
      before: { reducedNotifications: true },
      after: { reducedNotifications: false },
    });
    expect(events).toHaveLength(2);
  });

  test('whatever happens and however the setting is switched: a hard failure is sent, and nothing stays held', async () => {
    const step = fc.constantFrom('fail', 'fail overdue', 'on', 'off', 'sweep');
    const end = fc.constantFrom('hard', 'recover', 'cancel', 'silence');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 6 }), end, async (steps, last) => {
        world = await createAlertsWorld(db.pool);
        const task = await world.newTask();
        let attempt = 0;
        for (const what of steps) {
          if (what === 'on' || what === 'off') await reduce({ enabled: what === 'on' });
          else if (what === 'sweep') await releaseOverdueAlerts(db.pool, new Date());
          else await world.fail(task, ++attempt, { holdUntil: what === 'fail' ? LATER() : OVERDUE() });
        }
        if (last === 'hard') await world.fail(task, ++attempt, { hard: true });
        if (last === 'recover') await world.recover(task, ++attempt);
        if (last === 'cancel') await world.change((tx) => onTaskCancelled(tx, task.id));
        if (last === 'silence') await releaseOverdueAlerts(db.pool, new Date(Date.now() + 86_400_000));

        const alerts = (await world.alerts()).filter((alert) => alert.kind !== 'notice');
        const out = alerts.filter((alert) => alert.decision === 'sent' || alert.decision === 'released');
        expect(alerts.filter((alert) => alert.decision === 'held')).toEqual([]);
        expect(alerts.filter((alert) => alert.kind === 'hard_failure').map((alert) => alert.decision)).toEqual(
          last === 'hard' ? ['sent'] : [],
        );
        const spoken = new Set(out.map((alert) => alert.id));
        for (const alert of alerts) if (alert.foldedInto !== null) expect(spoken).toContain(alert.foldedInto);
        if (last === 'silence' && attempt > 0) expect(out).not.toEqual([]);
        const opened = out.filter((alert) => alert.kind === 'transient_failure');
        const closed = out.filter((alert) => alert.kind === 'recovery');
        if (last === 'recover') expect(closed).toHaveLength(opened.length > 0 ? 1 : 0);
      }),
      { numRuns: 40 },
    );
  });
});

describe('two at once', () => {
  test('a release under way and a recovery: people hear of both, in this order', async () => {
    await reduce();
    const task = await world.newTask();
    await world.fail(task, 1, { holdUntil: OVERDUE() });
    const releaser = await db.pool.connect();
    try {
      // What releaseOverdueAlerts does, stopped before its commit.
      await releaser.query('begin');
      await releaser.query(
        `update alerts set decision = 'released', rule = 'no outcome in time', hold_until = null where task_id = $1`,
        [task.id],
      );
      const recovering = world.recover(task, 2);
      await new Promise((resolve) => setTimeout(resolve, 200));
      await releaser.query('commit');
      await recovering;
    } finally {
      releaser.release();
    }
    expect(await story()).toEqual(['transient_failure released', 'recovery sent']);
  });

  test('a recovery under way and a release: the alert is folded, and not sent', async () => {
    await reduce();
    const task = await world.newTask();
    await world.fail(task, 1, { holdUntil: OVERDUE() });
    await world.change(async (tx) => {
      await world.recoverIn(tx, task, 2);
      expect(await releaseOverdueAlerts(db.pool, new Date())).toBe(0);
    });
    expect(await releaseOverdueAlerts(db.pool, new Date())).toBe(0);
    expect(await story()).toEqual(['transient_failure folded']);
  });

  test('a failure under way while the setting is switched off: what it held is released too', async () => {
    await reduce();
    const task = await world.newTask();
    let switching: Promise<unknown> = Promise.resolve();
    await world.change(async (tx) => {
      await world.failIn(tx, task, 1);
      switching = reduce({ enabled: false });
      await new Promise((resolve) => setTimeout(resolve, 200));
    });
    await switching;
    expect(await story()).toEqual(['transient_failure released']);
  });

  test('many tasks that recover while several processes release: each is released with a recovery, or folded', async () => {
    await reduce();
    const tasks = await Promise.all(Array.from({ length: 40 }, () => world.newTask()));
    for (const task of tasks) await world.fail(task, 1, { holdUntil: OVERDUE() });
    await Promise.all([
      ...tasks.map((task) => world.recover(task, 2)),
      ...Array.from({ length: 4 }, () => releaseOverdueAlerts(db.pool, new Date())),
    ]);
    const alerts = await world.alerts();
    for (const task of tasks) {
      const about = alerts
        .filter((alert) => alert.taskId === task.id)
        .map((alert) => `${alert.kind} ${alert.decision}`);
      expect([['transient_failure folded'], ['transient_failure released', 'recovery sent']]).toContainEqual(about);
    }
  });
});
