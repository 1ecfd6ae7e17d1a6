import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { approveRun, cancelTask, discardRun } from '../../src/tasks/index.ts';
import { addAudience, addPeople, addRun, createWorld, readTaskRows } from '../helpers/world.ts';
import { ANN, createControlWorld, EVERYBODY, forget, type ControlWorld } from './control-world.ts';

let world: ControlWorld;

beforeAll(async () => {
  world = await createControlWorld();
});
beforeEach(() => forget(world.receiver));
afterAll(async () => {
  await world?.close();
});

describe('cancel', () => {
  test('ends an open task, with who and why in the trail, and is refused once it has its outcome', async () => {
    const synced = await world.addSynced(3);
    const address = { workspaceId: synced.world.workspaceId, taskId: synced.syncId };
    await world.reach(synced.syncId);
    expect(await world.control((tx) => cancelTask(tx, address, { actor: ANN, reason: 'Wrong list' }))).toEqual([]);
    expect(await world.statusOf(synced.syncId)).toBe('cancelled');
    expect(await world.trail(synced, 'Audience Destination Sync Cancelled')).toMatchObject([
      { actor_id: ANN.id, task_id: synced.syncId, details: { because: 'asked', reason: 'Wrong list' } },
    ]);
    await expect(world.tasks.step(synced.syncId, 1, 'deliver')).rejects.toThrow(/superseded/);

    const refused = await world.refusal((tx) => cancelTask(tx, address, { actor: ANN }));
    expect(refused).toMatchObject({ kind: 'conflict', code: 'task_ended', data: { status: 'cancelled' } });
    expect(refused['message']).toContain("can't cancel what is done");
    expect(
      await world.refusal((tx) => cancelTask(tx, { ...address, taskId: synced.runId }, { actor: ANN })),
    ).toMatchObject({ code: 'task_ended', data: { status: 'succeeded' } });
  });

  test('of a task of another workspace is refused as of one that is not there', async () => {
    const synced = await world.addSynced(1);
    const other = await createWorld(world.stores.pool);
    for (const taskId of [synced.syncId, 'tsk_none']) {
      expect(
        await world.refusal((tx) => cancelTask(tx, { workspaceId: other.workspaceId, taskId }, { actor: ANN })),
      ).toMatchObject({ kind: 'not_found', code: 'task_not_found' });
    }
  });

  test('makes the sync of a run that went live while the cancelled one was open, and of no other', async () => {
    const synced = await world.addSynced(3);
    await world.reach(synced.syncId);
    expect((await world.runAgain(synced)).made).toEqual([]);
    const made = await world.control((tx) =>
      cancelTask(tx, { workspaceId: synced.world.workspaceId, taskId: synced.syncId }, { actor: ANN }),
    );
    expect(made).toHaveLength(1);
    await world.tasks.execute(made[0] ?? '');
    expect(await world.connection(synced)).toEqual({ synced: true, resync: false });
    expect(world.delivered()).toEqual([1, 2, 3]);
  });

  test('and the end of the task at the same moment: one of the two is the outcome', async () => {
    const outcomes = new Set<string>();
    for (let round = 0; round < 8; round++) {
      const synced = await world.addSynced(2);
      await world.reach(synced.syncId);
      await world.tasks.step(synced.syncId, 1, 'deliver');
      await world.tasks.step(synced.syncId, 1, 'reconcile');
      const address = { workspaceId: synced.world.workspaceId, taskId: synced.syncId };
      const [finished, cancelled] = await Promise.allSettled([
        world.tasks.step(synced.syncId, 1, 'finish'),
        world.control((tx) => cancelTask(tx, address, { actor: ANN })),
      ]);
      expect([finished.status, cancelled.status].sort()).toEqual(['fulfilled', 'rejected']);
      const status = await world.statusOf(synced.syncId);
      expect(status).toBe(finished.status === 'fulfilled' ? 'succeeded' : 'cancelled');
      expect(await world.connection(synced)).toMatchObject({ synced: finished.status === 'fulfilled' });
      expect(await world.trail(synced, 'Audience Destination Sync Cancelled')).toHaveLength(
        cancelled.status === 'fulfilled' ? 1 : 0,
      );
      outcomes.add(status);
    }
    expect(outcomes.size).toBeGreaterThan(0);
  });
});

