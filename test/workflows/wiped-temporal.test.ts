import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findTemporal, startTemporal } from '../../src/embedded/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startProgram, type Program } from '../helpers/program.ts';
import { addAudience, addRun, createWorld, eventually, readTaskRows, SECRET } from '../helpers/world.ts';

let stores: TestStores;
let folder: string;
let temporal: Awaited<ReturnType<typeof startTemporal>>;
let worker: Program | undefined;

beforeAll(async () => {
  stores = await createTestStores();
  folder = await mkdtemp(join(tmpdir(), 'trailmark-wiped-'));
  temporal = await startTemporalServer();
});
afterAll(async () => {
  if (worker !== undefined && worker.process.exitCode === null) await worker.kill();
  await temporal?.stop();
  await rm(folder, { recursive: true, force: true });
  await stores?.close();
});

/** A server of this test's own, at the same address each time. */
async function startTemporalServer(port?: number) {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return await startTemporal({
    folder: join(folder, 'temporal'),
    binary: await findTemporal({
      cacheFolder: process.env['TRAILMARK_CACHE'] ?? join(cache, 'trailmark'),
      env: process.env,
    }),
    namespace: 'default',
    port,
    portIsFixed: port !== undefined,
    uiPort: undefined,
    logFile: join(folder, 'temporal.log'),
  });
}

test('a Temporal that lost its data gets back what it needs, and every open task a workflow', async () => {
  worker = await startProgram(['worker'], {
    DATABASE_URL: stores.databaseUrl,
    CLICKHOUSE_URL: stores.clickhouseUrl,
    TEMPORAL_ADDRESS: temporal.address,
    TRAILMARK_SECRET: SECRET,
    TRAILMARK_SCHEDULER_SECONDS: '1',
  });
  await worker.says('worker ready');
  const world = await createWorld(stores.pool);
  const computationId = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
  const open = await eventually(
    async () => {
      const { rows } = await stores.pool.query<{ id: string; status: string }>(
        'select id, status from tasks where computation_id = $1 and kind = $2',
        [computationId, 'run'],
      );
      return rows[0]?.status === 'succeeded' ? rows[0].id : null;
    },
    { what: 'the first run', timeoutMs: 60_000 },
  );
  expect(open).toMatch(/^tsk_/);

  // One that is held back has nothing but its workflow to go on in.
  await stores.pool.query('update computations set paused_at = now() where id = $1', [computationId]);
  const held = await addRun(stores.pool, world, computationId);
  await stores.pool.query('update tasks set admitted_at = now() where id = $1', [held]);
  await eventually(
    async () => {
      const { rows } = await stores.pool.query('select from tasks where id = $1 and dispatched_at is not null', [held]);
      return rows.length === 1 ? true : null;
    },
    { what: 'the workflow of a task that is held back' },
  );

  await temporal.stop();
  await rm(join(folder, 'temporal'), { recursive: true });
  temporal = await startTemporalServer(temporal.port);
  const connection = await Connection.connect({ address: temporal.address });
  try {
    const client = new Client({ connection });
    const { status } = await eventually(
      async () =>
        await client.workflow
          .getHandle(`task/${held}`)
          .describe()
          .catch(() => null),
      { what: 'another workflow of the task', timeoutMs: 120_000 },
    );
    expect(status.name).toBe('RUNNING');
    expect(await client.workflow.count(`TrailmarkComputation = '${computationId}'`)).toMatchObject({ count: 1 });
    const schedules: string[] = [];
    for await (const { scheduleId } of client.schedule.list()) schedules.push(scheduleId);
    expect(schedules.sort()).toEqual(['trailmark-clean-up', 'trailmark-reconciler', 'trailmark-scheduler']);
    await stores.pool.query('update computations set paused_at = null where id = $1', [computationId]);
    await client.workflow.getHandle(`task/${held}`).signal('look');
    await eventually(async () => ((await readTaskRows(stores.pool, held)).status === 'succeeded' ? true : null), {
      what: 'the end of the task',
    });
  } finally {
    await connection.close();
  }
  const { rows } = await stores.pool.query(
    `select details ->> 'because' as because, details ->> 'detail' as detail from audit_events
     where task_id = $1 and type = 'Audience Run Workflow Replaced'`,
    [held],
  );
  expect(rows).toEqual([{ because: 'missing', detail: 'NOT_FOUND' }]);
  expect(worker.output()).toContain('schedules in Temporal were not as they have to be');
  expect(await worker.terminate()).toBe(0);
}, 240_000);
