import { createServer } from 'node:http';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import type { Reading } from '../../src/bin/checks/readings.ts';
import { startTelemetry, type Telemetry } from '../../src/bin/telemetry.ts';
import { readConfig, type Config } from '../../src/config.ts';
import { createLogger } from '../../src/logger.ts';
import {
  countAlertDecisions,
  countAttempt,
  countTaskOutcome,
  inBatchSpan,
  inStepSpan,
  observeStep,
  traceAttempt,
} from '../../src/metrics/index.ts';
import { freePorts } from '../helpers/ports.ts';
import { scrape } from '../helpers/prometheus.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';

const logger = createLogger({ level: 'silent', program: 'test' });
const succeeded = (): null => null;
const failed = (): string => 'unknown';
const open: { stop?: () => Promise<void>; close?: () => Promise<void> }[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await (each.stop ?? each.close)?.();
});

async function start(
  env: Record<string, string | undefined>,
  program: 'api' | 'worker' = 'api',
  readings: readonly Reading[] = [],
): Promise<Telemetry> {
  const telemetry = await startTelemetry({ program, config: readConfig(env), logger, readings });
  open.push(telemetry);
  return telemetry;
}

async function collector(): Promise<Receiver> {
  const receiver = await startReceiver();
  open.push(receiver);
  return receiver;
}

test('Prometheus reads what was counted since the start, and what never happened as 0', async () => {
  countTaskOutcome({ kind: 'run', outcome: 'failed', recovered: false });
  const port = await freePorts(2);
  await start({ TRAILMARK_METRICS_PORT: String(port) });
  countTaskOutcome({ kind: 'run', outcome: 'succeeded', recovered: true });
  countAttempt({ kind: 'run', outcome: 'succeeded' });
  countAttempt({ kind: 'run', outcome: 'failed', failure: { code: 'step_timeout', class: 'transient' } });
  observeStep({ kind: 'run', step: 'compute', outcome: 'completed', seconds: 0.7 });
  countAlertDecisions({ kind: 'transient_failure', decision: 'folded', count: 3 });
  const seen = await scrape(`http://127.0.0.1:${port}/metrics`);
  expect(seen.types.get('trailmark_task_outcomes_total')).toBe('counter');
  expect(seen.value('trailmark_task_outcomes_total', { kind: 'run', outcome: 'succeeded' })).toBe(1);
  expect(seen.value('trailmark_task_outcomes_total', { kind: 'run', outcome: 'failed' }), 'before the start').toBe(0);
  expect(seen.value('trailmark_task_recoveries_total', { kind: 'run' })).toBe(1);
  expect(seen.samples('trailmark_task_attempts_total')).toEqual([
    { name: 'trailmark_task_attempts_total', labels: { kind: 'run', outcome: 'succeeded' }, value: 1 },
    {
      name: 'trailmark_task_attempts_total',
      labels: { kind: 'run', outcome: 'failed', code: 'step_timeout', class: 'transient' },
      value: 1,
    },
  ]);
  const step = { kind: 'run', step: 'compute', outcome: 'completed' };
  expect(seen.types.get('trailmark_step_duration_seconds')).toBe('histogram');
  expect(seen.value('trailmark_step_duration_seconds_bucket', { ...step, le: '0.5' })).toBe(0);
  expect(seen.value('trailmark_step_duration_seconds_bucket', { ...step, le: '1' })).toBe(1);
  expect(seen.value('trailmark_step_duration_seconds_sum', step)).toBeCloseTo(0.7);
  expect(seen.value('trailmark_alert_decisions_total', { kind: 'transient_failure', decision: 'folded' })).toBe(3);
  expect(seen.samples('target_info')[0]?.labels).toMatchObject({ service_name: 'trailmark-api' });
});

