import { Client, Connection } from '@temporalio/client';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSpace, createWorkspace } from '../src/access/index.ts';
import { SYSTEM_ACTOR } from '../src/audit/index.ts';
import { createComputation, takeEarlyRun } from '../src/computations/index.ts';
import { connectComputation } from '../src/connections/index.ts';
import { createDestination, createDestinationDeps, type JsonObject } from '../src/destinations/index.ts';
import { createSecretBox } from '../src/security/index.ts';
import { inTransaction } from '../src/store/index.ts';
import {
  cancelTask,
  createTask,
  createTaskStarter,
  createTaskWaker,
  type TaskStarter,
  type TaskWaker,
} from '../src/tasks/index.ts';
import { startBenchEngines, type BenchEngines } from './engines.ts';
import { median, rounded, type Figure } from './figure.ts';
import { startWorker, stopChild } from './worker-process.ts';

/** So many destinations of one workspace: more than a worker sends to at once. */
const DESTINATIONS = 40;
const PEOPLE = 1_000;
const RUNS = 5;
const TIMEOUT_MS = 180_000;
const SECRET = 'a secret of a benchmark, longer than 32';
const deps = createDestinationDeps({ secretBox: createSecretBox(SECRET), allowPrivateAddresses: true });

/** How a workspace's tools and mappings do harm. Each is let go on for `settleMs` before others are looked at. */
const HARMS = {
  'that are refused, and told "again at once"': { mapping: {}, settleMs: 1_500 },
  'whose every answer takes 8 s': { mapping: {}, settleMs: 3_000 },
  // 0.1 s for each person and more: it is ended before it has an end.
  'whose mappings compute without an end': {
    mapping: { data: endlessData() },
    settleMs: 3_000,
  },
} as const;
type Harm = keyof typeof HARMS;

/**
 * Milliseconds from starting a run to the end of its sync, in a workspace with a tool that takes everything, while another workspace
 * has forty syncs that do harm; against the same alone, in turn. By the real worker program. The figure is that of the worst harm; the
 * others are among the notes. To reach: a ratio of at most 1.5.
 */
export async function neighbours(): Promise<Figure> {
  const engines = await startBenchEngines();
  const tool = await startTool();
  const worker = startWorker(engines, SECRET);
  const connection = await Connection.connect({ address: engines.temporalAddress });
  try {
    const temporal = new Client({ connection });
    const startTask = createTaskStarter({ pool: engines.pool, temporal, heartbeatTimeoutMs: 30_000 });
    const bench: Bench = { engines, tool, startTask, wake: createTaskWaker(temporal) };
    const measured: { harm: string; ours: number; reference: number; ratio: number; slowest: number }[] = [];
    for (const harm of Object.keys(HARMS) as Harm[]) {
      const figures = { harm, ...(await measure(bench, harm)) };
      console.error(`beside syncs ${harm}: ${rounded(figures.ours)} ms, alone ${rounded(figures.reference)} ms`);
      measured.push(figures);
    }
    const worst = measured.toSorted((a, b) => b.ratio - a.ratio)[0] ?? { ours: 0, reference: 0, ratio: 0 };
    return {
      name: 'neighbours',
      unit: 'ms',
      ours: worst.ours,
      reference: worst.reference,
      ratio: worst.ratio,
      runs: RUNS,
      notes: Object.fromEntries(
        measured.map(({ harm, ours, reference, ratio, slowest }) => [
          `beside ${DESTINATIONS} syncs ${harm}`,
          `${Math.round(ours)} ms, alone ${Math.round(reference)} ms, ratio ${rounded(ratio)}; slowest ${Math.round(slowest)} ms`,
        ]),
      ),
    };
  } finally {
    await stopChild(worker);
    await connection.close();
    await tool.close();
    await engines.stop();
  }
}

async function measure(
  bench: Bench,
  harm: Harm,
): Promise<{ ours: number; reference: number; ratio: number; slowest: number }> {
  const { tool, startTask } = bench;
  const { mapping, settleMs } = HARMS[harm];
  const kind = Object.keys(HARMS).indexOf(harm);
  const measureOthers = async (name: string): Promise<number[]> => {
    const times: number[] = [];
    for (let at = 0; at < RUNS; at++)
      times.push(await runOne(bench, await makeAudience(bench, `${name}-${kind}-${at}`, 1)));
    return times;
  };
  // The first one warms caches and connections, and is not counted.
  await runOne(bench, await makeAudience(bench, `warm-${kind}`, 1));
  const alone = await measureOthers('alone');
  tool.harm = harm;
  const hostile = await makeAudience(bench, `hostile-${kind}`, DESTINATIONS, mapping);
  await startTask(hostile.runId);
  // What they make ready costs what anybody's costs; what is looked at is what comes after.
  await until('its deliveries', async () => (await preparedSyncs(bench, hostile.runId)) >= DESTINATIONS);
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  const ours = await measureOthers('meanwhile');
  const left = await openTasks(bench);
  tool.harm = null;
  await cancelAll(bench);
  if (left === 0) throw new Error(`nothing was under way any more beside syncs ${harm}`);
  return {
    ours: median(ours),
    reference: median(alone),
    ratio: median(ours) / median(alone),
    slowest: Math.max(...ours),
  };
}

/** Ten texts that double again and again, and then are read. */
function endlessData(): JsonObject {
  const doubled = '{% assign a = a | append: a %}'.repeat(14);
  const text = `{% assign a = "xxxxxxxx" %}${doubled}{{ a | replace: "x", "yy" | upcase | size }}`;
  return Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`text_${at}`, { '@liquid': text }]));
}

