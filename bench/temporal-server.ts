import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { isPortFree, startChild, waitUntilReady, type Child } from '../src/embedded/index.ts';
import { NotMeasurable } from './figure.ts';

const run = promisify(execFile);
const NAME = 'Temporal on PostgreSQL';
const VERSION = 'v1.32.0';
const PROGRAMS = {
  server: `go.temporal.io/server/cmd/server@${VERSION}`,
  sql: `go.temporal.io/server/cmd/tools/sql@${VERSION}`,
} as const;
const DATABASES = { temporal: 'postgresql/v12/temporal', temporal_visibility: 'postgresql/v12/visibility' } as const;
const SERVICES = ['frontend', 'history', 'matching', 'worker'] as const;
// As in the configuration that Temporal's own repository has for one machine.
const HISTORY_SHARDS = 4;
/** gRPC's. */
const ALREADY_EXISTS = 6;

export interface TemporalServerOptions {
  /** Where the programs are kept once they are built. */
  cacheFolder: string;
  /** For its configuration, an absolute path; made where it is missing. */
  folder: string;
  logFile: string;
  /** The PostgreSQL server that gets its two databases; the user of this address may make them. */
  databaseUrl: string;
  namespace: string;
  /** The environment of this process: Go needs it where the programs have to be built. */
  env: Record<string, string | undefined>;
}

/**
 * Starts Temporal's real server, all its services in one process on loopback, over databases of its own in a PostgreSQL server,
 * with the namespace registered. Throws NotMeasurable where the programs are not here and can't be built.
 */
export async function startTemporalServer(options: TemporalServerOptions): Promise<Child & { address: string }> {
  const programs = await findPrograms(options);
  await makeDatabases(programs.sql, options.databaseUrl);
  await mkdir(options.folder, { recursive: true });
  const ports = await freePorts();
  const configFile = join(options.folder, 'config.yaml');
  // JSON is YAML.
  await writeFile(configFile, JSON.stringify(serverConfig(options.databaseUrl, ports), null, 2));
  const child = await startChild({
    name: NAME,
    command: programs.server,
    args: ['--config-file', configFile, '--allow-no-auth', 'start'],
    env: { HOME: options.folder, TZ: 'UTC' },
    logFile: options.logFile,
    cwd: options.folder,
    stopSignal: 'SIGTERM',
    stopGraceMs: 20_000,
  });
  const address = `127.0.0.1:${ports.frontend.grpc}`;
  await waitUntilReady(child, {
    name: NAME,
    logFile: options.logFile,
    timeoutMs: 120_000,
    probe: async () => await registerNamespace(address, options.namespace),
  });
  return { ...child, address };
}

