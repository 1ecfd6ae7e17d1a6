import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../config.ts';
import {
  endProcess,
  freePort,
  isPortFree,
  listProcesses,
  planEngines,
  programCommand,
  StartError,
  startChild,
  supervise,
  waitUntilReady,
  type Child,
  type DataFolder,
  type Supervised,
} from '../../embedded/index.ts';
import { createClickHouse, createPool, migrateClickHouse, migratePostgres, UNLIMITED } from '../../store/index.ts';
import type { Addresses } from './addresses.ts';
import { checkClickHouse, checkPostgres, checkRestore, checkTemporal } from '../checks/checks.ts';
import type { ShowStages, Stage } from './stages.ts';

export interface SystemOptions {
  config: Config;
  /** The environment of this process; `extraEnv` is added for the api and the worker. */
  env: Record<string, string | undefined>;
  extraEnv?: Record<string, string>;
  data: DataFolder;
  show: ShowStages;
  /** Hears in sentences of children that died and came back. */
  onNotice: (sentence: string) => void;
  /** Which programs run on the engines; both where it is not given. */
  programs?: readonly ('api' | 'worker')[];
}

/** Everything that `trailmark start` runs, once it runs. */
export interface System {
  /** Where this machine reaches the api. */
  apiUrl: string;
  addresses: Addresses;
  temporalUiUrl: string | undefined;
  temporalIsEmbedded: boolean;
  /** The children that run, engines first. */
  processes(): Supervised[];
  stop(): Promise<void>;
}

/** A system that is being started: `kill` ends its children at once, however far it is. */
export interface Starting {
  started: Promise<System>;
  kill(): void;
}

/**
 * Starts the engines that no address replaces, brings the schemas up to date, and runs the api and the worker as children,
 * each restarted when it dies. When something fails, or `signal` is aborted on the way, all that has started is ended again.
 */
export function startSystem(options: SystemOptions, signal: AbortSignal): Starting {
  const { config, data, show, onNotice } = options;
  const refusedFile = join(data.path, 'refused-addresses.json');
  const engines = planEngines({
    data,
    given: {
      databaseUrl: config.DATABASE_URL,
      temporalAddress: config.TEMPORAL_ADDRESS,
      clickhouseUrl: config.CLICKHOUSE_URL,
    },
    temporalNamespace: config.TEMPORAL_NAMESPACE,
    temporalPages: config.TRAILMARK_TEMPORAL_UI,
    onTemporalPorts: async (ports) => await writeRefused(refusedFile, ports, config),
    cacheFolder: config.TRAILMARK_CACHE ?? join(data.path, 'cache'),
    clickhouseMemoryMb: config.TRAILMARK_CLICKHOUSE_MEMORY_MB,
    env: options.env,
    signal,
    onNotice,
  });
  const programs: Supervised[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(programs.map(async (program) => await program.stop()));
    await engines.stop();
  };
  const start = async (): Promise<System> => {
    const secret = config.TRAILMARK_SECRET ?? (await data.secret());
    const port = await chooseApiPort(config);
    await requireMetricsPorts(config);
    await endOrphanedPrograms(data.path);
    const stagesOfEngines: Stage[] = engines.starts.map(({ name, start: begin }) => ({ title: name, run: begin }));
    await show([...stagesOfEngines, ...stagesOfGiven(config)]);
    signal.throwIfAborted();
    const addresses: Addresses = {
      databaseUrl: engines.addressOf('databaseUrl'),
      temporalAddress: engines.addressOf('temporalAddress'),
      clickhouseUrl: engines.addressOf('clickhouseUrl'),
      secret,
    };
    await show([{ title: 'Schema', run: async () => await migrate(addresses) }]);
    const restored = await checkRestore(addresses.databaseUrl);
    if (restored !== undefined) onNotice(sentence(restored));
    signal.throwIfAborted();
    const env = {
      ...options.env,
      ...options.extraEnv,
      DATABASE_URL: addresses.databaseUrl,
      TEMPORAL_ADDRESS: addresses.temporalAddress,
      TEMPORAL_UI_URL: config.TEMPORAL_UI_URL ?? engines.temporalUiUrl(),
      CLICKHOUSE_URL: addresses.clickhouseUrl,
      TRAILMARK_SECRET: secret,
      TRAILMARK_PORT: String(port),
      TRAILMARK_REFUSED_ADDRESSES_FILE: refusedFile,
    };
    const names = options.programs ?? (['api', 'worker'] as const);
    await show(
      names.map((name) => ({
        title: name === 'api' ? 'API' : 'Worker',
        run: async (report) => {
          report('starting');
          const { supervised } = await supervise({
            name: name === 'api' ? 'The API' : 'The worker',
            onNotice,
            start: async () => await startProgram(name, { ...env, ...metricsPortOf(name, config) }, data.path),
          });
          programs.push(supervised);
          return name === 'api' ? `${config.TRAILMARK_HOST}:${port}` : 'ready';
        },
      })),
    );
    signal.throwIfAborted();
    return {
      apiUrl: `http://${localHostOf(config.TRAILMARK_HOST)}:${port}`,
      addresses,
      temporalUiUrl: engines.temporalUiUrl(),
      temporalIsEmbedded: config.TEMPORAL_ADDRESS === undefined,
      processes: () => [...engines.running(), ...programs],
      stop,
    };
  };
  const started = start().catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    started,
    kill: () => {
      for (const child of [...programs, ...engines.running()]) child.kill();
    },
  };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** Brings both stores to the newest schema, and says what it did. */
