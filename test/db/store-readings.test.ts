import { afterAll, beforeAll, expect, test } from 'vitest';
import { createReadingsProducer } from '../../src/bin/checks/readings.ts';
import { createStoreReadings } from '../../src/bin/checks/store-readings.ts';
import { createPool, type PostgresPool } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { addAudience, addRun, connectWebhook, createWorld, type World } from '../helpers/world.ts';

let db: TestPool;
let pool: PostgresPool;
let world: World;

beforeAll(async () => {
  db = await createTestPool();
  ({ pool } = db);
  world = await createWorld(pool);
});
afterAll(async () => await db?.close());

/** What the gauges say, by name and labels in one string. */
async function read(from: PostgresPool, timeoutMs = 10_000): Promise<Record<string, number>> {
  const { resourceMetrics } = await createReadingsProducer(createStoreReadings(from), timeoutMs).collect();
  return Object.fromEntries(
    resourceMetrics.scopeMetrics
      .flatMap(({ metrics }) => metrics)
      .flatMap(({ descriptor, dataPoints }) =>
        dataPoints.map(({ attributes, value }) => [
          [descriptor.name, ...Object.values(attributes)].join(' '),
          value as number,
        ]),
      ),
  );
}

test('says 0 where nothing waits', async () => {
  expect(await read(pool)).toEqual({
    trailmark_schedule_lag_seconds: 0,
    trailmark_schedule_due: 0,
    'trailmark_tasks_waiting run': 0,
    'trailmark_tasks_waiting sync': 0,
    'trailmark_tasks_waiting_oldest_seconds run': 0,
    'trailmark_tasks_waiting_oldest_seconds sync': 0,
    trailmark_tasks_unrecorded: 0,
    trailmark_tasks_unrecorded_oldest_seconds: 0,
    trailmark_event_log_lag_entries: 0,
    trailmark_event_log_lag_bytes: 0,
    trailmark_event_log_lag_seconds: 0,
    trailmark_event_quarantine_entries: 0,
    trailmark_event_quarantine_oldest_seconds: 0,
    'trailmark_reading_up schedule': 1,
    'trailmark_reading_up tasks': 1,
    'trailmark_reading_up bookkeeping': 1,
    'trailmark_reading_up event_log': 1,
    'trailmark_reading_up quarantine': 1,
    'trailmark_reading_up circuits': 1,
  });
});

test('the schedule is behind by the oldest computation that is due, has no run, and may have one', async () => {
  const overdue = async (key: string, seconds: number, also = ''): Promise<string> => {
    const id = await addAudience(pool, world, "event('Visited').count() >= 1", { key });
    await pool.query(`update computations set next_run_at = now() - $2 * interval '1 second' ${also} where id = $1`, [
      id,
      seconds,
    ]);
    return id;
  };
  await overdue('late', 100);
  await overdue('later', 50);
  await overdue('in_time', -100);
  await overdue('disabled', 1_000, ', enabled = false');
  await overdue('paused', 2_000, ', paused_at = now()');
  const underWay = await overdue('under_way', 4_000);
  await addRun(pool, world, underWay);
  const gauges = await read(pool);
  expect(gauges['trailmark_schedule_due']).toBe(2);
  expect(gauges['trailmark_schedule_lag_seconds']).toBeGreaterThanOrEqual(100);
  expect(gauges['trailmark_schedule_lag_seconds']).toBeLessThan(200);
});

test('tasks that wait for their turn are counted, and how long the oldest has', async () => {
  const [one, two] = await Promise.all(
    ['one', 'two'].map(async (key) =>
      addRun(pool, world, await addAudience(pool, world, "event('Visited').count() >= 1", { key })),
    ),
  );
  await pool.query(`update tasks set admitted_at = null, created_at = now() - interval '90 seconds' where id = $1`, [
    one,
  ]);
  await pool.query(`update tasks set admitted_at = now(), status = 'running', attempt = 1 where id = $1`, [two]);
  await pool.query(`update tasks set admitted_at = null where id <> all ($1)`, [[one, two]]);
  const gauges = await read(pool);
  expect(gauges['trailmark_tasks_open run pending'], 'the run of the test before is open too').toBe(2);
  expect(gauges['trailmark_tasks_open run running']).toBe(1);
  expect(gauges['trailmark_tasks_waiting run']).toBe(2);
  expect(gauges['trailmark_tasks_waiting_oldest_seconds run']).toBeGreaterThanOrEqual(90);
  expect(gauges['trailmark_tasks_waiting_oldest_seconds run']).toBeLessThan(180);
});

test('circuits are counted by slug and state, each state of a slug that is there', async () => {
  const audience = await addAudience(pool, world, "event('Visited').count() >= 1", { key: 'sent' });
  for (const minutes of [5, -5]) {
    const { destinationId } = await connectWebhook(pool, world, audience, 'http://127.0.0.1:9/');
    await pool.query(
      `insert into destination_circuits (destination_id, failures, opened_at, open_until)
       values ($1, 5, now() - interval '10 minutes', now() + $2 * interval '1 minute')`,
      [destinationId, minutes],
    );
  }
  const gauges = await read(pool);
  expect(gauges['trailmark_destination_circuits webhook open']).toBe(1);
  expect(gauges['trailmark_destination_circuits webhook half_open']).toBe(1);
  expect(gauges['trailmark_destination_circuits webhook closed']).toBe(0);
});

test('a statement that would take long is given up, and the others are there', async () => {
  const holder = await pool.connect();
  try {
    await holder.query('begin; lock table destination_circuits in access exclusive mode');
    const gauges = await read(pool);
    expect(gauges['trailmark_reading_up circuits']).toBe(0);
    expect(Object.keys(gauges).filter((name) => name.startsWith('trailmark_destination_circuits'))).toEqual([]);
    expect(gauges['trailmark_reading_up tasks']).toBe(1);
    const { rows } = await pool.query(
      `select query from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    expect(rows, 'still waits in PostgreSQL').toEqual([]);
  } finally {
    await holder.query('rollback');
    holder.release();
  }
});

test('where the database is away nothing is claimed, and the answer comes in time', async () => {
  const away = createPool({
    connectionString: 'postgresql://nobody@127.0.0.1:9/nothing',
    applicationName: 'trailmark-test',
    onError: () => undefined,
  });
  try {
    const since = performance.now();
    const gauges = await read(away, 1_000);
    expect(performance.now() - since).toBeLessThan(3_000);
    expect(Object.keys(gauges).every((name) => name.startsWith('trailmark_reading_up'))).toBe(true);
    expect(Object.values(gauges)).toEqual([0, 0, 0, 0, 0, 0]);
  } finally {
    await away.end();
  }
});
