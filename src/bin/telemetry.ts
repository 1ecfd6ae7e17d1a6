import { context, diag, DiagLogLevel, trace } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes, type Resource } from '@opentelemetry/resources';
import {
  MeterProvider,
  PeriodicExportingMetricReader,
  type IMetricReader,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  RandomIdGenerator,
  type IdGenerator,
} from '@opentelemetry/sdk-trace-node';
import { randomUUID } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Config } from '../config.ts';
import { isPortFree } from '../embedded/index.ts';
import { RequestError } from '../errors.ts';
import { startListener, targetOf, type Listener } from '../listen/index.ts';
import type { Logger } from '../logger.ts';
import {
  installMetrics,
  installTracing,
  plannedSpanIds,
  uninstallMetrics,
  uninstallTracing,
} from '../metrics/index.ts';
import { createReadingsProducer, type Reading } from './checks/readings.ts';

/** What a reading of a store may take. Prometheus gives a scrape ten seconds. */
const READING_TIMEOUT_MS = 3_000;
/** A collector that does not answer must not keep a program that was asked to stop. */
const LAST_PUSH_TIMEOUT_MS = 3_000;

export interface Telemetry {
  /** Where Temporal's own metrics of a worker go, for Runtime.install; undefined for nowhere. */
  temporal: TemporalMetrics | undefined;
  /** Pushes what is left, and stops listening. */
  stop(): Promise<void>;
}

/** The part of the Runtime's telemetryOptions.metrics that is used. */
type TemporalMetrics = { globalTags?: Record<string, string> } & (
  | { prometheus: { bindAddress: string; useSecondsForDurations: true; countersTotalSuffix: true; unitSuffix: true } }
  | { otel: { url: string; http: true; useSecondsForDurations: true; metricsExportInterval: number } }
);

/**
 * Lets this program be watched: metrics for Prometheus where TRAILMARK_METRICS_PORT is set, metrics and spans pushed by OTLP
 * where OpenTelemetry's own variables say so, nothing where neither is set. Throws a RequestError where the port can't be
 * listened on.
 */
export async function startTelemetry(options: {
  program: 'api' | 'worker';
  config: Config;
  logger: Logger;
  /** Gauges that are read from the stores whenever metrics are asked for. */
  readings?: readonly Reading[];
}): Promise<Telemetry> {
  const { config, logger } = options;
  const instanceId = randomUUID();
  const push = pushTargets(config);
  // The environment's attributes (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) go before ours.
  const resource = resourceFromAttributes({
    'service.name': `trailmark-${options.program}`,
    'service.instance.id': instanceId,
  }).merge(detectResources({ detectors: [envDetector] }));
  logTrouble(logger);

  const producers = [createReadingsProducer(options.readings ?? [], READING_TIMEOUT_MS)];
  const prometheus = config.TRAILMARK_METRICS_PORT === undefined ? undefined : createPrometheus(producers);
  const readers: IMetricReader[] = prometheus === undefined ? [] : [prometheus];
  if (push.metrics !== undefined) readers.push(createPushReader(config, push.metrics, producers));
  const meters = readers.length === 0 ? undefined : new MeterProvider({ resource, readers });
  if (meters !== undefined) installMetrics(meters.getMeter('trailmark'));
  const tracers = push.traces === undefined ? undefined : createTracers(push.traces, resource);
  if (tracers !== undefined) installTracing(tracers.getTracer('trailmark'));

  let listener: Listener | undefined;
  const stop = async (): Promise<void> => {
    uninstallMetrics();
    uninstallTracing();
    if (tracers !== undefined) {
      trace.disable();
      context.disable();
    }
    const stopping = Promise.allSettled([meters?.shutdown(), tracers?.shutdown(), listener?.closeNow()]);
    await Promise.race([stopping, wait(LAST_PUSH_TIMEOUT_MS, undefined, { ref: false })]);
  };
  try {
    if (prometheus !== undefined) listener = await servePrometheus(prometheus, config, logger);
    if (options.program === 'worker') await requirePortForTemporal(config);
  } catch (error) {
    await stop();
    throw error instanceof RequestError ? error : listenError(error as NodeJS.ErrnoException, config);
  }
  return { temporal: temporalMetrics(config, push.metrics, instanceId), stop };
}

/** Where metrics and spans are pushed to, by the rules of OpenTelemetry's specification; undefined for not at all. */
function pushTargets(config: Config): { metrics: string | undefined; traces: string | undefined } {
  if (config.OTEL_SDK_DISABLED?.toLowerCase() === 'true') return { metrics: undefined, traces: undefined };
  const base = config.OTEL_EXPORTER_OTLP_ENDPOINT;
  const below = (path: string): string | undefined =>
    base === undefined ? undefined : `${base.replace(/\/$/, '')}/${path}`;
  return {
    metrics:
      config.OTEL_METRICS_EXPORTER === 'none'
        ? undefined
        : (config.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT ?? below('v1/metrics')),
    traces:
      config.OTEL_TRACES_EXPORTER === 'none'
        ? undefined
        : (config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? below('v1/traces')),
  };
}

