import { afterAll, beforeAll, expect, test } from 'vitest';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createApiWorld, type ApiWorld } from '../api/api-world.ts';
import { eventually } from '../helpers/world.ts';
import { addSync } from './tasks-world.ts';

let api: ApiWorld;

beforeAll(async () => {
  api = await createApiWorld();
});
afterAll(async () => {
  await api?.close();
});

/** Resolves when a statement of ours waits for a lock. */
async function somebodyWaits(): Promise<void> {
  await eventually(
    async () => {
      const { rows } = await api.pool.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rows.length > 0 ? true : null;
    },
    { what: 'waiting for a lock' },
  );
}

// A step locks its task first and then what it writes to, the live version or the connection. Who takes these in the other
// order can be waiting for a step that waits for them; PostgreSQL then ends one of both, and that may be the person's request.
test.each(['disconnect', 'delete'] as const)('a %s that comes while a step commits waits for it', async (what) => {
  const { workspaceId, spaceId, owner } = api.ours;
  const sync = await addSync(api.pool, { workspaceId, spaceId, actor: SYSTEM_ACTOR });
  const path = `/spaces/${spaceId}/audiences/${sync.computationId}`;
  let answer: ReturnType<ApiWorld['send']> | undefined;
  await inTransaction(api.pool, async (step) => {
    await step.query('select from tasks where id = $1 for update', [sync.taskId]);
    answer = api.send('DELETE', what === 'delete' ? path : `${path}/destinations/${sync.destinationId}`, {
      token: owner,
    });
    await somebodyWaits();
    await step.query('update connections set synced_version = 1 where id = $1', [sync.connectionId]);
    await step.query('update computations set live_version = 1 where id = $1', [sync.computationId]);
  });
  expect((await answer)?.status).toBe(200);
  const { rows } = await api.pool.query('select status from tasks where id = $1', [sync.taskId]);
  expect(rows).toEqual([{ status: 'cancelled' }]);
});
