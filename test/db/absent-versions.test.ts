import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import {
  addAudience,
  addPeople,
  addRun,
  connectWebhook,
  createWorld,
  readTaskRows,
  type World,
} from '../helpers/world.ts';
import { tasksOn, type Tasks } from './tasks-world.ts';

let stores: TestStores;
let tasks: Tasks;
let receiver: Receiver;
let world: World;

beforeAll(async () => {
  stores = await createTestStores();
  receiver = await startReceiver();
  tasks = tasksOn(stores.pool, stores.clickhouse);
});
beforeEach(async () => {
  world = await createWorld(stores.pool);
  receiver.requests.length = 0;
});
afterAll(async () => {
  await receiver?.close();
  await stores?.close();
});

const QUERIES = { audience: "event('Visited').count() >= 1", computed_trait: "event('Visited').last(property('n'))" };

/** Takes a computation's versions from ClickHouse, as a replica would that is behind. */
async function loseVersions(kind: keyof typeof QUERIES, computationId: string): Promise<void> {
  const table = kind === 'audience' ? 'audience_versions' : 'trait_versions';
  await stores.clickhouse.command({
    query: `DELETE FROM ${table} WHERE computation_id = {id:String}`,
    query_params: { id: computationId },
    clickhouse_settings: { lightweight_deletes_sync: '2' },
  });
}

describe.each(['audience', 'computed_trait'] as const)('a version of an %s that is not there', (kind) => {
  async function live(): Promise<{ id: string; syncId: string }> {
    await addPeople(stores.clickhouse, world, 5);
    const id = await addAudience(stores.pool, world, QUERIES[kind], { key: 'everybody', kind });
    await connectWebhook(stores.pool, world, id, receiver.url);
    const [syncId = ''] = await tasks.execute(await addRun(stores.pool, world, id));
    return { id, syncId };
  }

  test('is not sent as an empty one', async () => {
    const { id, syncId } = await live();
    await tasks.execute(syncId);
    const [again = ''] = await tasks.execute(await addRun(stores.pool, world, id));
    await loseVersions(kind, id);
    await tasks.begin(again);
    await tasks.step(again, 1, 'prepare');
    await expect(tasks.step(again, 1, 'extract')).rejects.toMatchObject({ code: 'clickhouse_unavailable' });
  });

  test('is not what a run compares with', async () => {
    const { id } = await live();
    await loseVersions(kind, id);
    const run = await addRun(stores.pool, world, id);
    await tasks.begin(run);
    for (const step of ['pin', 'compute'] as const) await tasks.step(run, 1, step);
    await expect(tasks.step(run, 1, 'diff')).rejects.toMatchObject({ code: 'clickhouse_unavailable' });
  });

  test('is not what a definition refers to', async () => {
    const { id } = await live();
    const referring = await addAudience(stores.pool, world, "trait('everybody').exists()", { key: 'referring' });
    await loseVersions(kind, id);
    const run = await addRun(stores.pool, world, referring);
    await tasks.begin(run);
    await tasks.step(run, 1, 'pin');
    await expect(tasks.step(run, 1, 'compute')).rejects.toMatchObject({ code: 'clickhouse_unavailable' });
  });

  test('is another than one that is empty', async () => {
    const id = await addAudience(stores.pool, world, QUERIES[kind], { key: 'nobody', kind });
    for (let round = 0; round < 2; round++) await tasks.execute(await addRun(stores.pool, world, id));
  });
});

test('a run that would remove many values of a computed trait stops and asks', async () => {
  await addPeople(stores.clickhouse, world, 150);
  const id = await addAudience(stores.pool, world, QUERIES.computed_trait, { key: 'last_n', kind: 'computed_trait' });
  await tasks.execute(await addRun(stores.pool, world, id));
  await stores.pool.query(
    `update computations set definition_query = replace(definition_query, '''n''', '''gone''') where id = $1`,
    [id],
  );
  const run = await addRun(stores.pool, world, id);
  await tasks.begin(run);
  for (const step of ['pin', 'compute', 'diff', 'guard'] as const) await tasks.step(run, 1, step);
  expect((await readTaskRows(stores.pool, run)).status).toBe('awaiting_approval');
  const { rows } = await stores.pool.query<{ type: string }>(
    `select type from audit_events where task_id = $1 and type like '%Approval'`,
    [run],
  );
  expect(rows).toEqual([{ type: 'Computed Trait Run Awaiting Approval' }]);
});
