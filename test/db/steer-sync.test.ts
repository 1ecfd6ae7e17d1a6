import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { inTransaction, selectRows } from '../../src/store/index.ts';
import { cancelSteered, createTask, redriveRejected, requestResync, resumeConnection } from '../../src/tasks/index.ts';
import { refuseUsers } from '../helpers/receiver.ts';
import { connectWebhook, eventually, readTaskRows } from '../helpers/world.ts';
import { ANN, createSteerWorld, forget, numbers, type SteerWorld, type Synced } from './steer-world.ts';

let world: SteerWorld;

beforeAll(async () => {
  world = await createSteerWorld();
});
beforeEach(() => forget(world.receiver));
afterAll(async () => {
  await world?.close();
});

const addressOf = (synced: Synced, taskId: string) => ({ workspaceId: synced.world.workspaceId, taskId });

/** From now on the definition says: the people whose number is in [from, to]. */
async function define(synced: Synced, from: number, to: number): Promise<void> {
  await world.stores.pool.query(
    `update computations set definition_version = definition_version + 1, guard_share = null, definition_query = $2
     where id = $1`,
    [synced.computationId, `event('Visited').where(property('n') >= ${from} AND property('n') <= ${to}).count() >= 1`],
  );
}

describe('resync', () => {
  test('sends all that is live again, and takes out what the destination has and is not live', async () => {
    const synced = await world.addSynced(7);
    await world.tasks.execute(synced.syncId);
    await define(synced, 1, 5);
    const { made } = await world.runAgain(synced);
    // The sync of that run: its difference is the two who left. Instead of it, everything is asked for.
    await world.steer((tx) => cancelSteered(tx, addressOf(synced, made[0] ?? ''), { actor: ANN }));
    forget(world.receiver);
    const [resync, ...more] = await world.steer((tx) => requestResync(tx, synced.address, { actor: ANN }));
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
    const [resync] = await world.steer((tx) => requestResync(tx, synced.address, { actor: ANN }));
    await world.tasks.execute(resync?.taskId ?? '');
    expect(world.delivered()).toEqual([1, 2, 3, 1, 2, 3]);
    expect(await world.trail(synced, 'Computed Trait Resync Requested')).toHaveLength(1);
  });

  test('while a sync is open is done by that one before its extract', async () => {
    const synced = await world.addSynced(3);
    await world.tasks.execute(synced.syncId);
    const { made } = await world.runAgain(synced);
    const [resync] = await world.steer((tx) => requestResync(tx, synced.address, { actor: ANN }));
    expect(resync).toMatchObject({ taskId: null, after: 'open_sync' });
    expect(await world.tasks.execute(made[0] ?? '')).toEqual([]);
    expect(world.delivered()).toEqual([1, 2, 3, 1, 2, 3]);
    expect(await world.connection(synced)).toEqual({ synced: true, resync: false });
  });

  test('and by a further one after its extract, which its finish makes', async () => {
    const synced = await world.addSynced(3);
    await world.reach(synced.syncId);
    const [resync] = await world.steer((tx) => requestResync(tx, synced.address, { actor: ANN }));
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
    const [first] = await world.steer((tx) => requestResync(tx, synced.address, { actor: ANN }));
    await world.reach(first?.taskId ?? '');
    const [second] = await world.steer((tx) => requestResync(tx, synced.address, { actor: ANN }));
    expect(second).toMatchObject({ taskId: null, after: 'open_sync' });
    const next = await world.tasks.execute(first?.taskId ?? '');
    expect(next).toHaveLength(1);
    await world.tasks.execute(next[0] ?? '');
    expect(world.delivered()).toEqual([1, 2, 1, 2, 1, 2]);
  });

  test('and a sync that ends at the same moment: everything is sent once more, whichever is first', async () => {
    for (let round = 0; round < 6; round++) {
      forget(world.receiver);
      const synced = await world.addSynced(2);
      await world.reach(synced.syncId);
      await world.tasks.step(synced.syncId, 1, 'deliver');
      await world.tasks.step(synced.syncId, 1, 'reconcile');
      const [resyncs] = await Promise.all([
        world.steer((tx) => requestResync(tx, synced.address, { actor: ANN })),
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
    const [resync] = await world.steer((tx) => requestResync(tx, synced.address, { actor: ANN }));
    await world.steer((tx) => cancelSteered(tx, addressOf(synced, resync?.taskId ?? ''), { actor: ANN }));
    expect(await world.connection(synced)).toEqual({ synced: true, resync: false });
  });

  test('is of the destinations that are named, and waits for those that nothing is sent to', async () => {
    const synced = await world.addSynced(2);
    await world.tasks.execute(synced.syncId);
    const { pool } = world.stores;
    const other = await connectWebhook(pool, synced.world, synced.computationId, world.receiver.url);
    const [named, ...rest] = await world.steer((tx) =>
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
    const resyncs = await world.steer((tx) => requestResync(tx, synced.address, { actor: ANN }));
    expect(resyncs.map(({ connectionId, taskId, after }) => ({ connectionId, taskId, after }))).toEqual(
      [
        { connectionId: synced.connectionId, taskId: null, after: 'resume' },
        { connectionId: other.connectionId, taskId: null, after: 'enable' },
      ].sort((a, b) => (a.connectionId < b.connectionId ? -1 : 1)),
    );
    // Resumed, it gets everything.
    const { destinationId } = synced;
    const taskId = await world.steer((tx) => resumeConnection(tx, { ...synced.address, destinationId }, ANN));
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

describe('redrive', () => {
  async function addRejected(): Promise<Synced> {
    const synced = await world.addSynced(6);
    world.receiver.behave(refuseUsers(['user-2', 'user-4', 'user-6']));
    await world.tasks.execute(synced.syncId);
    expect((await readTaskRows(world.stores.pool, synced.syncId)).result).toMatchObject({ delivered: 3, rejected: 3 });
    forget(world.receiver);
    return synced;
  }

  test('sends the rejected rows and no other, and what needs nothing any more is left out', async () => {
    const synced = await addRejected();
    // user-6 has left meanwhile and the destination never had them; that user-1 has left is not the redrive's to send.
    await define(synced, 2, 5);
    const { made } = await world.runAgain(synced);
    await world.steer((tx) => cancelSteered(tx, addressOf(synced, made[0] ?? ''), { actor: ANN }));
    const { taskId, rows } = await world.steer((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN));
    expect(rows).toBe(3);
    const [caughtUp, ...more] = await world.tasks.execute(taskId);
    expect(world.delivered()).toEqual([2, 4]);
    expect((await readTaskRows(world.stores.pool, taskId)).result).toMatchObject({
      changes: 2,
      delivered: 2,
      rejected: 0,
    });
    const kept = await world.stores.pool.query('select profile, redriven_by from rejected_rows order by profile');
    expect(kept.rows).toEqual(expect.arrayContaining([2, 4, 6].map((profile) => ({ profile, redriven_by: taskId }))));
    expect(await world.trail(synced, 'Audience Destination Sync Redriven')).toMatchObject([
      { actor_id: ANN.id, task_id: taskId, details: { rejectedBy: synced.syncId, rows: 3 } },
    ]);
    // The destination was behind before, and a redrive says nothing of the rest: a sync catches up.
    expect(more).toEqual([]);
    expect(await world.connection(synced)).toEqual({ synced: false, resync: false });
    await world.tasks.execute(caughtUp ?? '');
    expect(world.delivered()).toEqual([2, 4, 1]);
    expect(await world.connection(synced)).toEqual({ synced: true, resync: false });
  });

  test('of a connection that is in step needs no further sync', async () => {
    const synced = await addRejected();
    const { taskId } = await world.steer((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN));
    expect(await world.tasks.execute(taskId)).toEqual([]);
    expect(world.delivered()).toEqual([2, 4, 6]);
    expect(await world.acknowledged(synced.connectionId)).toEqual(numbers(6));
    expect(await world.connection(synced)).toEqual({ synced: true, resync: false });
  });

  test('of rows that the destination has had since sends nothing', async () => {
    const synced = await addRejected();
    const { made } = await world.runAgain(synced);
    await world.tasks.execute(made[0] ?? '');
    expect(world.delivered()).toEqual([2, 4, 6]);
    const { taskId } = await world.steer((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN));
    await world.tasks.execute(taskId);
    expect((await readTaskRows(world.stores.pool, taskId)).result).toMatchObject({ changes: 0 });
    expect(world.delivered()).toEqual([2, 4, 6]);
  });

  test('takes a row once, unless the redrive that took it came to nothing; what it is refused is its own', async () => {
    const synced = await addRejected();
    const redrive = async (taskId: string) =>
      await world.steer((tx) => redriveRejected(tx, addressOf(synced, taskId), ANN));
    const first = await redrive(synced.syncId);
    expect(await world.refusal((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN))).toMatchObject({
      code: 'already_redriven',
      data: { taskId: first.taskId },
    });
    await world.steer((tx) => cancelSteered(tx, addressOf(synced, first.taskId), { actor: ANN }));

    world.receiver.behave(refuseUsers(['user-4']));
    const second = await redrive(synced.syncId);
    await world.tasks.execute(second.taskId);
    expect(await world.refusal((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN))).toMatchObject({
      code: 'already_redriven',
      data: { taskId: second.taskId },
    });
    forget(world.receiver);
    const third = await redrive(second.taskId);
    expect(third.rows).toBe(1);
    await world.tasks.execute(third.taskId);
    expect(world.delivered()).toEqual([4]);
  });

  test('asked for twice at once is made once', async () => {
    const synced = await addRejected();
    const asked = await Promise.allSettled(
      [1, 2, 3].map(async () => await world.steer((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN))),
    );
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await world.tasksOf(synced)).filter(({ reason }) => reason === 'redrive')).toHaveLength(1);
  });

  test('is refused where there is nothing to send, or no way to send it', async () => {
    const synced = await addRejected();
    const { pool } = world.stores;
    const refused = async (taskId = synced.syncId) =>
      await world.refusal((tx) => redriveRejected(tx, addressOf(synced, taskId), ANN));
    expect(await refused(synced.runId)).toMatchObject({ kind: 'conflict', code: 'task_is_run' });
    const { made } = await world.runAgain(synced);
    expect(await refused(made[0])).toMatchObject({ code: 'task_open' });
    expect(await refused()).toMatchObject({ code: 'sync_open', data: { taskId: made[0] } });
    await world.tasks.execute(made[0] ?? '');
    expect(await refused(made[0])).toMatchObject({ code: 'nothing_rejected' });
    await pool.query('update connections set suspended_at = now() where id = $1', [synced.connectionId]);
    expect(await refused()).toMatchObject({ code: 'sync_suspended' });
    await pool.query('update destinations set enabled = false where id = $1', [synced.destinationId]);
    expect(await refused()).toMatchObject({ code: 'destination_disabled' });
    await pool.query('update connections set enabled = false where id = $1', [synced.connectionId]);
    expect(await refused()).toMatchObject({ code: 'not_connected' });
    await pool.query('update computations set paused_at = now() where id = $1', [synced.computationId]);
    expect(await refused()).toMatchObject({ code: 'computation_paused' });
  });

  test('of a hundred thousand rows freezes those, in pages', { timeout: 120_000 }, async () => {
    const synced = await world.addSynced(150_000, { query: "event('Visited').count() >= 1" });
    const { pool, clickhouse } = world.stores;
    await world.steer((tx) => cancelSteered(tx, addressOf(synced, synced.syncId), { actor: ANN }));
    await inTransaction(pool, async (tx) => {
      await tx.query(
        `insert into rejected_rows (task_id, idx, profile, status, reason)
         select $1, n, n + 1, 400, 'no' from generate_series(0, 99999) as n`,
        [synced.syncId],
      );
    });
    const { taskId, rows } = await world.steer((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN));
    expect(rows).toBe(100_000);
    await world.reach(taskId);
    const { steps } = await readTaskRows(pool, taskId);
    expect(steps.find(({ name }) => name === 'extract')?.completed_at).not.toBeNull();
    const frozen = await pool.query<{ output: { extractId: number; changes: number } }>(
      `select output from steps where task_id = $1 and name = 'extract'`,
      [taskId],
    );
    expect(frozen.rows[0]?.output.changes).toBe(100_000);
    const [range] = await selectRows<{ low: number; high: number }>(
      clickhouse,
      'SELECT min(profile) AS low, max(profile) AS high FROM sync_changes WHERE extract_id = {id:UInt64}',
      { id: frozen.rows[0]?.output.extractId },
    );
    expect(range).toEqual({ low: 1, high: 100_000 });
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

describe('resuming a suspended connection', () => {
  test('counts no failures any more, and catches up with what was missed', async () => {
    const synced = await world.addSynced(3);
    const { pool } = world.stores;
    await world.steer((tx) => cancelSteered(tx, addressOf(synced, synced.syncId), { actor: ANN }));
    await pool.query(
      `update connections set suspended_at = now(), suspended_reason = 'three hard failures', hard_failures = 3 where id = $1`,
      [synced.connectionId],
    );
    expect((await world.runAgain(synced)).made).toEqual([]);
    const address = { ...synced.address, destinationId: synced.destinationId };
    const asked = await Promise.allSettled([1, 2].map(() => world.steer((tx) => resumeConnection(tx, address, ANN))));
    const resumed = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(resumed).toHaveLength(1);
    const { rows } = await pool.query(
      'select suspended_at, suspended_reason, hard_failures from connections where id = $1',
      [synced.connectionId],
    );
    expect(rows).toEqual([{ suspended_at: null, suspended_reason: null, hard_failures: 0 }]);
    await world.tasks.execute(resumed[0] ?? '');
    expect(world.delivered()).toEqual([1, 2, 3]);
    expect(await world.trail(synced, 'Audience Destination Sync Resumed')).toMatchObject([
      { actor_id: ANN.id, task_id: resumed[0], details: { destinationId: synced.destinationId } },
    ]);
    expect(await world.refusal((tx) => resumeConnection(tx, address, ANN))).toMatchObject({
      kind: 'conflict',
      code: 'not_suspended',
    });
  });

  test('makes no sync where nothing was missed', async () => {
    const synced = await world.addSynced(1);
    await world.tasks.execute(synced.syncId);
    await world.stores.pool.query('update connections set suspended_at = now() where id = $1', [synced.connectionId]);
    const address = { ...synced.address, destinationId: synced.destinationId };
    expect(await world.steer((tx) => resumeConnection(tx, address, ANN))).toBeNull();
    expect(
      await world.refusal((tx) => resumeConnection(tx, { ...address, destinationId: 'dst_none' }, ANN)),
    ).toMatchObject({ kind: 'not_found', code: 'connection_not_found' });
  });
});
