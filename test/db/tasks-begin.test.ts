import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool, inTransaction } from '../../src/store/index.ts';
import { beginTask } from '../../src/tasks/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { addAudience, addRun, createWorld, readTaskRows } from '../helpers/world.ts';
import { tasksOn } from './tasks-world.ts';

let stores: TestPool;

beforeAll(async () => {
  stores = await createTestPool();
});
afterAll(async () => {
  await stores?.close();
});

async function addTask(): Promise<string> {
  const world = await createWorld(stores.pool);
  return await addRun(stores.pool, world, await addAudience(stores.pool, world, "event('Visited').count() >= 1"));
}

test('a first step that fails is told of, and the attempt begins without it', async () => {
  const taskId = await addTask();
  const logged: string[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => logged.push(line) });
  await stores.pool.query(
    `alter table steps add constraint no_pin check (name <> 'pin' or completed_at is null) not valid`,
  );
  const deps = { ...tasksOn(stores.pool).deps, logger };
  expect(await beginTask(deps, taskId)).toEqual({ next: 'execute', attempt: 1, losses: 0, completed: [] });
  await stores.pool.query('alter table steps drop constraint no_pin');
  expect(logged.join()).toContain('no_pin');
  expect(await beginTask(deps, taskId)).toEqual({ next: 'execute', attempt: 1, losses: 0, completed: ['pin'] });
});

test('where PostgreSQL is busy nothing begins, and whoever asked is told so once', async () => {
  const taskId = await addTask();
  const busy = createPool({
    connectionString: stores.databaseUrl,
    applicationName: 'trailmark-test',
    onError: (error) => console.error(error),
    limits: { lockMs: 1_000 },
  });
  await inTransaction(stores.pool, async (holder) => {
    await holder.query('select from tasks where id = $1 for update', [taskId]);
    const since = performance.now();
    await expect(beginTask(tasksOn(busy).deps, taskId)).rejects.toThrow('lock timeout');
    // A second try would have waited as long again.
    expect(performance.now() - since).toBeLessThan(1_900);
  });
  await busy.end();
  expect(await readTaskRows(stores.pool, taskId)).toMatchObject({ status: 'pending', attempt: 0 });
});
