import { createChannel } from '../../src/alerts/index.ts';
import type { ClickHouseClient, PostgresPool } from '../../src/store/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { approveRun, cancelTask, pauseComputation, resumeComputation, taskQueues } from '../../src/tasks/index.ts';
import type { Reaction, Receiver } from '../helpers/receiver.ts';
import { startTestWorker, type TestWorker } from '../helpers/worker.ts';
import {
  addAudience,
  addPeople,
  addRun,
  connectWebhook,
  createWorld,
  eventually,
  secretBox,
  type World,
} from '../helpers/world.ts';

const PEOPLE = 12;
const BATCH = 10;
export const QUEUE = 'trailmark';

export interface Stage {
  pool: PostgresPool;
  clickhouse: ClickHouseClient;
  temporalAddress: string;
  receiver: Receiver;
  worker: TestWorker;
}

/** Something that happens to a workflow: gives the id of the one that ended by it. */
export type Scene = (stage: Stage) => Promise<string>;

/** One scene for each way that a workflow's code can take, by the name that its history is stored under. */
export const SCENES: Record<string, Scene> = {
  'executeTask.run': async (stage) => await ended(stage, (await runOf(stage)).taskId),
  'executeTask.sync': async (stage) => await ended(stage, (await syncOf(stage)).taskId),
  'executeTask.recovered': async (stage) => {
    refuse(stage, { status: 503 }, 2);
    return await ended(stage, (await syncOf(stage)).taskId);
  },
  'executeTask.hard-failure': async (stage) => {
    refuse(stage, { status: 401 });
    return await ended(stage, (await syncOf(stage)).taskId);
  },
  'executeTask.waited': async (stage) => {
    refuse(stage, { status: 429, headers: { 'retry-after': '1' } }, 1);
    return await ended(stage, (await syncOf(stage)).taskId);
  },
  'executeTask.paused-and-resumed': async (stage) => {
    const sync = await hangingSync(stage);
    for (const id of await control(stage, (tx) => pauseComputation(tx, sync.address, sync.world.actor)))
      await stage.worker.wake(id);
    await untilInterrupted(stage, sync.taskId);
    stage.receiver.behave(() => undefined);
    for (const id of await control(stage, (tx) => resumeComputation(tx, sync.address, sync.world.actor)))
      await stage.worker.wake(id);
    return await ended(stage, sync.taskId);
  },
  'executeTask.cancelled': async (stage) => {
    const sync = await hangingSync(stage);
    const task = { workspaceId: sync.world.workspaceId, taskId: sync.taskId };
    await control(stage, (tx) => cancelTask(tx, task, { actor: sync.world.actor }));
    await stage.worker.wake(sync.taskId);
    return await ended(stage, sync.taskId);
  },
  'executeTask.cancelled-in-temporal': async (stage) => {
    const sync = await hangingSync(stage);
    await stage.worker.client.workflow.getHandle(`task/${sync.taskId}`).cancel();
    return await ended(stage, sync.taskId);
  },
  'executeTask.approved': async (stage) => {
    const { world, computationId, taskId } = await runOf(stage);
    await ended(stage, taskId);
    await stage.pool.query('update computations set guard_min_members = 1 where id = $1', [computationId]);
    await stage.clickhouse.command({
      query: 'DELETE FROM events WHERE space_id = {space:String}',
      query_params: { space: world.spaceId },
    });
    const run = await addRun(stage.pool, world, computationId);
    await stage.worker.start(run);
    await untilRow(stage, 'select from tasks where id = $1 and status = $2', [run, 'awaiting_approval']);
    await control(stage, (tx) => approveRun(tx, { workspaceId: world.workspaceId, taskId: run }, world.actor));
    await stage.worker.wake(run);
    return await ended(stage, run);
  },
  'executeTask.worker-stopped': async (stage) => {
    const sync = await hangingSync(stage);
    await stage.worker.close();
    stage.receiver.behave(() => undefined);
    stage.worker = await startTestWorker({ ...stage, taskQueue: QUEUE });
    return await ended(stage, sync.taskId);
  },
  'deliverAlert.delivered': async (stage) => await deliveredAlert(stage, 0),
  'deliverAlert.retried': async (stage) => await deliveredAlert(stage, 1),
  'scheduleTasks.beat': async (stage) => await beat(stage, 'scheduleTasks'),
  'reconcileTasks.look': async (stage) => await beat(stage, 'reconcileTasks'),
  'cleanUp.nothing-old': async (stage) => await beat(stage, 'cleanUp', [taskQueues(QUEUE).compute]),
};