export async function migrate(addresses: { databaseUrl: string; clickhouseUrl: string }): Promise<string> {
  const pool = createPool({
    connectionString: addresses.databaseUrl,
    applicationName: 'trailmark-migrate',
    max: 2,
    limits: UNLIMITED,
    onError: () => undefined,
  });
  const clickhouse = createClickHouse({ url: addresses.clickhouseUrl, applicationName: 'trailmark-migrate' });
  try {
    const applied = [...(await migratePostgres(pool)), ...(await migrateClickHouse(clickhouse, pool))];
    return applied.length === 0 ? 'up to date' : `${applied.length} migrations applied`;
  } finally {
    await clickhouse.close();
    await pool.end();
  }
}

/** The api or the worker as a child that ends when this process does. */
async function startProgram(
  name: 'api' | 'worker',
  env: Record<string, string | undefined>,
  owner: string,
): Promise<Child> {
  const logs = join(owner, 'logs');
  await mkdir(logs, { recursive: true });
  const logFile = join(logs, `${name}.log`);
  const program = programCommand();
  const child = await startChild({
    name: `trailmark ${name}`,
    command: program.command,
    args: [...program.args, name, '--owner', owner],
    env,
    logFile,
    leash: true,
    stopSignal: 'SIGTERM',
    // The worker lets activities that run end, for up to ten seconds.
    stopGraceMs: 20_000,
  });
  let ready = false;
  void child.saysReady.then(() => (ready = true));
  await waitUntilReady(child, {
    name: `trailmark ${name}`,
    logFile,
    timeoutMs: 60_000,
    probe: async () => await Promise.resolve(ready),
  });
  return child;
}

/** What a killed start left running ends by itself, but not at once: two workers of one folder would be one too many. */
async function endOrphanedPrograms(owner: string): Promise<void> {
  const orphans = (await listProcesses()).filter(({ argv }) => {
    const at = argv.indexOf('--owner');
    return at > 0 && argv[at + 1] === owner && ['api', 'worker'].includes(argv[at - 1] ?? '');
  });
  await Promise.all(orphans.map(async ({ pid }) => await endProcess(pid, 'SIGTERM', 15_000)));
}

/** A given server is looked at before anything depends on it. */
function stagesOfGiven(config: Config): Stage[] {
  const { DATABASE_URL, CLICKHOUSE_URL, TEMPORAL_ADDRESS } = config;
  const stage = (title: string, check: () => Promise<{ version: string }>): Stage => ({
    title,
    run: async () => `version ${(await check()).version}, as given`,
  });
  return [
    ...(DATABASE_URL === undefined ? [] : [stage('PostgreSQL', async () => await checkPostgres(DATABASE_URL))]),
    ...(CLICKHOUSE_URL === undefined ? [] : [stage('ClickHouse', async () => await checkClickHouse(CLICKHOUSE_URL))]),
    ...(TEMPORAL_ADDRESS === undefined
      ? []
      : [stage('Temporal', async () => await checkTemporal(TEMPORAL_ADDRESS, config.TEMPORAL_NAMESPACE))]),
  ];
}

/** The api's port, before anything else has started. 0 is any free one. */
async function chooseApiPort(config: Config): Promise<number> {
  const { TRAILMARK_HOST: host, TRAILMARK_PORT: port } = config;
  if (port === 0) return await freePort();
  if (!(await isPortFree(port, host))) {
    throw new StartError(
      `Port ${port} of ${host} is in use. Stop what listens there, or set TRAILMARK_PORT to another port.`,
    );
  }
  return port;
}

/** What no destination may be on, for the api and the worker to read: the ports of Temporal, and those where programs tell of themselves. */
async function writeRefused(file: string, temporalPorts: readonly number[], config: Config): Promise<void> {
  const { TRAILMARK_METRICS_HOST: host, TRAILMARK_METRICS_PORT: first } = config;
  const metrics = first === undefined ? [] : [first, first + 1, first + 2].map((port) => `${host}:${port}`);
  const refused = [...temporalPorts.map((port) => `127.0.0.1:${port}`), ...metrics];
  await writeFile(`${file}.new`, `${JSON.stringify(refused)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** The api's metrics, the worker's, and Temporal's of the worker, on three ports in a row: the programs are on one machine. */
function metricsPortOf(name: 'api' | 'worker', config: Config): Record<string, string> {
  const port = config.TRAILMARK_METRICS_PORT;
  // Empty is not set, whatever this process was given.
  if (port === undefined) return { TRAILMARK_METRICS_PORT: '' };
  return { TRAILMARK_METRICS_PORT: String(name === 'api' ? port : port + 1) };
}

async function requireMetricsPorts(config: Config): Promise<void> {
  const { TRAILMARK_METRICS_HOST: host, TRAILMARK_METRICS_PORT: first } = config;
  if (first === undefined) return;
  for (const port of [first, first + 1, first + 2]) {
    if (await isPortFree(port, host)) continue;
    throw new StartError(
      `Port ${port} of ${host} is in use. Metrics take TRAILMARK_METRICS_PORT and the two ports after it: set it so that all three are free.`,
    );
  }
}

function localHostOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
