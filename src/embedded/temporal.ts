import { connect } from 'node:http2';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startChild, waitUntilReady, type Child } from './child.ts';
import { freePort } from './ports.ts';
import { endProcess, listProcesses } from './processes.ts';

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

/**
 * Asks DescribeNamespace by gRPC, by hand: the one call that says the server answers and the namespace is there, without
 * loading a gRPC client into the process that only watches over others.
 */
async function hasNamespace(address: string, namespace: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const session = connect(`http://${address}`);
    const done = (answer: boolean): void => {
      session.destroy();
      resolve(answer);
    };
    session.once('error', () => done(false));
    session.setTimeout(2_000, () => done(false));
    const request = session.request({
      ':method': 'POST',
      ':path': '/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    request.once('error', () => done(false));
    // Without a message the status comes in the headers, with one in the trailers.
    request.on('response', (headers) => headers['grpc-status'] !== undefined && done(headers['grpc-status'] === '0'));
    request.on('trailers', (headers) => done(headers['grpc-status'] === '0'));
    request.on('close', () => done(false));
    request.resume();
    request.end(frame(namespace));
  });
}

/** A gRPC frame around a protobuf message whose field 1 is a string. */
function frame(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const message = Buffer.concat([Buffer.from([0x0a, bytes.length]), bytes]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function databaseFile(folder: string): string {
  return join(folder, 'temporal.db');
}
