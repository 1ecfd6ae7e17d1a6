import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createActivities } from '../activities/index.ts';
import { createSpace, createWorkspace } from '../src/access/index.ts';
import { SYSTEM_ACTOR } from '../src/audit/index.ts';
import { createComputation } from '../src/computations/index.ts';
import { computeVersion, diffVersions, nextVersion } from '../src/compute/index.ts';
import { createWorkers, runWorkers } from '../src/bin/workers.ts';
import { createDestinationDeps } from '../src/destinations/index.ts';
import { createLogger } from '../src/logger.ts';
import { createOutgoingAgent, createSecretBox } from '../src/security/index.ts';
import { inTransaction } from '../src/store/index.ts';
import {
  createAdmitter,
  createSharedSlots,
  createTask,
  createTaskStarter,
  DEFAULT_BACKOFF,
  taskQueues,
} from '../src/tasks/index.ts';
import { startBenchEngines, type BenchEngines, type TemporalKind } from './engines.ts';
import { median, type Figure } from './figure.ts';

const BARE_QUEUE = 'bare';
// As a worker has them where nothing is set.
const SLOTS = { workflows: 12, compute: 6, deliver: 30, alerts: 6 };
const TASKS = 60;
const START_LANES = 20;
const RUNS = 7;
const PEOPLE = 2_000;
const QUERY = "event('Visited').where(property('n') <= 1000).count() >= 1";

/** On the development server, which is what `trailmark start` runs. */
export async function tasks(): Promise<Figure> {
  return await measure('tasks', 'development');
}

/** On the real server over PostgreSQL. */
export async function tasksOnPostgres(): Promise<Figure> {
  return await measure('tasks-postgres', 'postgres');
}

/**
 * Engine tasks per second (runs of audiences, from writing the task to the end of its workflow) against bare Temporal workflows
 * with the same two remote activities, in the same process, in turn. To reach: a ratio of at least 0.8.
 */
async function measure(name: string, temporalKind: TemporalKind): Promise<Figure> {
  const engines = await startBenchEngines(temporalKind);
  installRuntime();
  const connection = await Connection.connect({ address: engines.temporalAddress });
  const nativeConnection = await NativeConnection.connect({ address: engines.temporalAddress });
  try {
    const world = await makeWorld(engines);
    const temporal = new Client({ connection });
    const secretBox = createSecretBox('a secret of a benchmark, longer than 32');
    const startTask = createTaskStarter({ pool: engines.pool, temporal, heartbeatTimeoutMs: 30_000 });
    const logger = createLogger({ level: 'silent', program: 'bench' });
    const workflowBundle = await bundle();
    const workers = await createWorkers({
      connection: nativeConnection,
      queues: taskQueues(),
      serve: ['workflows', 'compute'],
      slots: SLOTS,
      workflows: { workflowBundle },
      graceMs: 0,
      activities: createActivities({
        tasks: {
          pool: engines.pool,
          clickhouse: engines.clickhouse,
          destinations: createDestinationDeps({ secretBox, allowPrivateAddresses: true }),
          logger,
          backoff: DEFAULT_BACKOFF,
        },
        channels: { pool: engines.pool, secretBox, dispatcher: createOutgoingAgent({ allowPrivateAddresses: true }) },
        temporal,
        slots: createSharedSlots(SLOTS),
        startTask,
        admitter: createAdmitter({ pool: engines.pool, startTask, logger, maxInFlight: TASKS }),
      }),
    });
    // What someone has who changes nothing: one queue, and the SDK's own numbers.
    const bareWorker = await Worker.create({
      connection: nativeConnection,
      taskQueue: BARE_QUEUE,
      workflowBundle,
      maxCachedWorkflows: 500,
      activities: bareActivities(engines, world.spaceId),
    });
    const ours: number[] = [];
    const bare: number[] = [];
    const measured = async (): Promise<void> => {
      // The first round warms caches and pools of both, and is not counted.
      for (let round = 0; round <= RUNS; round++) {
        const bareRate = await rate(async () => {
          await startInLanes(world.computationIds, async (id, index) => {
            await temporal.workflow.start('bareTask', {
              taskQueue: BARE_QUEUE,
              workflowId: `bare-${round}-${index}`,
              args: [id],
            });
          });
          await Promise.all(
            world.computationIds.map(
              async (_, index) => await temporal.workflow.getHandle(`bare-${round}-${index}`).result(),
            ),
          );
        });
        const ourRate = await rate(async () => {
          const taskIds = await writeTasks(engines, world);
          await startInLanes(taskIds, startTask);
          await Promise.all(
            taskIds.map(async (id) => {
              const outcome: unknown = await temporal.workflow.getHandle(`task/${id}`).result();
              if (outcome !== 'succeeded') throw new Error(`task ${id} ended ${String(outcome)}`);
            }),
          );
        });
        if (round === 0) continue;
        bare.push(bareRate);
        ours.push(ourRate);
      }
    };
    const stop = new AbortController();
    const running = [runWorkers(workers, stop.signal), runWorkers([bareWorker], stop.signal)];
    try {
      await Promise.race([measured(), ...running]);
    } finally {
      stop.abort();
      await Promise.allSettled(running);
    }
    return {
      name,
      unit: 'tasks/s',
      ours: median(ours),
      reference: median(bare),
      ratio: median(ours.map((value, index) => value / (bare[index] ?? Number.NaN))),
      runs: RUNS,
    };
  } finally {
    await nativeConnection.close();
    await connection.close();
    await engines.stop();
  }
}