let keys = 0;

async function runOf(stage: Stage) {
  const world = await createWorld(stage.pool);
  await addPeople(stage.clickhouse, world, PEOPLE);
  const computationId = await addAudience(stage.pool, world, "event('Visited').count() >= 1", {
    key: `audience_${++keys}`,
  });
  const taskId = await addRun(stage.pool, world, computationId);
  await stage.worker.start(taskId);
  return { world, computationId, taskId };
}

interface Sync {
  world: World;
  taskId: string;
  address: { workspaceId: string; spaceId: string; kind: 'audience'; id: string };
}

async function syncOf(stage: Stage, prepare: (world: World) => Promise<void> = async () => undefined): Promise<Sync> {
  const world = await createWorld(stage.pool);
  await prepare(world);
  await addPeople(stage.clickhouse, world, PEOPLE);
  const id = await addAudience(stage.pool, world, "event('Visited').count() >= 1", { key: `audience_${++keys}` });
  await connectWebhook(stage.pool, world, id, stage.receiver.url, BATCH);
  const run = await addRun(stage.pool, world, id);
  await stage.worker.execute(run);
  const row = await untilRow(stage, 'select id from tasks where parent_task_id = $1', [run]);
  const { workspaceId, spaceId } = world;
  return { world, taskId: String(row['id']), address: { workspaceId, spaceId, kind: 'audience', id } };
}

/** A sync in the middle of its delivery. */
async function hangingSync(stage: Stage): Promise<Sync> {
  const before = stage.receiver.requests.length;
  stage.receiver.behave((request) => (request.number === before + 2 ? { hang: 'request' } : undefined));
  const sync = await syncOf(stage);
  await stage.receiver.received((request) => request.number === before + 2);
  return sync;
}

async function deliveredAlert(stage: Stage, refusals: number): Promise<string> {
  let alerts = 0;
  stage.receiver.behave((request) => {
    if (request.path !== '/alerts') return { status: 401 };
    return alerts++ < refusals ? { status: 503 } : undefined;
  });
  const sync = await syncOf(stage, async (world) => {
    const channel = {
      workspaceId: world.workspaceId,
      name: 'Hook',
      url: `${stage.receiver.url}/alerts`,
      actor: world.actor,
    };
    await inTransaction(stage.pool, async (tx) => await createChannel(tx, secretBox, channel));
  });
  await ended(stage, sync.taskId);
  await beat(stage, 'scheduleTasks');
  const row = await untilRow(
    stage,
    `select d.id from alert_deliveries d join alerts a on a.id = d.alert_id where a.workspace_id = $1`,
    [sync.world.workspaceId],
  );
  const workflowId = `alert-delivery/${String(row['id'])}`;
  await stage.worker.client.workflow.getHandle(workflowId).result();
  return workflowId;
}

async function beat(stage: Stage, workflowType: string, args: unknown[] = []): Promise<string> {
  const workflowId = `${workflowType}-${++keys}`;
  await stage.worker.client.workflow.execute(workflowType, { workflowId, taskQueue: QUEUE, args });
  return workflowId;
}

/** Answers so as often, or always. */
function refuse(stage: Stage, reaction: Reaction, times = Infinity): void {
  let refused = 0;
  stage.receiver.behave(() => (refused++ < times ? reaction : undefined));
}

async function control<T>(stage: Stage, work: Parameters<typeof inTransaction<T>>[1]): Promise<T> {
  return await inTransaction(stage.pool, work);
}

async function ended(stage: Stage, taskId: string): Promise<string> {
  const workflowId = `task/${taskId}`;
  await stage.worker.client.workflow.getHandle(workflowId).result();
  return workflowId;
}

async function untilInterrupted(stage: Stage, taskId: string): Promise<void> {
  await untilRow(stage, 'select from step_executions where task_id = $1 and outcome = $2', [taskId, 'interrupted']);
}

async function untilRow(stage: Stage, query: string, values: unknown[]): Promise<Record<string, unknown>> {
  return await eventually(async () => (await stage.pool.query<Record<string, unknown>>(query, values)).rows[0], {
    what: `a row of ${query}`,
    timeoutMs: 60_000,
  });
}
