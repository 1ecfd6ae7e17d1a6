import { isIP } from 'node:net';
import { z } from 'zod';
import { RequestError } from './errors.ts';
import { parseTrustedProxies, type TrustedProxies } from './security/index.ts';

const seconds = z.coerce.number().positive();
const port = z.coerce.number().int().min(0).max(65_535);
const slots = z.coerce.number().int().min(1).max(1_000);
const collector = z.url({ protocol: /^https?$/ });
const trustedProxies = z.string().transform((text, context): TrustedProxies | undefined => {
  try {
    return parseTrustedProxies(text);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  }
});
const onOff = z.enum(['on', 'off']).transform((value) => value === 'on');
const addresses = z
  .string()
  .transform((text) =>
    text
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== ''),
  )
  .refine((list) => list.every(isAddressWithPort), 'IP addresses with their ports, such as 127.0.0.1:8080,[::1]:8080');

function isAddressWithPort(text: string): boolean {
  const [, host = '', digits = ''] = /^(.*):(\d{1,5})$/.exec(text) ?? [];
  const bare = /^\[(.*)\]$/.exec(host)?.[1] ?? host;
  return isIP(bare) !== 0 && (isIP(bare) === 4) === (bare === host) && Number(digits) >= 1 && Number(digits) <= 65_535;
}

