import { Client, Connection } from '@temporalio/client';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { createSpace, createWorkspace } from '../src/access/index.ts';
import { SYSTEM_ACTOR } from '../src/audit/index.ts';
import { createComputation } from '../src/computations/index.ts';
import { nextVersion } from '../src/compute/index.ts';
import { connectComputation } from '../src/connections/index.ts';
import {
  changesPerBatch,
  createDestination,
  createDestinationDeps,
  openDestination,
} from '../src/destinations/index.ts';
import { createSecretBox } from '../src/security/index.ts';
import { inTransaction } from '../src/store/index.ts';
import { createTask, createTaskStarter } from '../src/tasks/index.ts';
import { startBenchEngines, type BenchEngines } from './engines.ts';
import { median, type Figure } from './figure.ts';
import { insertAudienceVersion, insertPeople } from './fill.ts';
import type { ByHandJob, Received } from './sync-process.ts';
import { startWorker, stopChild } from './worker-process.ts';

/** The last is the figure's; the others warm up, and say what memory does. */
const SIZES = [10_000, 100_000, 1_000_000];
const MEMBERS = Math.max(...SIZES);
const RUNS = 5;
const SECRET = 'a secret of a benchmark, longer than 32';

/**
 * Members per second of an audience's first sync to a webhook on this machine, from starting the task to the end of its workflow, by
 * the real worker program. The reference is the script that a person would write who needs the messages sent and nothing else: it
 * selects the members with the same joins, reads them as a stream, makes the same messages, and posts the same batches by undici,
 * one at a time as we do. What both post is compared to the byte. It keeps no baseline and no cursor, so it can't go on where it
 * died nor send a difference, and it asks nobody what a mapping wants. To reach: a ratio of at least 0.7, and memory that does not
 * grow with the audience.
 */
export async function sync(): Promise<Figure> {
  const engines = await startBenchEngines();
  const children: ChildProcess[] = [];
  try {
    return await measure(engines, children);
  } finally {
    for (const child of children) await stopChild(child);
    await engines.stop();
  }
}

async function measure(engines: BenchEngines, children: ChildProcess[]): Promise<Figure> {
  const receiver = startHelper(children, 'receiver');
  const { port } = (await answerOf(receiver)) as { port: number };
  const byHand = startHelper(children, 'by-hand', engines.clickhouseUrl);
  await answerOf(byHand);
  const worker = startWorker(engines, SECRET);
  children.push(worker);
  const connection = await Connection.connect({ address: engines.temporalAddress });
  try {
    const bench: Bench = {
      engines,
      temporal: new Client({ connection }),
      receiver,
      byHand,
      workerEnds: once(worker, 'exit').then(([code]) => `with its worker: ${String(code)}`),
      url: `http://127.0.0.1:${port}/`,
    };
    const world = await makeWorld(engines, MEMBERS);
    const memory: Record<string, string> = {};
    const ours: number[] = [];
    const reference: number[] = [];
    let received: Received = { requests: 0, bytes: 0 };
    for (const members of SIZES) {
      for (let round = 0; round < (members === MEMBERS ? RUNS : 1); round++) {
        const one = await measureOne(bench, world, members);
        received = one.received;
        if (members < MEMBERS) continue;
        ours.push(members / one.ours);
        reference.push(members / one.reference);
      }
      memory[`worker's memory, at most, up to ${members} members`] = `${await peakMemoryMb(worker)} MB`;
    }
    return {
      name: 'sync',
      unit: 'members/s',
      ours: median(ours),
      reference: median(reference),
      ratio: median(ours.map((value, index) => value / (reference[index] ?? Number.NaN))),
      runs: RUNS,
      notes: { members: MEMBERS, requests: received.requests, 'bytes posted': received.bytes, ...memory },
    };
  } finally {
    await connection.close();
  }
}

interface Bench {
  engines: BenchEngines;
  temporal: Client;
  receiver: ChildProcess;
  byHand: ChildProcess;
  workerEnds: Promise<string>;
  url: string;
}

