import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePorts } from '../helpers/ports.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { createNamespace, startProgram, type Program } from '../helpers/program.ts';
import { scrape } from '../helpers/prometheus.ts';
import { failFirst, startReceiver, type Receiver } from '../helpers/receiver.ts';
import { addAudience, addPeople, addRun, connectWebhook, createWorld, eventually, SECRET } from '../helpers/world.ts';

const MEMBERS = 30;
const BATCH = 20;

let stores: TestStores;
let tool: Receiver;
let collector: Receiver;
const programs: Program[] = [];

beforeAll(async () => {
  stores = await createTestStores();
  tool = await startReceiver(failFirst(1, { status: 503 }));
  collector = await startReceiver();
});
afterAll(async () => {
  for (const program of programs) if (program.process.exitCode === null) await program.kill();
  await tool?.close();
  await collector?.close();
  await stores?.close();
});

test('a worker and an api say over HTTP what became of the tasks that were executed, and send the same to a collector', async () => {
  const namespace = `telemetry-${Date.now()}`;
  await createNamespace(stores.temporalAddress, namespace);
  const world = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, world, MEMBERS);
  const audience = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
  await connectWebhook(stores.pool, world, audience, tool.url, BATCH);
  await stores.pool.query(`update computations set next_run_at = now() + interval '1 hour' where id = $1`, [audience]);
  const ports = { worker: await freePorts(3), api: await freePorts(3) };
  const env = (metricsPort: number): Record<string, string> => ({
    DATABASE_URL: stores.databaseUrl,
    CLICKHOUSE_URL: stores.clickhouseUrl,
    TEMPORAL_ADDRESS: stores.temporalAddress,
    TEMPORAL_NAMESPACE: namespace,
    TRAILMARK_SECRET: SECRET,
    TRAILMARK_ALLOW_PRIVATE_ADDRESSES: 'on',
    TRAILMARK_HEARTBEAT_TIMEOUT_SECONDS: '2',
    TRAILMARK_BACKOFF_BASE_SECONDS: '0.1',
    TRAILMARK_SCHEDULER_SECONDS: '1',
    TRAILMARK_METRICS_PORT: String(metricsPort),
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_METRIC_EXPORT_INTERVAL: '1000',
  });
  const run = await addRun(stores.pool, world, audience);
  const api = await startProgram(['api'], { ...env(ports.api), TRAILMARK_PORT: String(await freePorts(1)) });
  const worker = await startProgram(['worker'], env(ports.worker));
  programs.push(api, worker);
  await Promise.all([api.says('api ready'), worker.says('worker ready')]);

  const sync = await eventually(
    async () => {
      const { rows } = await stores.pool.query<{ id: string; status: string }>(
        'select id, status from tasks where parent_task_id = $1 and ended_at is not null',
        [run],
      );
      return rows[0];
    },
    { what: 'the end of the sync', timeoutMs: 60_000 },
  );
  expect(sync.status).toBe('succeeded');

  const seen = await scrape(`http://127.0.0.1:${ports.worker}/metrics`);
  const outcome = (kind: string, of: string) => seen.value('trailmark_task_outcomes_total', { kind, outcome: of });
  expect([outcome('run', 'succeeded'), outcome('sync', 'succeeded')]).toEqual([1, 1]);
  expect([outcome('run', 'failed'), outcome('sync', 'failed'), outcome('sync', 'cancelled')]).toEqual([0, 0, 0]);
  expect(seen.value('trailmark_task_recoveries_total', { kind: 'run' })).toBe(0);
  expect(seen.value('trailmark_task_recoveries_total', { kind: 'sync' })).toBe(1);
  expect(
    seen.value('trailmark_task_attempts_total', {
      kind: 'sync',
      outcome: 'failed',
      code: 'destination_unavailable',
      class: 'transient',
    }),
  ).toBe(1);
  expect(seen.value('trailmark_task_attempts_total', { kind: 'sync', outcome: 'succeeded' })).toBe(1);
  const steps = seen
    .samples('trailmark_step_duration_seconds_count')
    .map(({ labels, value }) => `${labels['kind']} ${labels['step']} ${labels['outcome']} ${value}`);
  expect(steps.sort()).toEqual([
    'run commit completed 1',
    'run compute completed 1',
    'run diff completed 1',
    'run fan_out completed 1',
    'run guard completed 1',
    'run pin completed 1',
    'sync deliver completed 1',
    'sync deliver failed 1',
    'sync extract completed 1',
    'sync finish completed 1',
    'sync prepare completed 1',
    'sync reconcile completed 1',
  ]);
  const rows = (of: string) => seen.value('trailmark_delivery_rows_total', { destination: 'webhook', outcome: of });
  expect(rows('delivered')).toBe(MEMBERS);
  expect(rows('retry'), 'the first batch, half of the batch size of messages').toBe(BATCH / 2);
  expect(rows('rejected')).toBeUndefined();
  const calls = (of: string) =>
    seen.value('trailmark_destination_request_duration_seconds_count', { destination: 'webhook', outcome: of });
  expect([calls('failed'), calls('accepted')]).toEqual([1, tool.requests.length - 1]);
  // Transient failure and recovery: both are sent where nobody has reduced notifications.
  expect(seen.value('trailmark_alert_decisions_total', { kind: 'transient_failure', decision: 'sent' })).toBe(1);
  expect(seen.value('trailmark_alert_decisions_total', { kind: 'recovery', decision: 'sent' })).toBe(1);
  expect(seen.samples('trailmark_schedule_lag_seconds'), "the api's to say").toEqual([]);

  const temporal = await scrape(`http://127.0.0.1:${ports.worker + 1}/metrics`);
  expect(
    temporal.samples('temporal_workflow_completed_total').reduce((sum, { value }) => sum + value, 0),
  ).toBeGreaterThan(0);
  expect(temporal.samples('temporal_activity_schedule_to_start_latency_seconds_count').length).toBeGreaterThan(0);

  const waiting = await scrape(`http://127.0.0.1:${ports.api}/metrics`);
  expect(waiting.value('trailmark_schedule_due')).toBe(0);
  expect(waiting.value('trailmark_tasks_waiting', { kind: 'sync' })).toBe(0);
  expect(waiting.value('trailmark_event_log_lag_entries')).toBe(0);
  expect(waiting.value('trailmark_destination_circuits', { destination: 'webhook', state: 'closed' })).toBe(1);
  for (const reading of ['schedule', 'tasks', 'event_log', 'circuits']) {
    expect(waiting.value('trailmark_reading_up', { reading }), reading).toBe(1);
  }
  expect(await fetch(`http://127.0.0.1:${ports.api}/`).then(({ status }) => status), 'nothing else is there').toBe(404);

  expect(await worker.terminate()).toBe(0);
  expect(await api.terminate()).toBe(0);
  const spans = collector.requests
    .filter(({ path }) => path === '/v1/traces')
    .map(({ body }) => JSON.stringify(body))
    .join();
  const named = (name: string) => spans.split(`"name":"${name}"`).length - 1;
  expect({
    runs: named('attempt run'),
    syncs: named('attempt sync'),
    deliveries: named('step deliver'),
    batches: named('batch'),
  }).toEqual({ runs: 1, syncs: 2, deliveries: 2, batches: tool.requests.length });
  expect(spans).toContain(sync.id);
  const pushed = collector.requests
    .filter(({ path }) => path === '/v1/metrics')
    .map(({ body }) => JSON.stringify(body));
  const last = (program: string) => pushed.findLast((body) => body.includes(`"stringValue":"${program}"`)) ?? '';
  expect(last('trailmark-worker')).toContain('"name":"trailmark_step_duration_seconds"');
  expect(last('trailmark-api')).toContain('"name":"trailmark_schedule_lag_seconds"');
});

