import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { inTransaction } from '../../src/store/index.ts';
import { cancelTask, createTask, requestResync, resumeConnection } from '../../src/tasks/index.ts';
import { connectWebhook, eventually, readTaskRows } from '../helpers/world.ts';
import { addressOf, ANN, createControlWorld, forget, numbers, type ControlWorld } from './control-world.ts';

let world: ControlWorld;

beforeAll(async () => {
  world = await createControlWorld();
});
beforeEach(() => forget(world.receiver));
afterAll(async () => {
  await world?.close();
});

describe('resync', () => {
  test('sends all that is live again, and takes out what the destination has and is not live', async () => {
    const synced = await world.addSynced(7);
    await world.tasks.execute(synced.syncId);
    await world.define(synced, 1, 5);
    const { made } = await world.runAgain(synced);
    // The sync of that run: its difference is the two who left. Instead of it, everything is asked for.
    await world.control((tx) => cancelTask(tx, addressOf(synced, made[0] ?? ''), { actor: ANN }));
    forget(world.receiver);
    const [resync, ...more] = await world.control((tx) => requestResync(tx, synced.address, { actor: ANN }));
    expect(more).toEqual([]);
    expect(resync).toMatchObject({ destinationId: synced.destinationId, after: null });
    const taskId = resync?.taskId ?? '';
    expect(await world.tasks.execute(taskId)).toEqual([]);
    expect((await readTaskRows(world.stores.pool, taskId)).result).toMatchObject({ changes: 7, delivered: 7 });
    expect(world.receiver.accepted.map(({ userId, event }) => [userId, event])).toEqual([
      ...numbers(5).map((n) => [`user-${n}`, 'Audience Entered']),
      ['user-6', 'Audience Exited'],
      ['user-7', 'Audience Exited'],
    ]);
    expect(await world.acknowledged(synced.connectionId)).toEqual(numbers(5));
    expect(await world.connection(synced)).toEqual({ synced: true, resync: false });
    expect(await world.trail(synced, 'Audience Resync Requested')).toMatchObject([
      { actor_id: ANN.id, details: { destinations: [{ destinationId: synced.destinationId, taskId }] } },
    ]);
    // And once only: the next sync sends the difference again, which there is none of.
    const next = await world.runAgain(synced);
    await world.tasks.execute(next.made[0] ?? '');
    expect((await readTaskRows(world.stores.pool, next.made[0] ?? '')).result).toMatchObject({ changes: 0 });
  });

  test('of values of a computed trait sends each of them again', async () => {
    const synced = await world.addSynced(3, { query: "event('Visited').count()", kind: 'computed_trait' });
    await world.tasks.execute(synced.syncId);
    const [resync] = await world.control((tx) => requestResync(tx, synced.address, { actor: ANN }));
    await world.tasks.execute(resync?.taskId ?? '');
    expect(world.delivered()).toEqual([1, 2, 3, 1, 2, 3]);
    expect(await world.trail(synced, 'Computed Trait Resync Requested')).toHaveLength(1);
  });

  test('while a sync is open is done by that one before its extract', async () => {
    const synced = await world.addSynced(3);
    await world.tasks.execute(synced.syncId);
    const { made } = await world.runAgain(synced);
    const [resync] = await world.control((tx) => requestResync(tx, synced.address, { actor: ANN }));
    expect(resync).toMatchObject({ taskId: null, after: 'open_sync' });
    expect(await world.tasks.execute(made[0] ?? '')).toEqual([]);
    expect(world.delivered()).toEqual([1, 2, 3, 1, 2, 3]);
    expect(await world.connection(synced)).toEqual({ synced: true, resync: false });
  });

  test('and by a further one after its extract, which its finish makes', async () => {
    const synced = await world.addSynced(3);
    await world.reach(synced.syncId);
    const [resync] = await world.control((tx) => requestResync(tx, synced.address, { actor: ANN }));
    expect(resync).toMatchObject({ taskId: null, after: 'open_sync' });
    const next = await world.tasks.execute(synced.syncId);
    expect(next).toHaveLength(1);
    expect(await world.connection(synced)).toEqual({ synced: true, resync: true });
    expect(await world.tasks.execute(next[0] ?? '')).toEqual([]);
    expect(world.delivered()).toEqual([1, 2, 3, 1, 2, 3]);
    expect((await world.tasksOf(synced)).map(({ reason }) => reason)).toEqual(['scheduled', 'fan_out', 'resync']);
    expect(await world.connection(synced)).toEqual({ synced: true, resync: false });
  });

  test('asked for while one is under way is not answered by that one', async () => {
    const synced = await world.addSynced(2);
    await world.tasks.execute(synced.syncId);
    const [first] = await world.control((tx) => requestResync(tx, synced.address, { actor: ANN }));
    await world.reach(first?.taskId ?? '');
    const [second] = await world.control((tx) => requestResync(tx, synced.address, { actor: ANN }));
    expect(second).toMatchObject({ taskId: null, after: 'open_sync' });
    const next = await world.tasks.execute(first?.taskId ?? '');
    expect(next).toHaveLength(1);
    await world.tasks.execute(next[0] ?? '');
    expect(world.delivered()).toEqual([1, 2, 1, 2, 1, 2]);
  });

  test('and a sync that ends at the same moment: everything is sent once more, whichever is first', async () => {
    for (let round = 0; round < 3; round++) {
      forget(world.receiver);
      const synced = await world.addSynced(2);
      await world.reach(synced.syncId);
      await world.tasks.step(synced.syncId, 1, 'deliver');
      await world.tasks.step(synced.syncId, 1, 'reconcile');
      const [resyncs] = await Promise.all([
        world.control((tx) => requestResync(tx, synced.address, { actor: ANN })),
        world.tasks.step(synced.syncId, 1, 'finish'),
      ]);
      expect(resyncs).toHaveLength(1);
      const open = (await world.tasksOf(synced)).filter(({ status }) => status === 'pending');
      expect(open).toMatchObject([{ reason: 'resync' }]);
      await world.tasks.execute(open[0]?.id ?? '');
      expect(world.delivered()).toEqual([1, 2, 1, 2]);
      expect(await world.connection(synced)).toEqual({ synced: true, resync: false });
    }
  });

  test('that is cancelled is taken back', async () => {
    const synced = await world.addSynced(2);
    await world.tasks.execute(synced.syncId);
    const [resync] = await world.control((tx) => requestResync(tx, synced.address, { actor: ANN }));
    await world.control((tx) => cancelTask(tx, addressOf(synced, resync?.taskId ?? ''), { actor: ANN }));
    expect(await world.connection(synced)).toEqual({ synced: true, resync: false });
  });

  test('is of the destinations that are named, and waits for those that nothing is sent to', async () => {
    const synced = await world.addSynced(2);
    await world.tasks.execute(synced.syncId);
    const { pool } = world.stores;
    const other = await connectWebhook(pool, synced.world, synced.computationId, world.receiver.url);
    const [named, ...rest] = await world.control((tx) =>
      requestResync(tx, synced.address, { actor: ANN, destinationIds: [synced.destinationId] }),
    );
    expect(rest).toEqual([]);
    expect(named).toMatchObject({
      connectionId: synced.connectionId,
      taskId: expect.stringContaining('tsk_') as string,
    });
    await world.tasks.execute(named?.taskId ?? '');

    await pool.query('update connections set suspended_at = now() where id = $1', [synced.connectionId]);
    await pool.query('update destinations set enabled = false where id = $1', [other.destinationId]);
    const resyncs = await world.control((tx) => requestResync(tx, synced.address, { actor: ANN }));
    expect(resyncs.map(({ connectionId, taskId, after }) => ({ connectionId, taskId, after }))).toEqual(
      [
        { connectionId: synced.connectionId, taskId: null, after: 'resume' },
        { connectionId: other.connectionId, taskId: null, after: 'enable' },
      ].sort((a, b) => (a.connectionId < b.connectionId ? -1 : 1)),
    );
    // Resumed, it gets everything.
    const { destinationId } = synced;
    const taskId = await world.control((tx) => resumeConnection(tx, { ...synced.address, destinationId }, ANN));
    forget(world.receiver);
    await world.tasks.execute(taskId ?? '');
    expect(world.delivered()).toEqual([1, 2]);
  });

  test('is refused for what can not be sent', async () => {
    const synced = await world.addSynced(1);
    const { pool } = world.stores;
    const ask = async (destinationIds?: string[]) =>
      await world.refusal((tx) => requestResync(tx, synced.address, { actor: ANN, destinationIds }));
    expect(await ask([synced.destinationId, 'dst_none'])).toMatchObject({
      kind: 'invalid',
      code: 'not_connected',
      data: { destinationIds: ['dst_none'] },
    });
    await pool.query('update computations set paused_at = now() where id = $1', [synced.computationId]);
    expect(await ask()).toMatchObject({ kind: 'conflict', code: 'computation_paused' });
    await pool.query('update computations set paused_at = null, enabled = false where id = $1', [synced.computationId]);
    expect(await ask()).toMatchObject({ code: 'computation_disabled' });
    await pool.query('update computations set enabled = true, live_version = null where id = $1', [
      synced.computationId,
    ]);
    expect(await ask()).toMatchObject({ code: 'nothing_live' });
    await pool.query('update computations set live_version = 1 where id = $1', [synced.computationId]);
    await pool.query('update connections set enabled = false where id = $1', [synced.connectionId]);
    expect(await ask()).toMatchObject({ code: 'no_destinations' });
    expect(
      await world.refusal((tx) => requestResync(tx, { ...synced.address, kind: 'computed_trait' }, { actor: ANN })),
    ).toMatchObject({ kind: 'not_found', code: 'computation_not_found' });
  });
});

