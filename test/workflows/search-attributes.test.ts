import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTaskStarter, ensureSearchAttributes, taskQueues } from '../../src/tasks/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { createNamespace } from '../helpers/program.ts';
import { startTestWorker } from '../helpers/worker.ts';
import { addAudience, addRun, createWorld, eventually, type World } from '../helpers/world.ts';

const KEYWORD = 2;
const INT = 3;

let stores: TestStores;
let connection: Connection;
let world: World;
let namespaces = 0;
let keys = 0;

beforeAll(async () => {
  stores = await createTestStores();
  connection = await Connection.connect({ address: stores.temporalAddress });
  world = await createWorld(stores.pool);
});
afterAll(async () => {
  await connection?.close();
  await stores?.close();
});

async function clientOfNewNamespace(): Promise<Client> {
  const namespace = `search-attributes-${++namespaces}-${Date.now()}`;
  await createNamespace(stores.temporalAddress, namespace);
  return new Client({ connection, namespace });
}

/** A run of a computation that `change` is made to first. */
async function addTask(change = 'enabled = true'): Promise<{ taskId: string; computationId: string }> {
  const query = "event('Visited').count() >= 1";
  const computationId = await addAudience(stores.pool, world, query, { key: `audience_${++keys}` });
  await stores.pool.query(`update computations set ${change} where id = $1`, [computationId]);
  return { taskId: await addRun(stores.pool, world, computationId), computationId };
}

async function found(temporal: Client, query: string): Promise<string[]> {
  const workflowIds: string[] = [];
  for await (const { workflowId } of temporal.workflow.list({ query })) workflowIds.push(workflowId);
  return workflowIds.sort();
}

describe('search attributes', () => {
  test('are made once, whoever makes them, and find a workflow by what its task is and came to', async () => {
    const temporal = await clientOfNewNamespace();
    const { namespace } = temporal.options;
    expect(await Promise.all([ensureSearchAttributes(temporal), ensureSearchAttributes(temporal)])).toEqual([
      undefined,
      undefined,
    ]);
    expect(await ensureSearchAttributes(temporal)).toBeUndefined();

    const worker = await startTestWorker({ ...stores, taskQueue: 'search-attributes', namespace });
    try {
      const done = await addTask();
      expect(await worker.execute(done.taskId)).toBe('succeeded');
      const dropped = await addTask('enabled = false');
      expect(await worker.execute(dropped.taskId)).toBe('cancelled');
      const open = await addTask('paused_at = now()');
      await worker.start(open.taskId);
      const workspace = `TrailmarkWorkspace = '${world.workspaceId}'`;
      const of = (task: { taskId: string }): string => `task/${task.taskId}`;
      const all = [done, dropped, open].map(of).sort();
      await eventually(async () => ((await found(temporal, workspace)).length === 3 ? true : null), {
        what: 'three workflows in visibility',
      });
      await eventually(
        async () => ((await found(temporal, `${workspace} AND TrailmarkOutcome IS NULL`)).length === 1 ? true : null),
        { what: 'two outcomes in visibility' },
      );
      expect(await found(temporal, `${workspace} AND TrailmarkKind = 'run'`)).toEqual(all);
      expect(await found(temporal, `${workspace} AND TrailmarkKind = 'sync'`)).toEqual([]);
      expect(await found(temporal, `TrailmarkComputation = '${done.computationId}'`)).toEqual([of(done)]);
      expect(await found(temporal, `TrailmarkOutcome = 'succeeded'`)).toEqual([of(done)]);
      expect(await found(temporal, `TrailmarkOutcome = 'cancelled'`)).toEqual([of(dropped)]);
      expect(await found(temporal, `${workspace} AND TrailmarkOutcome IS NULL`)).toEqual([of(open)]);
      expect(await found(temporal, `TrailmarkWorkspace = 'wsp_another'`)).toEqual([]);
      await temporal.workflow.getHandle(of(open)).terminate();
    } finally {
      await worker.close();
    }
  });

  test('that Temporal does not know keep no task from being executed', async () => {
    const temporal = await clientOfNewNamespace();
    const { namespace } = temporal.options;
    const queues = taskQueues('unknown-attributes');
    const startTask = createTaskStarter({ pool: stores.pool, temporal, heartbeatTimeoutMs: 2_000, queues });
    const { taskId } = await addTask();
    await startTask(taskId);
    const { typedSearchAttributes } = await temporal.workflow.getHandle(`task/${taskId}`).describe();
    expect(typedSearchAttributes.getAll().filter(({ key }) => key.name.startsWith('Trailmark'))).toEqual([]);
    const worker = await startTestWorker({ ...stores, taskQueue: 'unknown-attributes', namespace });
    try {
      expect(await temporal.workflow.getHandle(`task/${taskId}`).result()).toBe('succeeded');
    } finally {
      await worker.close();
    }
  });

  test('that can not be made are told of, with what makes them', async () => {
    const temporal = await clientOfNewNamespace();
    const { namespace } = temporal.options;
    // As many as the server takes of one type.
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`Other${index}`, KEYWORD])),
    });
    const sentence = await ensureSearchAttributes(temporal);
    expect(sentence).toContain(`missing in namespace ${namespace}`);
    expect(sentence).toContain('temporal operator search-attribute create');
    expect(sentence).toContain('--name TrailmarkOutcome --type Keyword');
  });

  test('of another type are not taken for ours', async () => {
    const temporal = await clientOfNewNamespace();
    await connection.operatorService.addSearchAttributes({
      namespace: temporal.options.namespace,
      searchAttributes: Object.fromEntries([['TrailmarkKind', INT]]),
    });
    expect(await ensureSearchAttributes(temporal)).toMatch(/another type: TrailmarkKind/);
  });
});