/** The programs in the cache, built on first use: that takes minutes, and the modules come by Go's own proxy. */
async function findPrograms({
  cacheFolder,
  env,
}: TemporalServerOptions): Promise<{ [name in keyof typeof PROGRAMS]: string }> {
  const folder = join(cacheFolder, 'temporal-server', VERSION);
  const programs = { server: join(folder, 'server'), sql: join(folder, 'sql') };
  if (Object.values(programs).every((file) => existsSync(file))) return programs;
  await mkdir(join(cacheFolder, 'temporal-server'), { recursive: true });
  // Built beside, and renamed: a build that was killed leaves no half a program under the name.
  const scratch = await mkdtemp(join(cacheFolder, 'temporal-server', '.building-'));
  try {
    console.error(`Building Temporal's server ${VERSION} into ${folder}. This takes some minutes, once.`);
    await run('go', ['install', ...Object.values(PROGRAMS)], {
      env: { ...env, GOBIN: scratch },
      maxBuffer: 64 * 1024 * 1024,
    });
    await rm(folder, { recursive: true, force: true });
    await rename(scratch, folder);
    return programs;
  } catch (error) {
    const { code, stderr, message } = error as { code?: unknown; stderr?: string; message: string };
    const why =
      code === 'ENOENT' ? 'there is no go on PATH' : (stderr ?? '').trim().split('\n').slice(-3).join(' ') || message;
    throw new NotMeasurable(
      `Temporal's server is built with Go, and that did not work: ${why}. Install the Go that its go.mod names ` +
        `(https://go.dev/dl), or put its programs there as ${programs.server} and ${programs.sql}.`,
      { cause: error },
    );
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** By Temporal's own tool, which has the schemas in it. */
async function makeDatabases(tool: string, databaseUrl: string): Promise<void> {
  const { hostname, port, username, password } = new URL(databaseUrl);
  const env = { SQL_PASSWORD: decodeURIComponent(password) };
  for (const [database, schema] of Object.entries(DATABASES)) {
    const common = ['--plugin', 'postgres12', '--endpoint', hostname, '--port', port, '--user', username];
    const sql = async (...args: string[]): Promise<void> => {
      await run(tool, [...common, '--database', database, ...args], { env });
    };
    await sql('create-database');
    await sql('setup-schema', '--version', '0.0');
    await sql('update-schema', '--schema-name', schema);
  }
  await checkSchema(databaseUrl);
}

/** The tool says what went wrong in its log and may end with 0 all the same. */
async function checkSchema(databaseUrl: string): Promise<void> {
  for (const [database, schema] of Object.entries(DATABASES)) {
    const url = new URL(databaseUrl);
    url.pathname = `/${database}`;
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    try {
      const { rows } = await client.query<{ version: string }>('select curr_version as version from schema_version');
      if (rows[0] === undefined || rows[0].version === '0.0') throw new Error(`${schema} was not set up`);
    } finally {
      await client.end();
    }
  }
}

/** Below 2^15: the table of its cluster's members has them as smallint. */
type Ports = { [service in (typeof SERVICES)[number]]: { grpc: number; membership: number } };

async function freePorts(): Promise<Ports> {
  const taken = new Set<number>();
  const next = async (): Promise<number> => {
    for (;;) {
      const port = randomInt(20_000, 2 ** 15);
      if (taken.has(port) || !(await isPortFree(port, '127.0.0.1'))) continue;
      taken.add(port);
      return port;
    }
  };
  const ports: Partial<Ports> = {};
  for (const service of SERVICES) ports[service] = { grpc: await next(), membership: await next() };
  return ports as Ports;
}

function serverConfig(databaseUrl: string, ports: Ports): object {
  const { host, username, password } = new URL(databaseUrl);
  const store = (databaseName: string, connections: number): object => ({
    sql: {
      pluginName: 'postgres12',
      databaseName,
      connectAddr: host,
      connectProtocol: 'tcp',
      user: username,
      password: decodeURIComponent(password),
      maxConns: connections,
      maxIdleConns: connections,
      maxConnLifetime: '1h',
    },
  });
  const address = `127.0.0.1:${ports.frontend.grpc}`;
  return {
    log: { stdout: true, level: 'error' },
    persistence: {
      defaultStore: 'default',
      visibilityStore: 'visibility',
      numHistoryShards: HISTORY_SHARDS,
      datastores: { default: store('temporal', 20), visibility: store('temporal_visibility', 5) },
    },
    global: { membership: { maxJoinDuration: '30s', broadcastAddress: '127.0.0.1' } },
    services: Object.fromEntries(
      SERVICES.map((service) => {
        const { grpc: grpcPort, membership: membershipPort } = ports[service];
        return [service, { rpc: { grpcPort, membershipPort, bindOnLocalHost: true } }];
      }),
    ),
    clusterMetadata: {
      enableGlobalNamespace: false,
      failoverVersionIncrement: 10,
      masterClusterName: 'active',
      currentClusterName: 'active',
      clusterInformation: {
        active: { enabled: true, initialFailoverVersion: 1, rpcName: 'frontend', rpcAddress: address },
      },
    },
    publicClient: { hostPort: address },
  };
}

/** False while the server does not answer. True when it knows the namespace. */
async function registerNamespace(address: string, namespace: string): Promise<boolean> {
  let connection: Connection | undefined;
  try {
    connection = await Connection.connect({ address, connectTimeout: 2_000 });
    const { workflowService } = connection;
    await workflowService
      .registerNamespace({ namespace, workflowExecutionRetentionPeriod: msToTs('1 day') })
      .catch((error: unknown) => {
        if ((error as { code?: unknown }).code !== ALREADY_EXISTS) throw error;
      });
    // Reads the new namespace from the store where the server's own list of them is older.
    await workflowService.listOpenWorkflowExecutions({ namespace, maximumPageSize: 1 });
    return true;
  } catch {
    return false;
  } finally {
    await connection?.close();
  }
}