test('a finish waits for the commit that found its sync open, and catches up with what that makes live', async () => {
  const synced = await world.addSynced(2);
  await world.reach(synced.syncId);
  await world.tasks.step(synced.syncId, 1, 'deliver');
  await world.tasks.step(synced.syncId, 1, 'reconcile');
  const { pool } = world.stores;
  const finishing = await inTransaction(pool, async (commit) => {
    await commit.query('update computations set live_version = live_version + 1 where id = $1', [synced.computationId]);
    const { workspaceId, spaceId } = synced.world;
    const { computationId, connectionId } = synced;
    const fanOut = { workspaceId, spaceId, computationId, connectionId, kind: 'sync', reason: 'fan_out' } as const;
    expect(await createTask(commit, fanOut)).toBeNull();
    const finish = world.tasks.step(synced.syncId, 1, 'finish');
    await eventually(
      async () => {
        const { rowCount } = await pool.query(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        );
        return rowCount === 0 ? null : true;
      },
      { what: 'waiting for the commit' },
    );
    return { finish };
  });
  expect(await finishing.finish).toHaveLength(1);
  expect(await world.connection(synced)).toEqual({ synced: false, resync: false });
  expect((await world.tasksOf(synced)).at(-1)).toMatchObject({ reason: 'catch_up', status: 'pending' });
});