/** One first sync, then the script with the rows that it froze. Both must have posted the same. */
async function measureOne(
  bench: Bench,
  world: SyncWorld,
  members: number,
): Promise<{ ours: number; reference: number; received: Received }> {
  const { engines, temporal } = bench;
  const { taskId, job } = await makeSync(bench, world, members);
  await ask(bench.receiver, 'reset');
  const startedAt = performance.now();
  await createTaskStarter({ pool: engines.pool, temporal, heartbeatTimeoutMs: 30_000 })(taskId);
  const outcome: unknown = await Promise.race([
    temporal.workflow.getHandle(`task/${taskId}`).result(),
    bench.workerEnds,
  ]);
  const ours = (performance.now() - startedAt) / 1_000;
  if (outcome !== 'succeeded') throw new Error(`the sync ended ${String(outcome)}`);
  const received = (await ask(bench.receiver, 'count')) as Received;

  const { rows } = await engines.pool.query<{ output: { extractId: number; asOf: string; changes: number } }>(
    `select output from steps where task_id = $1 and name = 'extract'`,
    [taskId],
  );
  const extract = rows[0]?.output;
  if (extract?.changes !== members) throw new Error(`${members} members, and ${extract?.changes} changes`);
  const exact: ByHandJob = { ...job, extractId: extract.extractId, timestamp: extract.asOf };
  const { seconds } = (await ask(bench.byHand, exact)) as { seconds: number };
  const receivedByHand = (await ask(bench.receiver, 'count')) as Received;
  if (received.bytes !== receivedByHand.bytes || received.requests !== receivedByHand.requests) {
    throw new Error(`not the same was posted: ${JSON.stringify({ received, receivedByHand })}`);
  }
  return { ours, reference: seconds, received };
}

interface SyncWorld {
  workspaceId: string;
  spaceId: string;
}

/** A space with people who have an e-mail address each. */
async function makeWorld({ pool, clickhouse }: BenchEngines, people: number): Promise<SyncWorld> {
  const world = await inTransaction(pool, async (tx) => {
    const actor = SYSTEM_ACTOR;
    const workspace = await createWorkspace(tx, { slug: 'bench', name: 'Bench', plan: 'business', actor });
    const space = await createSpace(tx, { workspaceId: workspace.id, slug: 'b', name: 'B', actor });
    return { workspaceId: workspace.id, spaceId: space.id };
  });
  await insertPeople(clickhouse, world.spaceId, people);
  return world;
}

/** An audience of the first so many people, live but never synced, and its sync task. */
async function makeSync(
  { engines, url }: Bench,
  world: SyncWorld,
  members: number,
): Promise<{ taskId: string; job: Omit<ByHandJob, 'extractId' | 'timestamp'> }> {
  const { pool, clickhouse } = engines;
  const { workspaceId, spaceId } = world;
  const version = await nextVersion(pool);
  const name = `Audience ${version}`;
  const deps = createDestinationDeps({ secretBox: createSecretBox(SECRET), allowPrivateAddresses: true });
  const made = await inTransaction(pool, async (tx) => {
    const actor = SYSTEM_ACTOR;
    const computation = await createComputation(
      tx,
      {
        workspaceId,
        spaceId,
        kind: 'audience',
        name,
        definition: { type: 'USERS', query: `event('Visited').count() >= 1` },
        schedule: { intervalSeconds: 86_400 },
      },
      actor,
    );
    // No run comes in between: what is live is what is put there by hand.
    await tx.query(
      `update computations set live_version = $2, live_as_of = now(), live_size = $3, next_run_at = now() + interval '1 year'
       where id = $1`,
      [computation.id, version, members],
    );
    const destination = await createDestination(tx, deps, {
      workspaceId,
      spaceId,
      actor,
      slug: 'webhook',
      name,
      subscriptions: [{ mapping: { url } }],
    });
    const connection = await connectComputation(tx, deps, {
      workspaceId,
      computationId: computation.id,
      destinationId: destination.id,
      actor,
    });
    return { computation, destinationId: destination.id, connectionId: connection.id };
  });
  const computationId = made.computation.id;
  await insertAudienceVersion(clickhouse, { computation: computationId, version, people: members });
  const destination = await openDestination(pool, deps, workspaceId, made.destinationId);
  const taskId = await createTask(pool, {
    workspaceId,
    spaceId,
    computationId,
    connectionId: made.connectionId,
    kind: 'sync',
    reason: 'fan_out',
  });
  if (taskId === null) throw new Error(`a sync of ${computationId} is open`);
  return {
    taskId,
    job: {
      connectionId: made.connectionId,
      url,
      version,
      messagesPerBatch: 2 * changesPerBatch(destination),
      computation: { id: computationId, key: made.computation.key, name, spaceId, spaceSlug: 'b' },
    },
  };
}

function startHelper(children: ChildProcess[], ...args: string[]): ChildProcess {
  const source = fileURLToPath(new URL('./sync-process.ts', import.meta.url));
  const file = import.meta.url.endsWith('.ts') ? source : source.replace(/\.ts$/, '.js');
  const child = fork(file, args);
  children.push(child);
  return child;
}

async function ask(child: ChildProcess, question: unknown): Promise<unknown> {
  const answer = answerOf(child);
  child.send(question as object);
  return await answer;
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`a program of the benchmark ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      resolve(message);
    });
  });
}

/** The most resident memory that a process has had so far. */
async function peakMemoryMb(child: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  return Math.round(Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN) / 1_024);
}