function createPrometheus(metricProducers: MetricProducer[]): PrometheusExporter {
  return new PrometheusExporter({
    preventServerStart: true,
    // One scope: it would be the same label on every line.
    withoutScopeInfo: true,
    metricProducers,
  });
}

/** Serves /metrics. The exporter's own server would do, but for what ends a process: see src/listen. */
async function servePrometheus(exporter: PrometheusExporter, config: Config, logger: Logger): Promise<Listener> {
  const host = config.TRAILMARK_METRICS_HOST;
  const listener = await startListener({
    host,
    port: config.TRAILMARK_METRICS_PORT ?? 0,
    refuseWebPages: host.startsWith('127.') || host === '::1',
    onError: (error) => logger.warn({ err: error }, 'a reader of the metrics got no answer'),
    answer: (request, response) => {
      if (targetOf(request).path === '/metrics') exporter.getMetricsRequestHandler(request, response);
      else response.writeHead(404).end();
    },
  });
  listener.server.unref();
  return listener;
}

// Both exporters find headers, time-outs and certificates in the environment by themselves.
function createPushReader(
  config: Config,
  url: string,
  metricProducers: MetricProducer[],
): PeriodicExportingMetricReader {
  return new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({ url }),
    exportIntervalMillis: config.OTEL_METRIC_EXPORT_INTERVAL,
    metricProducers,
  });
}

function createTracers(url: string, resource: Resource): NodeTracerProvider {
  const tracers = new NodeTracerProvider({
    resource,
    idGenerator: createIdGenerator(),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url }))],
  });
  // Only what is below a span in this process knows of it: nothing is put into requests to the outside.
  tracers.register({ propagator: null });
  return tracers;
}

/** Random ids, except for spans whose ids several processes have to agree on. */
function createIdGenerator(): IdGenerator {
  const random = new RandomIdGenerator();
  return {
    generateTraceId: () => plannedSpanIds()?.traceId ?? random.generateTraceId(),
    generateSpanId: () => plannedSpanIds()?.spanId ?? random.generateSpanId(),
  };
}

/** Temporal's native part can serve or push, not both: Prometheus goes first, because its port is set for Trailmark alone. */
function temporalMetrics(config: Config, pushTo: string | undefined, instanceId: string): TemporalMetrics | undefined {
  const { TRAILMARK_METRICS_HOST: host, TRAILMARK_METRICS_PORT: port } = config;
  if (port !== undefined) {
    const bindAddress = `${isIPv6(host) ? `[${host}]` : host}:${port + 1}`;
    return {
      prometheus: { bindAddress, useSecondsForDurations: true, countersTotalSuffix: true, unitSuffix: true },
    };
  }
  if (pushTo === undefined) return undefined;
  return {
    // Of a resource, as ours: or the sums of two workers would be taken for one that jumps.
    globalTags: { 'service.instance.id': instanceId },
    otel: {
      url: pushTo,
      http: true,
      useSecondsForDurations: true,
      metricsExportInterval: config.OTEL_METRIC_EXPORT_INTERVAL,
    },
  };
}

/** Temporal's native part says no more than that it failed where its port is taken. */
async function requirePortForTemporal(config: Config): Promise<void> {
  const { TRAILMARK_METRICS_HOST: host, TRAILMARK_METRICS_PORT: port } = config;
  if (port === undefined || (await isPortFree(port + 1, host))) return;
  throw new RequestError(
    'unavailable',
    'cannot_listen',
    `Port ${port + 1} of ${host} is in use, where a worker serves Temporal's own metrics: that is the one after TRAILMARK_METRICS_PORT. Stop what listens there, or set TRAILMARK_METRICS_PORT so that two ports are free.`,
    { field: 'TRAILMARK_METRICS_PORT' },
  );
}

/** What goes wrong with a push or a reading goes to our log; it never stops a program. */
function logTrouble(logger: Logger): void {
  const warn = (message: string, ...details: unknown[]): void => {
    const err = details.find((detail) => detail instanceof Error);
    logger.warn(err === undefined ? {} : { err }, `telemetry: ${message}`);
  };
  const nothing = (): void => undefined;
  const logs = { error: warn, warn, info: nothing, debug: nothing, verbose: nothing };
  diag.setLogger(logs, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
}

function listenError(error: NodeJS.ErrnoException, config: Config): Error {
  const { TRAILMARK_METRICS_HOST: host, TRAILMARK_METRICS_PORT: port } = config;
  const reasons: Record<string, string> = {
    EADDRINUSE: `Port ${port} of ${host} is in use. Stop what listens there, or set TRAILMARK_METRICS_PORT to another port.`,
    EACCES: `This user may not listen on ${host}:${port}. Set TRAILMARK_METRICS_PORT to a port over 1023.`,
    EADDRNOTAVAIL: `This machine has no address ${host}. Set TRAILMARK_METRICS_HOST to one that it has.`,
  };
  const sentence = reasons[error.code ?? ''];
  if (sentence === undefined) return error;
  return new RequestError('unavailable', 'cannot_listen', sentence, { field: 'TRAILMARK_METRICS_PORT', cause: error });
}