test('a gauge that can not be read is not there, and says so, while the others are', async () => {
  let broken = false;
  const asked = { slow: 0 };
  const readings: Reading[] = [
    {
      name: 'good',
      gauges: { lag: { name: 'good_lag_seconds', description: 'how late', unit: 's' } },
      read: async () => await Promise.resolve({ lag: [{ value: 7, labels: { kind: 'run' } }] }),
    },
    {
      name: 'bad',
      gauges: { lag: { name: 'bad_lag_seconds', description: 'how late', unit: 's' } },
      read: async () => {
        if (broken) throw new Error('the database is away');
        return await Promise.resolve({ lag: [{ value: 3 }] });
      },
    },
    {
      name: 'slow',
      gauges: { lag: { name: 'slow_lag_seconds', description: 'how late', unit: 's' } },
      read: async () => {
        asked.slow++;
        return await new Promise(() => undefined);
      },
    },
  ];
  const port = await freePorts(2);
  await start({ TRAILMARK_METRICS_PORT: String(port) }, 'api', readings);
  const url = `http://127.0.0.1:${port}/metrics`;
  const before = await scrape(url);
  expect(before.types.get('trailmark_good_lag_seconds')).toBe('gauge');
  expect(before.value('trailmark_good_lag_seconds', { kind: 'run' })).toBe(7);
  expect(before.value('trailmark_bad_lag_seconds')).toBe(3);
  expect(before.samples('trailmark_slow_lag_seconds')).toEqual([]);

  broken = true;
  const [after] = await Promise.all([scrape(url), scrape(url)]);
  expect(after.value('trailmark_good_lag_seconds', { kind: 'run' })).toBe(7);
  expect(after.samples('trailmark_bad_lag_seconds'), 'the value of before').toEqual([]);
  const up = (reading: string) => after.value('trailmark_reading_up', { reading });
  expect([up('good'), up('bad'), up('slow')]).toEqual([1, 0, 0]);
  expect(asked.slow, 'a reading that hangs is not begun again').toBe(1);
});

test('a port that is taken is a sentence that names the setting', async () => {
  const port = await freePorts(2);
  const busy = createServer().listen(port + 1, '127.0.0.1');
  await once(busy, 'listening');
  open.push({ close: async () => await new Promise<void>((closed) => busy.close(() => closed())) });
  const problem = (at: number, program: 'api' | 'worker') => start({ TRAILMARK_METRICS_PORT: String(at) }, program);
  await expect(problem(port + 1, 'api')).rejects.toMatchObject({
    field: 'TRAILMARK_METRICS_PORT',
    message: expect.stringContaining(`Port ${port + 1} of 127.0.0.1 is in use`) as string,
  });
  await expect(problem(port, 'worker'), "where Temporal's own would be").rejects.toMatchObject({
    message: expect.stringContaining(`Port ${port + 1} of 127.0.0.1 is in use`) as string,
  });
  // What failed has left nothing behind.
  await start({ TRAILMARK_METRICS_PORT: String(port) }, 'api');
});

interface OtlpSpan {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  status: { code: number };
}

function spansOf(receiver: Receiver): OtlpSpan[] {
  return receiver.requests
    .filter(({ path }) => path === '/v1/traces')
    .flatMap(({ body }) => (body as { resourceSpans: { scopeSpans: { spans: OtlpSpan[] }[] }[] }).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans);
}

test('a collector gets metrics, and one trace of an attempt whose parts were in several processes', async () => {
  const receiver = await collector();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
  const task = { taskId: 'tsk_1', kind: 'sync', attempt: 2 } as const;
  const prepare = async () =>
    await inStepSpan({ ...task, step: 'prepare' }, async () => await Promise.resolve(), failed);
  const deliver = async () =>
    await inStepSpan(
      { ...task, step: 'deliver' },
      async () => {
        await inBatchSpan({ destination: 'webhook', rows: 10 }, async () => await Promise.resolve(), succeeded);
        await inBatchSpan(
          { destination: 'webhook', rows: 4 },
          async () => await Promise.resolve(),
          () => 'destination_unavailable',
        );
        throw new Error('a message that is not for anyone');
      },
      () => 'destination_unavailable',
    );
  const one = await start(env, 'worker');
  await prepare();
  await one.stop();
  const another = await start(env, 'worker');
  await expect(deliver()).rejects.toThrow('a message');
  countAttempt({ kind: 'sync', outcome: 'failed', failure: { code: 'destination_unavailable', class: 'transient' } });
  traceAttempt({
    ...task,
    workspaceId: 'wsp_1',
    startedAt: new Date(1_700_000_000_000),
    endedAt: new Date(1_700_000_060_000),
    outcome: 'failed',
    code: 'destination_unavailable',
  });
  traceAttempt({
    ...task,
    attempt: 3,
    workspaceId: 'wsp_1',
    startedAt: new Date(1_700_000_100_000),
    endedAt: new Date(1_700_000_160_000),
    outcome: 'succeeded',
  });
  await another.stop();

  const spans = spansOf(receiver);
  const roots = spans.filter(({ name }) => name === 'attempt sync');
  expect(roots.map((span) => span.parentSpanId)).toEqual([undefined, undefined]);
  const [second, third] = roots;
  expect(second?.traceId).not.toBe(third?.traceId);
  expect(second?.status.code, 'an error').toBe(2);
  expect(second).toMatchObject({ startTimeUnixNano: '1700000000000000000', endTimeUnixNano: '1700000060000000000' });
  expect(second?.attributes).toContainEqual({ key: 'trailmark.task.id', value: { stringValue: 'tsk_1' } });
  const below = (parent: OtlpSpan | undefined) =>
    spans.filter((span) => span.traceId === parent?.traceId && span.parentSpanId === parent?.spanId);
  expect(below(second).map(({ name }) => name)).toEqual(['step prepare', 'step deliver']);
  const [, delivered] = below(second);
  expect(below(delivered).map(({ status }) => status.code)).toEqual([0, 2]);
  expect(delivered?.attributes).toContainEqual({
    key: 'error.type',
    value: { stringValue: 'destination_unavailable' },
  });
  expect(spans).toHaveLength(6);
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(6);
  expect(JSON.stringify(spans)).not.toContain('a message');

  const metrics = receiver.requests
    .filter(({ path }) => path === '/v1/metrics')
    .map(({ body }) => JSON.stringify(body));
  expect(metrics.at(-1)).toContain('trailmark_task_attempts');
  expect(metrics.at(-1)).toContain('"stringValue":"destination_unavailable"');
  expect(metrics.at(-1)).toContain('"stringValue":"trailmark-worker"');
});

