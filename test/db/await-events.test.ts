import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { createLoader, loaderWatermark, type Loader } from '../../src/pipeline/index.ts';
import { readTask, StepWaits } from '../../src/tasks/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { addAudience, addRun } from '../helpers/world.ts';
import { createPipelineWorld, send, silent, type PipelineWorld } from './pipeline-world.ts';
import { tasksOn, type Tasks } from './tasks-world.ts';

let stores: TestStores;
let tasks: Tasks;
let loader: Loader;
let world: PipelineWorld & { actor: typeof SYSTEM_ACTOR };

beforeAll(async () => {
  stores = await createTestStores();
  tasks = tasksOn(stores.pool, stores.clickhouse);
  loader = createLoader({ ...stores, logger: silent }, { pollMs: 1 });
});
beforeEach(async () => {
  await loader.loadOnce();
  world = { ...(await createPipelineWorld(stores.pool)), actor: SYSTEM_ACTOR };
  tasks.deps.waitForEventsMs = 60_000;
});
afterAll(async () => {
  await stores?.close();
});

const visit = async (userId: string) => await send(stores.pool, world, [{ type: 'track', event: 'Visited', userId }]);

/** A run that has pinned what it computes. */
async function pinnedRun(): Promise<{ computationId: string; runId: string }> {
  const computationId = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
  const runId = await addRun(stores.pool, world, computationId);
  await tasks.begin(runId);
  await tasks.step(runId, 1, 'pin');
  return { computationId, runId };
}

async function outputOf(runId: string, step: string): Promise<Record<string, unknown>> {
  const { rows } = await stores.pool.query<{ output: Record<string, unknown> }>(
    'select output from steps where task_id = $1 and name = $2',
    [runId, step],
  );
  return rows[0]?.output ?? {};
}

test(
  'a run waits until the events that came in before it are loaded, without a worker',
  { timeout: 60_000 },
  async () => {
    await visit('early');
    const { runId } = await pinnedRun();
    await expect(tasks.step(runId, 1, 'compute')).rejects.toBeInstanceOf(StepWaits);
    const waiting = await readTask(stores.pool, { workspaceId: world.workspaceId, taskId: runId });
    expect(waiting).toMatchObject({ waitingFor: 'events', truth: { state: 'waiting_for_events', needsAction: false } });
    await loader.loadOnce();
    await tasks.step(runId, 1, 'compute');
    expect(await outputOf(runId, 'compute')).toMatchObject({ size: 1 });
    expect(await outputOf(runId, 'compute')).not.toHaveProperty('behind');
    const after = await readTask(stores.pool, { workspaceId: world.workspaceId, taskId: runId });
    expect(after).toMatchObject({ waitingFor: null, truth: { state: 'running' } });
  },
);

test('what comes in after the run began is not waited for', { timeout: 60_000 }, async () => {
  const { runId } = await pinnedRun();
  await visit('late');
  await tasks.step(runId, 1, 'compute');
  expect(await outputOf(runId, 'compute')).toMatchObject({ size: 0 });
});

test('where they are not loaded in time, it says until when they are', { timeout: 60_000 }, async () => {
  tasks.deps.waitForEventsMs = 0;
  await visit('never');
  const { until } = await loaderWatermark(stores.pool);
  const { computationId, runId } = await pinnedRun();
  for (const step of ['compute', 'diff', 'guard', 'commit', 'fan_out'] as const) await tasks.step(runId, 1, step);
  const asOf = new Date((until?.getTime() ?? 0) - 1).toISOString();
  const { rows } = await stores.pool.query<{ live_as_of: Date; result: unknown }>(
    `select c.live_as_of, t.result from tasks t join computations c on c.id = t.computation_id where t.id = $1`,
    [runId],
  );
  expect(rows[0]?.live_as_of.toISOString(), computationId).toBe(asOf);
  expect(rows[0]?.result).toMatchObject({ members: 0, asOf, behind: true });
});
