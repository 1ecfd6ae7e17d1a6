import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild, waitUntilReady, type Child } from './child.ts';
import { freePort } from './ports.ts';
import { endProcess, listProcesses } from './processes.ts';
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
  uiPort?: number | undefined;
  logFile: string;
}

export interface RunningTemporal extends Child {
  port: number;
  uiPort: number;
  address: string;
  uiUrl: string;
}

/** Starts Temporal's development server on loopback, persisted in one file, with its pages. */
export async function startTemporal(options: TemporalOptions): Promise<RunningTemporal> {
  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  await endOrphanedTemporal(options.folder);
  const port = await freePort(options.port, options.portIsFixed);
  const uiPort = await freePort(options.uiPort);
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
      '--ui-port',
      String(uiPort),
      '--namespace',
      options.namespace,
      '--log-level',
      'error',
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
  return { ...child, port, uiPort, address, uiUrl: `http://127.0.0.1:${uiPort}` };
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