describe('a run that the guard stopped', () => {
  /** Ten members of whom nine would leave: the run waits before its commit. */
  async function addHeld() {
    const tenant = await createWorld(world.stores.pool);
    await addPeople(world.stores.clickhouse, tenant, 10);
    const computationId = await addAudience(world.stores.pool, tenant, EVERYBODY);
    const { pool } = world.stores;
    await pool.query('update computations set guard_min_members = 5, guard_share = 0.5 where id = $1', [computationId]);
    await world.tasks.execute(await addRun(pool, tenant, computationId));
    await pool.query(
      `update computations set definition_version = 2,
              definition_query = 'event(''Visited'').where(property(''n'') = 1).count() >= 1' where id = $1`,
      [computationId],
    );
    const runId = await addRun(pool, tenant, computationId);
    await world.tasks.begin(runId);
    for (const step of ['pin', 'compute', 'diff', 'guard'] as const) await world.tasks.step(runId, 1, step);
    expect(await world.statusOf(runId)).toBe('awaiting_approval');
    return { computationId, runId, address: { workspaceId: tenant.workspaceId, taskId: runId } };
  }

  async function liveSize(computationId: string): Promise<number | undefined> {
    const { rows } = await world.stores.pool.query<{ live_size: number }>(
      'select live_size from computations where id = $1',
      [computationId],
    );
    return rows[0]?.live_size;
  }

  test('commits once someone approves it, and the trail says who and what', async () => {
    const { computationId, runId, address } = await addHeld();
    await world.control((tx) => approveRun(tx, address, ANN));
    for (const step of ['guard', 'commit', 'fan_out'] as const) await world.tasks.step(runId, 1, step);
    expect(await world.statusOf(runId)).toBe('succeeded');
    expect(await liveSize(computationId)).toBe(1);
    expect(await readTaskRows(world.stores.pool, runId)).toMatchObject({ attempt: 1 });
    const events = await world.trail({ computationId } as never, 'Audience Run Approved');
    expect(events).toMatchObject([
      { actor_id: ANN.id, task_id: runId, details: { before: 10, after: 1, entered: 0, exited: 9 } },
    ]);
    expect(await world.refusal((tx) => discardRun(tx, address, ANN))).toMatchObject({ code: 'task_ended' });
  });

  test('ends without an effect where someone discards it', async () => {
    const { computationId, runId, address } = await addHeld();
    await world.control((tx) => discardRun(tx, address, ANN));
    expect(await world.statusOf(runId)).toBe('cancelled');
    expect(await liveSize(computationId)).toBe(10);
    const { rows } = await world.stores.pool.query('select cancelled_because from tasks where id = $1', [runId]);
    expect(rows).toEqual([{ cancelled_because: 'discarded' }]);
    expect(await world.trail({ computationId } as never, 'Audience Run Discarded')).toHaveLength(1);
    expect(await world.refusal((tx) => approveRun(tx, address, ANN))).toMatchObject({
      code: 'task_ended',
      data: { status: 'cancelled' },
    });
  });

  test('has one answer, however many people answer at once', async () => {
    for (let round = 0; round < 4; round++) {
      const { computationId, runId, address } = await addHeld();
      const answers = await Promise.allSettled([
        world.control((tx) => approveRun(tx, address, ANN)),
        world.control((tx) => approveRun(tx, address, { ...ANN, id: 'usr_ben' })),
        world.control((tx) => discardRun(tx, address, { ...ANN, id: 'usr_cid' })),
      ]);
      expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      const approved = await world.trail({ computationId } as never, 'Audience Run Approved');
      const discarded = await world.trail({ computationId } as never, 'Audience Run Discarded');
      expect(approved.length + discarded.length).toBe(1);
      expect(await world.statusOf(runId)).toBe(approved.length === 1 ? 'running' : 'cancelled');
    }
  });

  test('is the only one that can be approved', async () => {
    const synced = await world.addSynced(1);
    const address = { workspaceId: synced.world.workspaceId, taskId: synced.syncId };
    expect(await world.refusal((tx) => approveRun(tx, address, ANN))).toMatchObject({
      kind: 'conflict',
      code: 'not_awaiting_approval',
      data: { status: 'pending' },
    });
  });

  test('is not approved while it is disabled: nobody would need it', async () => {
    const { computationId, address } = await addHeld();
    await world.stores.pool.query('update computations set enabled = false where id = $1', [computationId]);
    expect(await world.refusal((tx) => approveRun(tx, address, ANN))).toMatchObject({ code: 'computation_disabled' });
    await world.control((tx) => discardRun(tx, address, ANN));
  });
});