interface Bench {
  engines: BenchEngines;
  tool: Tool;
  startTask: TaskStarter;
  wake: TaskWaker;
}

interface Tool {
  url: string;
  /** How requests to addresses that begin with `/hostile-` are answered. */
  harm: Harm | null;
  close(): Promise<void>;
}

async function startTool(): Promise<Tool> {
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      const harm = request.url?.startsWith('/hostile-') === true ? tool.harm : null;
      if (harm === 'whose every answer takes 8 s') setTimeout(() => response.end(), 8_000);
      else if (harm === null) response.end();
      else response.writeHead(429, { 'retry-after': '0' }).end('a\0b');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const tool: Tool = {
    url: `http://127.0.0.1:${port}`,
    harm: null,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  return tool;
}

/** A workspace with an audience that is connected to so many webhooks, and a run of it. */
async function makeAudience(
  { engines, tool }: Bench,
  slug: string,
  destinations: number,
  mapping: JsonObject = {},
): Promise<{ runId: string }> {
  const { pool, clickhouse } = engines;
  const actor = SYSTEM_ACTOR;
  const { workspaceId, spaceId } = await inTransaction(pool, async (tx) => {
    const workspace = await createWorkspace(tx, { slug, name: slug, plan: 'business', actor });
    const space = await createSpace(tx, { workspaceId: workspace.id, slug: 'b', name: 'B', actor });
    return { workspaceId: workspace.id, spaceId: space.id };
  });
  const params = { query_params: { space: spaceId, people: PEOPLE } };
  await clickhouse.command({
    query: `INSERT INTO profiles SELECT {space:String}, number + 1, concat('user-', toString(number)), '', 0, 1
            FROM numbers({people:UInt32})`,
    ...params,
  });
  await clickhouse.command({
    query: `INSERT INTO events (space_id, type, event, profile, timestamp, received_at, source_id, message_id, properties, context)
            SELECT {space:String}, 'track', 'Visited', number + 1, now64(3) - INTERVAL 1 HOUR, now64(3), 'src_bench',
                   concat('m-', toString(number)), '{}', '{}'
            FROM numbers({people:UInt32})`,
    ...params,
  });
  // The run is written with its audience, which is due for no other: the scheduler would make one of its own.
  const runId = await inTransaction(pool, async (tx) => {
    const { id: computationId } = await createComputation(
      tx,
      {
        workspaceId,
        spaceId,
        kind: 'audience',
        name: 'Everybody',
        definition: { type: 'USERS', query: "event('Visited').count() >= 1" },
        schedule: { intervalSeconds: 86_400 },
      },
      actor,
    );
    for (let at = 0; at < destinations; at++) {
      const url = `${tool.url}/${slug}-${at}`;
      const destination = await createDestination(tx, deps, {
        workspaceId,
        spaceId,
        actor,
        slug: 'webhook',
        name: `Tool ${at}`,
        subscriptions: [{ mapping: { url, ...mapping } }],
      });
      await connectComputation(tx, deps, { workspaceId, computationId, destinationId: destination.id, actor });
    }
    await takeEarlyRun(tx, computationId);
    return await createTask(tx, { workspaceId, spaceId, computationId, kind: 'run', reason: 'scheduled' });
  });
  if (runId === null) throw new Error(`a run of ${slug} is open`);
  return { runId };
}

/** Executes a run and the sync that it makes, each at the first attempt, and says how long that took, in milliseconds. */
async function runOne(bench: Bench, { runId }: { runId: string }): Promise<number> {
  const from = performance.now();
  await bench.startTask(runId);
  await until(
    `the sync of ${runId}`,
    async () => {
      const { rows } = await bench.engines.pool.query<{ status: string; attempt: number }>(
        'select status, attempt from tasks where parent_task_id = $1 and ended_at is not null',
        [runId],
      );
      const [sync] = rows;
      if (sync === undefined) return false;
      if (sync.status === 'succeeded' && sync.attempt === 1) return true;
      throw new Error(`the sync of ${runId} is ${sync.status} at attempt ${sync.attempt}`);
    },
    10,
  );
  return performance.now() - from;
}

/** Ends the syncs that do harm. */
async function cancelAll(bench: Bench): Promise<void> {
  const { pool } = bench.engines;
  const { rows } = await pool.query<{ id: string; workspaceId: string }>(
    'select id, workspace_id as "workspaceId" from tasks where ended_at is null',
  );
  for (const { id, workspaceId } of rows) {
    await inTransaction(
      pool,
      async (tx) => await cancelTask(tx, { workspaceId, taskId: id }, { actor: SYSTEM_ACTOR }),
    ).catch((error: unknown) => {
      // It may have ended by itself.
      if ((error as { code?: string }).code !== 'task_ended') throw error;
    });
    await bench.wake(id);
  }
  await until('the end of all', async () => (await openTasks(bench)) === 0);
  // What is cancelled lets go of its worker within a second or two.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
}

/** How many syncs of a run have frozen what they send. */
async function preparedSyncs({ engines }: Bench, runId: string): Promise<number> {
  const { rowCount } = await engines.pool.query(
    `select from tasks t join steps s on s.task_id = t.id
     where t.parent_task_id = $1 and s.name = 'extract' and s.completed_at is not null`,
    [runId],
  );
  return rowCount ?? 0;
}

async function openTasks({ engines }: Bench): Promise<number> {
  const { rowCount } = await engines.pool.query('select from tasks where ended_at is null');
  return rowCount ?? 0;
}

async function until(what: string, check: () => Promise<boolean>, everyMs = 250): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${TIMEOUT_MS / 1_000} s`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
