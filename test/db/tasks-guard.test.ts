import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asksFirst } from '../../src/tasks/steps/run/guard.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { addAudience, addRun, createWorld, readTaskRows, type World } from '../helpers/world.ts';
import { tasksOn, type Tasks } from './tasks-world.ts';

let stores: TestPool;
let tasks: Tasks;
let world: World;
let audiences = 0;

beforeAll(async () => {
  stores = await createTestPool();
  tasks = tasksOn(stores.pool);
  world = await createWorld(stores.pool);
});
afterAll(async () => {
  await stores?.close();
});

/** A run that has come as far as the guard: of `before` members `exited` would leave. */
async function reachGuard(
  numbers: { before: number; exited: number; entered?: number },
  settings: { kind?: 'audience' | 'computed_trait'; share?: number | null; minMembers?: number } = {},
): Promise<{ runId: string; computationId: string }> {
  const kind = settings.kind ?? 'audience';
  const query = kind === 'audience' ? "event('Visited').count() >= 1" : "event('Visited').count()";
  const computationId = await addAudience(stores.pool, world, query, { key: `guarded_${++audiences}`, kind });
  await stores.pool.query('update computations set guard_share = $2, guard_min_members = $3 where id = $1', [
    computationId,
    settings.share === undefined ? 0.5 : settings.share,
    settings.minMembers ?? 100,
  ]);
  const runId = await addRun(stores.pool, world, computationId);
  await tasks.begin(runId);
  const { before, exited, entered = 0 } = numbers;
  const outputs = {
    pin: { query, definitionVersion: 1, asOf: new Date().toISOString(), liveVersion: 1, liveSize: before, traits: {} },
    compute: { version: 2, size: before - exited + entered },
    diff: { entered, exited, changed: 0 },
  };
  for (const [name, output] of Object.entries(outputs)) {
    await stores.pool.query('update steps set completed_at = now(), output = $3 where task_id = $1 and name = $2', [
      runId,
      name,
      JSON.stringify(output),
    ]);
  }
  return { runId, computationId };
}

async function statusAfterGuard(runId: string): Promise<string> {
  await tasks.step(runId, 1, 'guard');
  return (await readTaskRows(stores.pool, runId)).status;
}

describe('guard', () => {
  test('holds a run that would remove more than half of many members, and asks', async () => {
    const { runId, computationId } = await reachGuard({ before: 200, exited: 101, entered: 7 });
    expect(await statusAfterGuard(runId)).toBe('awaiting_approval');

    const run = await readTaskRows(stores.pool, runId);
    expect(run.steps.filter(({ completed_at }) => completed_at !== null).map(({ name }) => name)).toEqual([
      'pin',
      'compute',
      'diff',
    ]);
    expect(
      run.attempts.map(({ outcome }) => outcome),
      'the attempt goes on once someone approves',
    ).toEqual([null]);
    const live = await stores.pool.query('select live_version from computations where id = $1', [computationId]);
    expect(live.rows, 'nothing is live').toEqual([{ live_version: null }]);
    const events = await stores.pool.query<{ type: string; details: unknown; actor_kind: string }>(
      'select type, details, actor_kind from audit_events where task_id = $1',
      [runId],
    );
    expect(events.rows).toEqual([
      {
        type: 'Audience Run Awaiting Approval',
        actor_kind: 'system',
        details: {
          before: 200,
          exited: 101,
          exitedShare: 0.505,
          entered: 7,
          after: 106,
          limit: { share: 0.5, minMembers: 100 },
        },
      },
    ]);
    const alerts = await stores.pool.query<{ kind: string; decision: string; body: string }>(
      `select kind, decision, body from alerts
       where audit_event_id = (select id from audit_events where task_id = $1)`,
      [runId],
    );
    expect(alerts.rows).toMatchObject([{ kind: 'notice', decision: 'sent' }]);
    expect(alerts.rows[0]?.body).toContain('101 of 200 members');
    await expect(tasks.begin(runId), 'no attempt begins meanwhile').rejects.toThrow('hold');
  });

  test.each([
    ['half of them is not more than half', { before: 200, exited: 100 }, {}],
    ['few members may all leave', { before: 100, exited: 100 }, {}],
    ['another share', { before: 200, exited: 150 }, { share: 0.75 }],
    ['it is off', { before: 200, exited: 200 }, { share: null }],
    ['a first run has none to remove', { before: 0, exited: 0, entered: 500 }, {}],
    ['few values may all go', { before: 100, exited: 100 }, { kind: 'computed_trait' as const }],
  ])('lets a run pass: %s', async (_, numbers, settings) => {
    const { runId } = await reachGuard(numbers, settings);
    expect(await statusAfterGuard(runId)).toBe('running');
    const run = await readTaskRows(stores.pool, runId);
    expect(run.steps.find(({ name }) => name === 'guard')?.completed_at).not.toBeNull();
  });

  test('lets a run pass that someone approved, and asks no second time', async () => {
    const { runId } = await reachGuard({ before: 200, exited: 200 });
    expect(await statusAfterGuard(runId)).toBe('awaiting_approval');
    await stores.pool.query(
      `update tasks set status = 'running', approved_at = now(), approved_by = 'usr_1' where id = $1`,
      [runId],
    );
    expect(await statusAfterGuard(runId)).toBe('running');
    const asked = await stores.pool.query(
      `select from audit_events where task_id = $1 and type = 'Audience Run Awaiting Approval'`,
      [runId],
    );
    expect(asked.rowCount).toBe(1);
  });

  test('asks nobody about a definition that was edited meanwhile: the run of the new one comes next', async () => {
    const { runId, computationId } = await reachGuard({ before: 200, exited: 200 });
    await stores.pool.query('update computations set definition_version = 2 where id = $1', [computationId]);
    expect(await statusAfterGuard(runId)).toBe('cancelled');
    const { rows } = await stores.pool.query(
      'select cancelled_because, (select array_agg(type) from audit_events where task_id = $1) as told from tasks where id = $1',
      [runId],
    );
    expect(rows).toEqual([{ cancelled_because: 'superseded', told: ['Audience Run Cancelled'] }]);
  });

  test('a worker that was given up while it held the run moves nothing', async () => {
    const { runId } = await reachGuard({ before: 200, exited: 200 });
    await tasks.fail(runId, 1);
    await tasks.begin(runId);
    await expect(tasks.step(runId, 1, 'guard')).rejects.toMatchObject({ name: 'StaleAttemptError' });
    expect((await readTaskRows(stores.pool, runId)).status).toBe('running');
  });

  test('asks exactly when more than the share of more than so many members would leave', () => {
    const size = fc.integer({ min: 0, max: 1_000 });
    fc.assert(
      fc.property(size, size, fc.integer({ min: 1, max: 100 }), size, (before, left, percent, minMembers) => {
        const exited = Math.min(left, before);
        const asks = asksFirst(
          { guard_share: percent / 100, guard_min_members: minMembers },
          { before, exited, exitedShare: before === 0 ? 0 : exited / before },
        );
        // In whole numbers, so that no rounding decides.
        expect(asks).toBe(before > minMembers && exited * 100 > percent * before);
      }),
    );
  });
});
