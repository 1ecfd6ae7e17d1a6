import { mkdir } from 'node:fs/promises';
import { request } from 'node:http';
import { startChild, waitUntilReady, type Child } from './child.ts';
import { startOnFreePort } from './ports.ts';
import { endProcess, listProcesses } from './processes.ts';
import { programCommand } from './program.ts';

const NAME = 'ClickHouse';
// One thread of libuv's pool for each query that runs at once, and some for files and names.
const THREADS = 24;

export interface EmbeddedClickHouseOptions {
  /** The folder of its data, an absolute path; made where it is missing. */
  folder: string;
  password: string;
  /** The port it had last time; another one where that is taken, unless it is fixed. */
  port?: number | undefined;
  portIsFixed?: boolean;
  logFile: string;
  /** What all queries together may use, in MiB; undefined leaves it to the server. */
  memoryLimitMb: number | undefined;
  /** False only where the data may be lost with the machine: tests. */
  durable: boolean;
  /** The environment of this process, for the child. */
  env: Record<string, string | undefined>;
}

export interface RunningClickHouse extends Child {
  port: number;
  clickhouseUrl: string;
}

/** Starts `trailmark clickhouse` as a child on loopback, with a password. It ends by itself when this process dies. */
export async function startClickHouse(options: EmbeddedClickHouseOptions): Promise<RunningClickHouse> {
  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  await endOrphanedClickHouse(options.folder);
  return await startOnFreePort(options, async (port) => await serve(options, port));
}

async function serve(options: EmbeddedClickHouseOptions, port: number): Promise<RunningClickHouse> {
  const program = programCommand();
  const child = await startChild({
    name: NAME,
    command: program.command,
    args: [...program.args, 'clickhouse', '--folder', options.folder],
    env: {
      ...options.env,
      UV_THREADPOOL_SIZE: String(THREADS),
      TRAILMARK_CLICKHOUSE_PORT: String(port),
      TRAILMARK_CLICKHOUSE_PASSWORD: options.password,
      TRAILMARK_CLICKHOUSE_MEMORY_MB: options.memoryLimitMb === undefined ? undefined : String(options.memoryLimitMb),
      TRAILMARK_CLICKHOUSE_DURABLE: options.durable ? 'on' : 'off',
    },
    logFile: options.logFile,
    leash: true,
    stopSignal: 'SIGTERM',
    stopGraceMs: 30_000,
  });
  await waitUntilReady(child, {
    name: NAME,
    logFile: options.logFile,
    timeoutMs: 120_000,
    probe: async () => await isServing(port, options.password),
  });
  return {
    ...child,
    port,
    clickhouseUrl: `http://trailmark:${encodeURIComponent(options.password)}@127.0.0.1:${port}/trailmark`,
  };
}

/** Ends a server that a killed start left on this folder: one process owns it at a time. */
async function endOrphanedClickHouse(folder: string): Promise<void> {
  const orphans = (await listProcesses()).filter(({ argv }) => {
    const at = argv.indexOf('clickhouse');
    return at > 0 && argv[at + 1] === '--folder' && argv[at + 2] === folder;
  });
  for (const { pid } of orphans) await endProcess(pid, 'SIGTERM', 30_000);
}

/** True when the server on this port answers, and takes this password: whoever else took the port meanwhile does not. */
async function isServing(port: number, password: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path: '/?query=SELECT+1',
        auth: `trailmark:${password}`,
        timeout: 5_000,
        agent: false,
      },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    sent.once('timeout', () => sent.destroy());
    sent.once('error', () => resolve(false));
    sent.end();
  });
}