test.each([
  [{}, []],
  [{ OTEL_SDK_DISABLED: 'TRUE' }, ['off']],
  [{ OTEL_TRACES_EXPORTER: 'none' }, ['/v1/metrics']],
  [{ OTEL_METRICS_EXPORTER: 'none' }, ['/v1/traces']],
] as const)('%j is heeded', async (extra, paths) => {
  const receiver = await collector();
  const endpoint = paths.length === 0 ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
  const telemetry = await start({ ...endpoint, ...extra }, 'worker');
  countTaskOutcome({ kind: 'run', outcome: 'succeeded', recovered: false });
  await inStepSpan(
    { taskId: 'tsk_1', kind: 'run', attempt: 1, step: 'compute' },
    async () => await Promise.resolve(),
    failed,
  );
  await telemetry.stop();
  expect(receiver.requests.map(({ path }) => path)).toEqual(paths.filter((path) => path !== 'off'));
  expect(telemetry.temporal === undefined).toBe(!paths.some((path) => path === '/v1/metrics'));
});

test('a sampler that takes some attempts takes all of an attempt or nothing of it', async () => {
  const receiver = await collector();
  process.env['OTEL_TRACES_SAMPLER'] = 'parentbased_traceidratio';
  process.env['OTEL_TRACES_SAMPLER_ARG'] = '0.5';
  const telemetry = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }, 'worker').finally(() => {
    delete process.env['OTEL_TRACES_SAMPLER'];
    delete process.env['OTEL_TRACES_SAMPLER_ARG'];
  });
  for (let task = 0; task < 100; task++) {
    const attempt = { taskId: `tsk_${task}`, kind: 'run', attempt: 1 } as const;
    for (const step of ['compute', 'diff'])
      await inStepSpan({ ...attempt, step }, async () => await Promise.resolve(), failed);
    traceAttempt({
      ...attempt,
      workspaceId: 'wsp_1',
      startedAt: new Date(),
      endedAt: new Date(),
      outcome: 'succeeded',
    });
  }
  await telemetry.stop();
  const sizes = new Map<string, number>();
  for (const { traceId } of spansOf(receiver)) sizes.set(traceId, (sizes.get(traceId) ?? 0) + 1);
  expect(sizes.size).toBeGreaterThan(20);
  expect(sizes.size).toBeLessThan(80);
  expect(new Set(sizes.values())).toEqual(new Set([3]));
});

test('a collector that does not answer does not keep a program that stops', async () => {
  const receiver = await collector();
  receiver.behave(() => ({ hang: 'request' }));
  const telemetry = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }, 'worker');
  countTaskOutcome({ kind: 'run', outcome: 'succeeded', recovered: false });
  const since = performance.now();
  await telemetry.stop();
  expect(performance.now() - since).toBeLessThan(8_000);
});

test.each([
  [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'OTEL_EXPORTER_OTLP_PROTOCOL', 'gRPC is not spoken'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }, 'OTEL_EXPORTER_OTLP_ENDPOINT', 'URL'],
  [{ TRAILMARK_METRICS_HOST: 'localhost' }, 'TRAILMARK_METRICS_HOST', 'an IP address'],
  [{ TRAILMARK_METRICS_PORT: '65535' }, 'TRAILMARK_METRICS_PORT', '65533'],
] as const)('%j is refused in words', (env, field, said) => {
  const read = (): Config => readConfig(env);
  expect(read).toThrow(said);
  expect(read).toThrow(field);
});
