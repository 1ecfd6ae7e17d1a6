import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { inTransaction, selectRows } from '../../src/store/index.ts';
import { cancelTask, redriveRejected, resumeConnection } from '../../src/tasks/index.ts';
import { refuseUsers } from '../helpers/receiver.ts';
import { readTaskRows } from '../helpers/world.ts';
import {
  addressOf,
  ANN,
  createControlWorld,
  forget,
  numbers,
  type ControlWorld,
  type Synced,
} from './control-world.ts';

let world: ControlWorld;

beforeAll(async () => {
  world = await createControlWorld();
});
beforeEach(() => forget(world.receiver));
afterAll(async () => {
  await world?.close();
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
    await world.define(synced, 2, 5);
    const { made } = await world.runAgain(synced);
    await world.control((tx) => cancelTask(tx, addressOf(synced, made[0] ?? ''), { actor: ANN }));
    const { taskId, rows } = await world.control((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN));
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
    const { taskId } = await world.control((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN));
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
    const { taskId } = await world.control((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN));
    await world.tasks.execute(taskId);
    expect((await readTaskRows(world.stores.pool, taskId)).result).toMatchObject({ changes: 0 });
    expect(world.delivered()).toEqual([2, 4, 6]);
  });

  test('takes a row once, unless the redrive that took it came to nothing; what it is refused is its own', async () => {
    const synced = await addRejected();
    const redrive = async (taskId: string) =>
      await world.control((tx) => redriveRejected(tx, addressOf(synced, taskId), ANN));
    const first = await redrive(synced.syncId);
    expect(await world.refusal((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN))).toMatchObject({
      code: 'already_redriven',
      data: { taskId: first.taskId },
    });
    await world.control((tx) => cancelTask(tx, addressOf(synced, first.taskId), { actor: ANN }));

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
      [1, 2, 3].map(
        async () => await world.control((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN)),
      ),
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
    await world.control((tx) => cancelTask(tx, addressOf(synced, synced.syncId), { actor: ANN }));
    await inTransaction(pool, async (tx) => {
      await tx.query(
        `insert into rejected_rows (task_id, idx, profile, status, reason)
         select $1, n, n + 1, 400, 'no' from generate_series(0, 99999) as n`,
        [synced.syncId],
      );
    });
    const { taskId, rows } = await world.control((tx) => redriveRejected(tx, addressOf(synced, synced.syncId), ANN));
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

describe('resuming a suspended connection', () => {
  test('counts no failures any more, and catches up with what was missed', async () => {
    const synced = await world.addSynced(3);
    const { pool } = world.stores;
    await world.control((tx) => cancelTask(tx, addressOf(synced, synced.syncId), { actor: ANN }));
    await pool.query(
      `update connections set suspended_at = now(), suspended_reason = 'three hard failures', hard_failures = 3 where id = $1`,
      [synced.connectionId],
    );
    expect((await world.runAgain(synced)).made).toEqual([]);
    const address = { ...synced.address, destinationId: synced.destinationId };
    const asked = await Promise.allSettled([1, 2].map(() => world.control((tx) => resumeConnection(tx, address, ANN))));
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
    expect(await world.control((tx) => resumeConnection(tx, address, ANN))).toBeNull();
    expect(
      await world.refusal((tx) => resumeConnection(tx, { ...address, destinationId: 'dst_none' }, ANN)),
    ).toMatchObject({ kind: 'not_found', code: 'connection_not_found' });
  });
});
