import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import pg from 'pg';
import { createHealthReading } from '../../src/bin/checks/health-reading.ts';
import { checkWork, HEALTH_CODES, setMark } from '../../src/health/index.ts';
import type { PostgresPool } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { addAudience, addRun, createWorld, type World } from '../helpers/world.ts';

const AFTER = 30;

let db: TestPool;
let pool: PostgresPool;
let world: World;

beforeAll(async () => {
  db = await createTestPool();
  ({ pool } = db);
  world = await createWorld(pool);
});
afterAll(async () => await db?.close());

beforeEach(async () => {
  await pool.query('truncate health_marks, tasks, event_log, consumers cascade');
  await pool.query('delete from computations');
  await setMark(pool, 'scheduler');
});

// The cluster has other databases, whose tests may hold transactions open: what is held here is old by a long way.
const check = async (afterSeconds = AFTER) => await checkWork({ pool, temporal: undefined, afterSeconds });
const codes = async (afterSeconds = AFTER): Promise<string[]> => (await check(afterSeconds)).map(({ code }) => code);

test('nothing is found where nothing waits', async () => {
  expect(await check()).toEqual([]);
});

describe('the scheduler', () => {
  test('is silent once its last tick is too old, and no longer when it ticks', async () => {
    await pool.query(`update health_marks set at = now() - interval '75 seconds'`);
    const [finding] = await check();
    expect(finding).toMatchObject({ code: 'scheduler_silent', severity: 'degraded' });
    expect(finding?.message).toBe('The scheduler has not done its work for 75 s: nothing new is run or sent.');
    await setMark(pool, 'scheduler');
    expect(await codes()).toEqual([]);
  });

  test('that has never ticked is silent', async () => {
    await pool.query('truncate health_marks');
    expect(await codes()).toEqual(['scheduler_silent']);
  });

  test('may tick as rarely as it is set to', async () => {
    await setMark(pool, 'schedules_checked', { everySeconds: 60 });
    await pool.query(`update health_marks set at = now() - interval '75 seconds' where name = 'scheduler'`);
    expect(await codes()).toEqual([]);
  });
});

describe('a transaction that is held open', () => {
  let holder: pg.Client;
  beforeEach(async () => {
    holder = new pg.Client({ connectionString: db.databaseUrl, application_name: 'a forgotten console' });
    await holder.connect();
  });
  afterEach(async () => await holder.end());
  // Other databases of the cluster may hold it back as well.
  const holders = async (): Promise<string> =>
    (await check(1)).find(({ code }) => code === 'log_held_back')?.detail ?? '';

  test('holds the log back when it has written, and is named', async () => {
    await holder.query('begin');
    await holder.query('select pg_current_xact_id()');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await expect.poll(holders, { timeout: 20_000 }).toContain('a forgotten console, idle in transaction in database');
    const finding = (await check(1)).find(({ code }) => code === 'log_held_back');
    expect(finding).toMatchObject({ code: 'log_held_back', severity: 'degraded' });
    expect(finding?.detail).toMatch(/^process \d+,/);
    // Anyone may read the message, and these are not for anyone.
    expect(finding?.message).not.toContain('console');
    await holder.query('rollback');
    expect(await holders()).not.toContain('a forgotten console');
  });

  test('holds nothing back while it has only read', async () => {
    await holder.query('begin');
    await holder.query('select count(*) from tasks');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await holders()).not.toContain('a forgotten console');
  });
});

describe('the event log', () => {
  const append = async (secondsAgo: number): Promise<unknown> =>
    await pool.query(
      `insert into event_log (workspace_id, source_id, message_id, type, event, received_at)
       select 'wsp_x', 'src_x', gen_random_uuid()::text, 'track', '{}', now() - $1 * interval '1 second'`,
      [secondsAgo],
    );

  test('is behind once an event has waited', async () => {
    await append(5);
    expect(await codes()).toEqual([]);
    await append(90);
    const [finding] = await check();
    expect(finding).toMatchObject({ code: 'events_waiting', severity: 'degraded' });
    expect(finding?.message).toContain('Events have waited for 90 s');
  });

  test('that was restored into a cluster of lower transaction ids takes nothing in that would be loaded', async () => {
    await pool.query(`insert into consumers (name, last_xid, last_position) values ('loader', '99999999999', 1)`);
    const found = await check();
    expect(found.map(({ code, severity }) => [code, severity])).toEqual([['positions_impossible', 'stopped']]);
  });
});

describe('tasks', () => {
  test('that should have gone on and do not are counted, and those that are held are not', async () => {
    const going = await addAudience(pool, world, "event('Visited').count() >= 1", { key: 'going' });
    const paused = await addAudience(pool, world, "event('Visited').count() >= 1", { key: 'paused' });
    const taskId = await addRun(pool, world, going);
    const held = await addRun(pool, world, paused);
    await pool.query(`update computations set next_run_at = now() + interval '1 hour'`);
    await pool.query('update computations set paused_at = now() where id = $1', [paused]);
    await pool.query(`update tasks set admitted_at = now() - interval '10 minutes' where id in ($1, $2)`, [
      taskId,
      held,
    ]);
    const [finding, ...others] = await check();
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ code: 'tasks_overdue', message: expect.stringMatching(/^1 task does not go on/) });
    expect(finding?.detail).toContain(taskId);
    await pool.query(`update tasks set status = 'running', attempt = 1 where id = $1`, [taskId]);
    expect(await codes()).toEqual([]);
  });

  test('whose turn has not come for long are counted', async () => {
    const id = await addAudience(pool, world, "event('Visited').count() >= 1");
    await addRun(pool, world, id);
    await pool.query(`update computations set next_run_at = now() + interval '1 hour'`);
    expect(await codes()).toEqual([]);
    await pool.query(`update tasks set created_at = now() - interval '1 hour'`);
    expect(await codes()).toEqual(['tasks_waiting']);
  });

  test('that are due and not written are late', async () => {
    const id = await addAudience(pool, world, "event('Visited').count() >= 1");
    await pool.query(`update computations set next_run_at = now() - interval '5 minutes' where id = $1`, [id]);
    expect(await codes()).toEqual(['runs_late']);
  });
});

test('schedules that were put right are told for an hour, and are no fault', async () => {
  await setMark(pool, 'schedules_restored', {
    schedules: [{ scheduleId: 'trailmark-scheduler', found: ['paused'] }],
  });
  expect(await check()).toMatchObject([
    { code: 'schedules_restored', severity: 'notice', detail: 'trailmark-scheduler: paused' },
  ]);
  await pool.query(`update health_marks set at = now() - interval '61 minutes' where name = 'schedules_restored'`);
  expect(await codes()).toEqual([]);
});

test('a database that does not answer is a finding, and not an error', async () => {
  const ended = new pg.Pool({ connectionString: 'postgresql://x:y@127.0.0.1:1/none' });
  expect(await checkWork({ pool: ended, temporal: undefined, afterSeconds: AFTER })).toMatchObject([
    { code: 'work_unknown', severity: 'degraded' },
  ]);
  await ended.end();
});

test('the gauges have each code, and 1 where it is found', async () => {
  await pool.query('truncate health_marks');
  const { findings } = await createHealthReading(check).read();
  expect(findings?.map(({ labels }) => labels?.['code'])).toEqual([...HEALTH_CODES]);
  expect(findings?.filter(({ value }) => value === 1).map(({ labels }) => labels?.['code'])).toEqual([
    'scheduler_silent',
  ]);
});
