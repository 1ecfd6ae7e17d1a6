import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deployBuild, listBuilds } from '../../src/bin/deployment.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { createNamespace } from '../helpers/program.ts';
import { startTestWorker, type TestWorker } from '../helpers/worker.ts';
import { addAudience, addRun, createWorld, eventually, type World } from '../helpers/world.ts';

const namespace = `worker-versions-${Date.now()}`;

let stores: TestStores;
let world: World;
const workers = new Map<string, TestWorker>();
let keys = 0;

beforeAll(async () => {
  stores = await createTestStores();
  await createNamespace(stores.temporalAddress, namespace);
  world = await createWorld(stores.pool);
});
afterAll(async () => {
  await Promise.all([...workers.values()].map(async (worker) => await worker.close()));
  await stores?.close();
});

async function startBuild(
  buildId: string,
  options: Partial<Parameters<typeof startTestWorker>[0]> = {},
): Promise<TestWorker> {
  const worker = await startTestWorker({ ...stores, taskQueue: 'versions', namespace, buildId, ...options });
  workers.set(buildId, worker);
  return worker;
}

/** Deploys a build that has just been started: Temporal hears of its queues one by one. */
async function deploy(worker: TestWorker, build: Parameters<typeof deployBuild>[1]): Promise<void> {
  await eventually(
    async () =>
      await deployBuild(worker.client, build).then(
        () => true,
        () => null,
      ),
    { what: `the deployment of ${build.buildId}` },
  );
}

async function addTask(): Promise<{ taskId: string; computationId: string }> {
  const query = "event('Visited').count() >= 1";
  const computationId = await addAudience(stores.pool, world, query, { key: `audience_${++keys}` });
  return { taskId: await addRun(stores.pool, world, computationId), computationId };
}

/** The builds whose workers took the task's workflow tasks, in order. */
async function buildsOf(worker: TestWorker, taskId: string): Promise<string[]> {
  const { events } = await worker.client.workflow.getHandle(`task/${taskId}`).fetchHistory();
  const builds = (events ?? []).flatMap(
    (event) => event.workflowTaskCompletedEventAttributes?.deploymentVersion?.buildId ?? [],
  );
  return builds.filter((build, index) => build !== builds[index - 1]);
}

async function setPaused(computationId: string, paused: boolean): Promise<void> {
  await stores.pool.query('update computations set paused_at = case when $2 then now() end where id = $1', [
    computationId,
    paused,
  ]);
}

describe('builds of the workers', () => {
  test('take work when they are deployed, and what is under way with it', async () => {
    const one = await startBuild('one');
    await deploy(one, { buildId: 'one' });
    const first = await addTask();
    expect(await one.execute(first.taskId)).toBe('succeeded');
    expect(await buildsOf(one, first.taskId)).toEqual(['one']);

    const held = await addTask();
    await setPaused(held.computationId, true);
    await one.start(held.taskId);
    await eventually(async () => ((await buildsOf(one, held.taskId)).length === 1 ? true : null), {
      what: 'a task that is held back',
    });

    const two = await startBuild('two');
    await eventually(async () => (await listBuilds(two.client)).find(({ buildId }) => buildId === 'two'), {
      what: 'the second build',
    });
    const before = await addTask();
    expect(await two.execute(before.taskId), 'a build that is not deployed takes nothing').toBe('succeeded');
    expect(await buildsOf(two, before.taskId)).toEqual(['one']);

    await deploy(two, { buildId: 'two' });
    // Nothing is pinned to it: the old build can go at once.
    await one.close();
    workers.delete('one');
    const after = await addTask();
    expect(await two.execute(after.taskId)).toBe('succeeded');
    expect(await buildsOf(two, after.taskId)).toEqual(['two']);
    await setPaused(held.computationId, false);
    await two.wake(held.taskId);
    expect(await two.client.workflow.getHandle(`task/${held.taskId}`).result()).toBe('succeeded');
    expect(await buildsOf(two, held.taskId)).toEqual(['one', 'two']);
  });

  test('can be given a share first, and that can be taken back', async () => {
    const two = workers.get('two');
    if (two === undefined) throw new Error('the second build does not run');
    const three = await startBuild('three');
    await deploy(three, { buildId: 'three', rampPercent: 100 });
    expect(await listBuilds(three.client)).toEqual(
      expect.arrayContaining([
        { buildId: 'two', status: 'current', rampPercent: null },
        { buildId: 'three', status: 'ramping', rampPercent: 100 },
      ]),
    );
    const all = await addTask();
    expect(await three.execute(all.taskId)).toBe('succeeded');
    expect(await buildsOf(three, all.taskId)).toEqual(['three']);
    await deploy(three, { buildId: 'three', rampPercent: 0 });
    const none = await addTask();
    expect(await three.execute(none.taskId)).toBe('succeeded');
    expect(await buildsOf(three, none.taskId)).toEqual(['two']);
  });

  test('are refused where no worker runs them, or not every queue would be served', async () => {
    const two = workers.get('two');
    if (two === undefined) throw new Error('the second build does not run');
    await expect(deployBuild(two.client, { buildId: 'never-built' })).rejects.toMatchObject({
      code: 'build_not_found',
      message: expect.stringContaining('TRAILMARK_BUILD_ID=never-built'),
    });
    await startBuild('half', { serve: ['workflows', 'alerts'] });
    await eventually(async () => (await listBuilds(two.client)).find(({ buildId }) => buildId === 'half'), {
      what: 'the build that serves half of it',
    });
    await expect(deployBuild(two.client, { buildId: 'half' })).rejects.toMatchObject({
      code: 'build_not_ready',
      message: expect.stringMatching(/missing .*queues.* Start workers of it that serve every queue/),
    });
  });
});