let runtimeInstalled = false;

/** Once in a process, which may take both figures. */
function installRuntime(): void {
  if (!runtimeInstalled) Runtime.install({ logger: new DefaultLogger('ERROR') });
  runtimeInstalled = true;
}

/** Twenty at once, as whoever admits tasks starts them. */
async function startInLanes(
  ids: readonly string[],
  start: (id: string, index: number) => Promise<void>,
): Promise<void> {
  const waiting = ids.entries();
  const lane = async (): Promise<void> => {
    for (const [index, id] of waiting) await start(id, index);
  };
  await Promise.all(Array.from({ length: START_LANES }, lane));
}

async function rate(work: () => Promise<void>): Promise<number> {
  const from = performance.now();
  await work();
  return TASKS / ((performance.now() - from) / 1_000);
}

interface BenchWorld {
  workspaceId: string;
  spaceId: string;
  computationIds: string[];
}

async function makeWorld({ pool, clickhouse }: BenchEngines): Promise<BenchWorld> {
  const world = await inTransaction(pool, async (tx) => {
    const workspace = await createWorkspace(tx, {
      slug: 'bench',
      name: 'Bench',
      plan: 'business',
      actor: SYSTEM_ACTOR,
    });
    const space = await createSpace(tx, { workspaceId: workspace.id, slug: 'b', name: 'B', actor: SYSTEM_ACTOR });
    const computationIds: string[] = [];
    for (let index = 0; index < TASKS; index++) {
      const row = await createComputation(
        tx,
        {
          workspaceId: workspace.id,
          spaceId: space.id,
          kind: 'audience',
          name: `Audience ${index}`,
          definition: { type: 'USERS', query: QUERY },
          schedule: { intervalSeconds: 86_400 },
        },
        SYSTEM_ACTOR,
      );
      computationIds.push(row.id);
    }
    return { workspaceId: workspace.id, spaceId: space.id, computationIds };
  });
  await clickhouse.command({
    query: `INSERT INTO profiles SELECT {space:String}, number + 1, concat('user-', toString(number)), '', 0, 1
            FROM numbers({people:UInt32})`,
    query_params: { space: world.spaceId, people: PEOPLE },
  });
  await clickhouse.command({
    query: `INSERT INTO events (space_id, type, event, profile, timestamp, received_at, source_id, message_id, properties, context)
            SELECT {space:String}, 'track', 'Visited', number + 1, now64(3) - INTERVAL 1 HOUR, now64(3), 's',
              toString(number), concat('{"n":', toString(number), '}'), '{}' FROM numbers({people:UInt32})`,
    query_params: { space: world.spaceId, people: PEOPLE },
  });
  return world;
}

async function writeTasks({ pool }: BenchEngines, world: BenchWorld): Promise<string[]> {
  return await inTransaction(pool, async (tx) => {
    const ids: string[] = [];
    for (const computationId of world.computationIds) {
      const { workspaceId, spaceId } = world;
      const id = await createTask(tx, { workspaceId, spaceId, computationId, kind: 'run', reason: 'scheduled' });
      if (id === null) throw new Error(`a run of ${computationId} is open`);
      ids.push(id);
    }
    return ids;
  });
}

function bareActivities({ pool, clickhouse }: BenchEngines, spaceId: string) {
  return {
    async bareCompute(computationId: string): Promise<number> {
      const version = await nextVersion(pool);
      await computeVersion(
        { clickhouse },
        {
          computationId,
          kind: 'audience',
          spaceId,
          definitionQuery: QUERY,
          asOf: new Date(),
          traits: () => ({ from: 'profile' }),
        },
        version,
      );
      return version;
    },
    async bareDiff(computationId: string, version: number): Promise<void> {
      await diffVersions({ clickhouse }, { id: computationId, spaceId, kind: 'audience' }, null, version);
    },
  };
}

async function bundle(): Promise<{ code: string }> {
  // Beside this file as it runs: .js from dist, .ts from the sources.
  const base = new URL('bare-workflows', import.meta.url);
  const path = ['.js', '.ts'].map((ending) => fileURLToPath(`${base.href}${ending}`)).find((file) => existsSync(file));
  const silent = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };
  return await bundleWorkflowCode({ workflowsPath: path ?? '', logger: silent });
}