test("a worker that nobody scrapes pushes Temporal's metrics too", async () => {
  const namespace = `telemetry-pushed-${Date.now()}`;
  await createNamespace(stores.temporalAddress, namespace);
  const worker = await startProgram(['worker'], {
    DATABASE_URL: stores.databaseUrl,
    CLICKHOUSE_URL: stores.clickhouseUrl,
    TEMPORAL_ADDRESS: stores.temporalAddress,
    TEMPORAL_NAMESPACE: namespace,
    TRAILMARK_SECRET: SECRET,
    OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/pushed`,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=of-the-test',
    OTEL_METRIC_EXPORT_INTERVAL: '500',
  });
  programs.push(worker);
  await worker.says('worker ready');
  const fromTemporal = await eventually(
    async () =>
      collector.requests.find(
        ({ path, headers }) => path === '/pushed/v1/metrics' && headers['content-type'] === 'application/x-protobuf',
      ),
    { what: "Temporal's metrics at the collector" },
  );
  expect(JSON.stringify(fromTemporal.body)).toContain('temporal_');
  const ours = collector.requests.find(
    ({ path, headers }) => path === '/pushed/v1/metrics' && headers['content-type'] === 'application/json',
  );
  expect(JSON.stringify(ours?.body)).toContain('trailmark_task_outcomes');
  expect([ours?.headers['x-tenant'], fromTemporal.headers['x-tenant']]).toEqual(['of-the-test', 'of-the-test']);
  expect(await worker.terminate()).toBe(0);
});
