import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  beginAttempt,
  forceRun,
  pauseComputation,
  resumeComputation,
  scheduleDueTasks,
} from '../../src/tasks/index.ts';
import { ANN, createControlWorld, forget, type ControlWorld, type Synced } from './control-world.ts';

let world: ControlWorld;

beforeAll(async () => {
  world = await createControlWorld();
});
beforeEach(() => forget(world.receiver));
afterAll(async () => {
  await world?.close();
});

const pause = async (synced: Synced) => await world.control((tx) => pauseComputation(tx, synced.address, ANN));
const resume = async (synced: Synced) => await world.control((tx) => resumeComputation(tx, synced.address, ANN));

describe('pause', () => {
  test('keeps open tasks at their checkpoints until it is resumed, and names them to be woken', async () => {
    const synced = await world.addSynced(12);
    await world.reach(synced.syncId);
    world.receiver.behave(({ number }) => (number === 2 ? { delayMs: 300 } : undefined));
    const delivering = world.tasks.step(synced.syncId, 1, 'deliver').then(
      () => 'done',
      (error: Error) => error.name,
    );
    await world.receiver.received(({ number }) => number === 2);
    expect(await pause(synced)).toEqual([synced.syncId]);
    // The batch in hand is settled, and no further one is sent.
    expect(await delivering).toBe('StepWaits');
    expect(world.receiver.requests).toHaveLength(2);
    expect(await beginAttempt(world.stores.pool, synced.syncId)).toEqual({ next: 'hold', why: 'paused' });
    expect(await world.statusOf(synced.syncId)).toBe('running');

    expect(await resume(synced)).toEqual([synced.syncId]);
    expect(await beginAttempt(world.stores.pool, synced.syncId)).toMatchObject({ next: 'execute', attempt: 1 });
    await world.tasks.execute(synced.syncId);
    expect(world.receiver.counts()).toMatchObject({ messages: 12, distinctMessages: 12, requests: 3 });
    expect(await world.statusOf(synced.syncId)).toBe('succeeded');
    expect([
      ...(await world.trail(synced, 'Audience Paused')),
      ...(await world.trail(synced, 'Audience Resumed')),
    ]).toMatchObject([
      { actor_id: ANN.id, details: { openTasks: [synced.syncId] } },
      { actor_id: ANN.id, details: { openTasks: [synced.syncId] } },
    ]);
  });

  test('is refused while it is paused, and resuming while it is not', async () => {
    const synced = await world.addSynced(1);
    expect(await world.refusal((tx) => resumeComputation(tx, synced.address, ANN))).toMatchObject({
      kind: 'conflict',
      code: 'not_paused',
    });
    const asked = await Promise.allSettled([pause(synced), pause(synced), pause(synced)]);
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await world.refusal((tx) => pauseComputation(tx, synced.address, ANN))).toMatchObject({
      kind: 'conflict',
      code: 'computation_paused',
    });
    const resumed = await Promise.allSettled([resume(synced), resume(synced)]);
    expect(resumed.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await world.trail(synced, 'Audience Paused')).toHaveLength(1);
    expect(await world.trail(synced, 'Audience Resumed')).toHaveLength(1);
    for (const operation of [pauseComputation, resumeComputation]) {
      expect(await world.refusal((tx) => operation(tx, { ...synced.address, spaceId: 'spa_none' }, ANN))).toMatchObject(
        { kind: 'not_found', code: 'computation_not_found' },
      );
    }
  });

  test('has no slot run, and once it is resumed the slots that it missed are run once', async () => {
    const synced = await world.addSynced(1);
    await world.tasks.execute(synced.syncId);
    const { pool } = world.stores;
    const tick = async (): Promise<unknown[]> => {
      await scheduleDueTasks(pool, { admit: async () => await Promise.resolve(0) }, world.tasks.deps.logger);
      const { rows } = await pool.query(
        `select reason, missed_slots from tasks where computation_id = $1 and kind = 'run' and id > $2 order by id`,
        [synced.computationId, synced.syncId],
      );
      return rows;
    };
    await pause(synced);
    await pool.query(
      `update computations set next_slot_at = now() - interval '3 hours 10 minutes', next_run_at = now() - interval '3 hours 10 minutes'
       where id = $1`,
      [synced.computationId],
    );
    expect(await tick()).toEqual([]);
    await resume(synced);
    expect(await tick()).toEqual([{ reason: 'scheduled', missed_slots: 3 }]);
    expect(await tick()).toHaveLength(1);
  });

  test('and the end of a task at the same moment leave the task whole', async () => {
    for (let round = 0; round < 5; round++) {
      const synced = await world.addSynced(2);
      await world.reach(synced.syncId);
      await world.tasks.step(synced.syncId, 1, 'deliver');
      await world.tasks.step(synced.syncId, 1, 'reconcile');
      const [, finished] = await Promise.all([pause(synced), world.tasks.step(synced.syncId, 1, 'finish')]);
      expect(finished).toEqual([]);
      expect(await world.statusOf(synced.syncId)).toBe('succeeded');
      expect(await world.connection(synced)).toMatchObject({ synced: true });
      await resume(synced);
    }
  });
});

describe('a run that someone asks for', () => {
  test('is written with its reason, and refused while one is open', async () => {
    const synced = await world.addSynced(2);
    for (const reason of ['run_now', 'backfill'] as const) {
      const taskId = await world.control((tx) => forceRun(tx, synced.address, { actor: ANN, reason }));
      expect(await world.refusal((tx) => forceRun(tx, synced.address, { actor: ANN, reason }))).toMatchObject({
        kind: 'conflict',
        code: 'run_open',
        data: { taskId },
      });
      await world.tasks.execute(taskId);
      expect(await world.statusOf(taskId)).toBe('succeeded');
    }
    expect((await world.trail(synced, 'Audience Run Forced')).map(({ details }) => details)).toEqual([
      { reason: 'run_now' },
      { reason: 'backfill' },
    ]);
  });

  test('is the run that a new or an edited computation is due for, and leaves a slot that has come', async () => {
    const synced = await world.addSynced(1);
    const due = async (times: { run: string; slot: string }): Promise<boolean> => {
      await world.stores.pool.query(
        `update computations set next_run_at = now() + $2::interval, next_slot_at = now() + $3::interval where id = $1`,
        [synced.computationId, times.run, times.slot],
      );
      const taskId = await world.control((tx) => forceRun(tx, synced.address, { actor: ANN, reason: 'run_now' }));
      await world.tasks.execute(taskId);
      const { rows } = await world.stores.pool.query<{ due: boolean }>(
        `select next_run_at <= now() as due from computations where id = $1`,
        [synced.computationId],
      );
      return rows[0]?.due ?? false;
    };
    expect(await due({ run: '-1 second', slot: '1 hour' })).toBe(false);
    expect(await due({ run: '-1 second', slot: '-2 seconds' })).toBe(true);
    expect(await due({ run: '2 hours', slot: '1 hour' })).toBe(false);
  });

  test('is refused while it is paused or disabled, each by its own code', async () => {
    const synced = await world.addSynced(1);
    await pause(synced);
    const ask = async () =>
      await world.refusal((tx) => forceRun(tx, synced.address, { actor: ANN, reason: 'run_now' }));
    expect(await ask()).toMatchObject({ kind: 'conflict', code: 'computation_paused' });
    await resume(synced);
    await world.stores.pool.query('update computations set enabled = false where id = $1', [synced.computationId]);
    expect(await ask()).toMatchObject({ kind: 'conflict', code: 'computation_disabled' });
  });
});
