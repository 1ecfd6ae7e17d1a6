import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readLog, startChild, waitUntilReady, type Child } from '../child.ts';
import { freePort, startOnFreePort } from '../ports.ts';
import { endProcess, listProcesses } from '../processes.ts';
import { hasNamespace } from './temporal-probe.ts';

const NAME = 'Temporal';

export interface TemporalOptions {
  /** The folder of its database file, an absolute path; made where it is missing. */
  folder: string;
  /** The `temporal` program: see findTemporal. */
  binary: string;
  namespace: string;
  /** The ports it had last time; others where they are taken, unless the first is fixed. */
  port?: number | undefined;
  portIsFixed?: boolean;
  /** Whether it serves its pages, which ask nobody who they are. */
  pages?: boolean;
  uiPort?: number | undefined;
  logFile: string;
}

export interface RunningTemporal extends Child {
  port: number;
  /** Where its pages are, where it serves them. */
  uiPort: number | undefined;
  address: string;
  uiUrl: string | undefined;
  /** All that it listens on, also for its own parts. */
  ports: number[];
}

/**
 * Starts Temporal's development server on loopback, persisted in one file. It asks nobody who they are, and has no setting for that; so
 * what can be left away is: its pages, unless they are asked for, and its HTTP API, which can only be told to answer to no host.
 */
export async function startTemporal(options: TemporalOptions): Promise<RunningTemporal> {
  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  await endOrphanedTemporal(options.folder);
  return await startOnFreePort(options, async (port) => await serve(options, port));
}

async function serve(options: TemporalOptions, port: number): Promise<RunningTemporal> {
  const uiPort = options.pages === true ? await freePort(options.uiPort) : undefined;
  const child = await startChild({
    name: NAME,
    command: options.binary,
    args: [
      'server',
      'start-dev',
      '--db-filename',
      databaseFile(options.folder),
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      ...(uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort), '--ui-disable-news-fetch']),
      '--dynamic-config-value',
      'frontend.httpAllowedHosts=[]',
      // Workspaces take turns where work waits in a queue.
      '--dynamic-config-value',
      'matching.enableFairness=true',
      '--namespace',
      options.namespace,
      '--log-level',
      'error',
      // Its other ports are chosen by itself, and told nowhere else.
      '--log-config',
    ],
    // The program keeps a configuration of its own in the home folder, which must not change what it does here.
    env: { HOME: options.folder, TZ: 'UTC' },
    logFile: options.logFile,
    cwd: options.folder,
    stopSignal: 'SIGTERM',
    stopGraceMs: 15_000,
  });
  const address = `127.0.0.1:${port}`;
  await waitUntilReady(child, {
    name: NAME,
    logFile: options.logFile,
    timeoutMs: 60_000,
    probe: async () => await hasNamespace(address, options.namespace),
  });
  const told = portsIn(await readLog(child, options.logFile));
  return {
    ...child,
    port,
    uiPort,
    address,
    uiUrl: uiPort === undefined ? undefined : `http://127.0.0.1:${uiPort}`,
    ports: [...new Set([port, ...(uiPort === undefined ? [] : [uiPort]), ...told])],
  };
}

/** The ports in the server's configuration, as `--log-config` writes it. */
function portsIn(text: string): number[] {
  const found = text.matchAll(/\b(?:grpcPort|httpPort|membershipPort|listenAddress|hostPort): (?:[\d.]+:)?(\d+)$/gm);
  return [...found].map(([, port]) => Number(port)).filter((port) => port > 0);
}

/** Ends a server that a killed start left on this folder. */
async function endOrphanedTemporal(folder: string): Promise<void> {
  const file = databaseFile(folder);
  const orphans = (await listProcesses()).filter(
    ({ argv }) => argv.includes('start-dev') && argv[argv.indexOf('--db-filename') + 1] === file,
  );
  for (const { pid } of orphans) await endProcess(pid, 'SIGTERM', 15_000);
}

function databaseFile(folder: string): string {
  return join(folder, 'temporal.db');
}