/** Every variable that Trailmark reads, with what it means where it is not set. README has the same table, and a test holds the two together. */
const configSchema = z.object({
  /** Where the embedded engines keep everything, the key file and the log files too. */
  TRAILMARK_DATA: z.string().min(1).default('data'),
  /** Where fetched programs are kept: set it to share one copy between data folders. Where it is not set, TRAILMARK_DATA/cache. */
  TRAILMARK_CACHE: z.string().min(1).optional(),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  TEMPORAL_ADDRESS: z
    .string()
    .regex(/^[^\s/]+:\d+$/, 'an address such as 127.0.0.1:7233')
    .optional(),
  TEMPORAL_NAMESPACE: z.string().min(1).default('default'),
  /** Where people reach Temporal's own pages, such as https://temporal.example.com: tasks link there. */
  TEMPORAL_UI_URL: z.url({ protocol: /^https?$/ }).optional(),
  CLICKHOUSE_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** For the embedded engine (`trailmark clickhouse`): its port, its password, and what its queries together may use. */
  TRAILMARK_CLICKHOUSE_PORT: port.default(8123),
  TRAILMARK_CLICKHOUSE_PASSWORD: z.string().min(1).optional(),
  TRAILMARK_CLICKHOUSE_MEMORY_MB: z.coerce.number().int().min(256).optional(),
  /** off skips fsync: for tests only. */
  TRAILMARK_CLICKHOUSE_DURABLE: onOff.default(true),
  /** Encrypts secrets at rest. `trailmark start` makes one in the data folder where it is not set. */
  TRAILMARK_SECRET: z.string().min(32, 'at least 32 characters').optional(),
  TRAILMARK_HOST: z.string().min(1).default('127.0.0.1'),
  TRAILMARK_PORT: port.default(3000),
  /** Where people reach the api, such as https://trailmark.example.com: decides cookies and which Origin may change things. */
  TRAILMARK_PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** Whose X-Forwarded-For is believed: how many proxies stand in front of the api, or the networks that they are in. */
  TRAILMARK_TRUST_PROXY: trustedProxies.optional(),
  /** Requests a second of one token or user; twice as many in a burst. */
  TRAILMARK_RATE_LIMIT: z.coerce.number().int().positive().default(60),
  TRAILMARK_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  TRAILMARK_SAMPLE: onOff.default(true),
  /** Lets destinations and webhooks be on loopback and private addresses: for a self-hosted network. */
  TRAILMARK_ALLOW_PRIVATE_ADDRESSES: onOff.default(false),
  /** The private addresses that destinations and webhooks may be on while others are refused, each with its port. */
  TRAILMARK_ALLOWED_ADDRESSES: addresses.default([]),
  /** Written by `trailmark start`: a JSON array of what no destination may be on, whatever else is allowed. */
  TRAILMARK_REFUSED_ADDRESSES_FILE: z.string().min(1).optional(),
  /** on: the embedded Temporal serves its pages, which ask nobody who they are. */
  TRAILMARK_TEMPORAL_UI: onOff.default(false),
  /**
   * Where Prometheus reads metrics, at /metrics; nothing listens where it is not set. A worker serves Temporal's own on the port
   * after it. `trailmark start` gives it to the api, and the next two to the worker.
   */
  TRAILMARK_METRICS_PORT: z.coerce.number().int().min(1).max(65_533).optional(),
  /** The address that the metrics listen on. They need no token: open it to a network of yours, and to no other. */
  TRAILMARK_METRICS_HOST: z.union([z.ipv4(), z.ipv6()], 'an IP address such as 0.0.0.0').default('127.0.0.1'),
  /** How many tasks may be under way at once, of all workspaces together; the others wait for their turn. */
  TRAILMARK_MAX_IN_FLIGHT: slots.default(250),
  // How much one worker does at once, by kind of work. Each guards something: its connections to PostgreSQL (every workflow task
  // holds at most one), ClickHouse's memory, its own memory (every sync holds a batch), the channels of alerts.
  TRAILMARK_SLOTS_WORKFLOWS: slots.min(2, 'at least 2').default(12),
  TRAILMARK_SLOTS_COMPUTE: slots.default(6),
  TRAILMARK_SLOTS_DELIVER: slots.default(30),
  TRAILMARK_SLOTS_ALERTS: slots.default(6),
  /** Names the build that a worker runs, such as a commit: it takes no work until `trailmark deploy` says so. */
  TRAILMARK_BUILD_ID: z
    .string()
    .regex(/^[\w.+-]{1,100}$/, 'letters, digits, and . _ + -, up to 100 of them')
    .optional(),
  TRAILMARK_SCHEDULER_SECONDS: seconds.default(5),
  /** After how long a silence, or a wait of what takes seconds when all is well, is told by doctor, /readyz and the metrics. */
  TRAILMARK_HEALTH_AFTER_SECONDS: seconds.default(30),
  TRAILMARK_HEARTBEAT_TIMEOUT_SECONDS: seconds.default(30),
  /** How long a run waits for events that came in before it to be loaded, before it computes without them and says so. */
  TRAILMARK_WAIT_FOR_EVENTS_SECONDS: seconds.default(60),
  TRAILMARK_BACKOFF_BASE_SECONDS: seconds.default(5),
  TRAILMARK_BACKOFF_MAX_SECONDS: seconds.default(600),
  // OpenTelemetry's own variables: these decide whether metrics and spans are pushed, and where to. What else there is of them
  // (headers, time-outs, samplers, resource attributes) the SDK reads by itself.
  OTEL_SDK_DISABLED: z.string().optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: collector.optional(),
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: collector.optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: collector.optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: z
    .string()
    .regex(/^http\//, 'http/protobuf or http/json: gRPC is not spoken; a collector takes HTTP on port 4318')
    .optional(),
  OTEL_METRICS_EXPORTER: z.string().optional(),
  OTEL_TRACES_EXPORTER: z.string().optional(),
  OTEL_METRIC_EXPORT_INTERVAL: z.coerce.number().int().positive().default(60_000),
});

export type Config = z.infer<typeof configSchema>;

/** The names of all variables. */
export const SETTINGS: readonly string[] = Object.keys(configSchema.shape);

/** Reads the environment. Empty variables count as not set. Throws a RequestError that names the variable. */
export function readConfig(env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = configSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new RequestError('invalid', 'config_invalid', `The environment is not valid. ${problems.join('; ')}`, {
    field: String(parsed.error.issues[0]?.path[0] ?? ''),
  });
}
