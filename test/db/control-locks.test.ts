import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction } from '../../src/store/index.ts';
import { cancelOpenTasks, createTask } from '../../src/tasks/index.ts';
import { addRun, eventually } from '../helpers/world.ts';
import { createControlWorld, type ControlWorld } from './control-world.ts';

let world: ControlWorld;

beforeAll(async () => {
  world = await createControlWorld();
});
afterAll(async () => {
  await world?.close();
});

/** Resolves when a statement of ours waits for a lock. */
async function somebodyWaits(): Promise<void> {
  await eventually(
    async () => {
      const { rowCount } = await world.stores.pool.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rowCount === 0 ? null : true;
    },
    { what: 'waiting for a lock' },
  );
}

// A run's commit locks its computation, and then looks whether each of its syncs is open: one whose end is about to be committed
// it waits for. So whoever ends a sync must not wait for the computation with the end in hand.
test.each(['fails for good', 'succeeds'] as const)('a sync that %s while a run commits waits for it', async (how) => {
  const synced = await world.addSynced(2);
  await world.reach(synced.syncId);
  if (how === 'succeeds') {
    await world.tasks.step(synced.syncId, 1, 'deliver');
    await world.tasks.step(synced.syncId, 1, 'reconcile');
  }
  const { workspaceId, spaceId } = synced.world;
  const { computationId, connectionId } = synced;
  const { pool } = world.stores;
  const { ending } = await inTransaction(pool, async (commit) => {
    await commit.query('update computations set live_version = live_version + 1 where id = $1', [computationId]);
    const end =
      how === 'succeeds'
        ? world.tasks.step(synced.syncId, 1, 'finish')
        : world.tasks.fail(synced.syncId, 1, 'destination_credentials_rejected');
    const settled = end.then(
      () => 'ended',
      (error: unknown) => error,
    );
    await somebodyWaits();
    const fanOut = { workspaceId, spaceId, computationId, connectionId, kind: 'sync', reason: 'fan_out' } as const;
    expect(await createTask(commit, fanOut)).toBeNull();
    return { ending: settled };
  });
  expect(await ending).toBe('ended');
  expect(await world.statusOf(synced.syncId)).toBe(how === 'succeeds' ? 'succeeded' : 'failed');
});

test('a deletion that comes while a run commits waits for it', async () => {
  const synced = await world.addSynced(2);
  const { workspaceId, spaceId } = synced.world;
  const { computationId, connectionId } = synced;
  const { pool } = world.stores;
  const runId = await addRun(pool, synced.world, computationId);
  const { deleting } = await inTransaction(pool, async (commit) => {
    await commit.query('select from tasks where id = $1 for update', [runId]);
    await commit.query('update computations set live_version = live_version + 1 where id = $1', [computationId]);
    const deletion = world.control(async (tx) => {
      const cancelled = await cancelOpenTasks(tx, { computationId });
      await tx.query('update computations set deleted_at = now() where id = $1', [computationId]);
      return cancelled;
    });
    const settled = deletion.catch((error: unknown) => error);
    await somebodyWaits();
    const fanOut = { workspaceId, spaceId, computationId, connectionId, kind: 'sync', reason: 'fan_out' } as const;
    expect(await createTask(commit, fanOut)).toBeNull();
    return { deleting: settled };
  });
  expect(await deleting).toEqual([synced.syncId, runId]);
});
