import { bundleWorkflowCode } from '@temporalio/worker';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import {
  endProcess,
  findTemporal,
  listProcesses,
  startClickHouse,
  startPostgres,
  startTemporal,
} from '../../src/embedded/index.ts';
import { createPool, migratePostgres } from '../../src/store/index.ts';
import { SILENT } from './silent-logger.ts';
import { TEMPLATE } from './template.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Answers with the address of an engine, which is started when it is first asked for. */
    engines: string;
  }
}

const PREFIX = 'trailmark-test-';
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Started {
  stop(): Promise<void>;
}

/** One PostgreSQL, one ClickHouse and one Temporal for the whole run; those that no test asks for are never started. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await sweep();
  // The user postgres has to reach it where root runs the tests; the temporary folder is open to all.
  const folder = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  await chmod(folder, 0o711);
  const started: Started[] = [];
  const starts = engineStarts(folder, started);
  const running = new Map<string, Promise<string>>();
  const server = createServer((request, response) => {
    const name = (request.url ?? '/').slice(1);
    const start = starts[name];
    if (start === undefined) {
      response.writeHead(404).end(`no engine is called ${name}`);
      return;
    }
    const address = running.get(name) ?? start();
    running.set(name, address);
    address.then(
      (text) => response.end(text),
      (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  project.provide('engines', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);

  return async () => {
    server.closeAllConnections();
    server.close();
    await Promise.allSettled(running.values());
    await Promise.all(started.map(async (engine) => await engine.stop()));
    await rm(folder, { recursive: true, force: true });
  };
}

/** Ends the engines of runs that were killed, and takes their folders away. */
async function sweep(): Promise<void> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(PREFIX));
  const processes = await listProcesses();
  for (const name of names) {
    const owner = Number(name.slice(PREFIX.length).split('-')[0]);
    if (!Number.isInteger(owner) || processes.some(({ pid }) => pid === owner)) continue;
    const folder = join(tmpdir(), name);
    const left = processes.filter(({ argv }) => argv.some((word) => word.startsWith(`${folder}/`)));
    await Promise.all(left.map(async ({ pid }) => await endProcess(pid, 'SIGINT', 5_000)));
    await rm(folder, { recursive: true, force: true });
  }
}

function engineStarts(folder: string, started: Started[]): Record<string, () => Promise<string>> {
  const passwordOf = (name: string): string => `${name} of a test`;
  return {
    postgres: async () => {
      const postgres = await startPostgres({
        folder: join(folder, 'postgres'),
        password: passwordOf('postgres'),
        port: undefined,
        logFile: join(folder, 'postgres.log'),
        durable: false,
      });
      started.push(postgres);
      await makeTemplate(postgres.databaseUrl);
      return postgres.databaseUrl;
    },
    clickhouse: async () => {
      const clickhouse = await startClickHouse({
        folder: join(folder, 'clickhouse'),
        password: passwordOf('clickhouse'),
        port: undefined,
        logFile: join(folder, 'clickhouse.log'),
        memoryLimitMb: 2_048,
        durable: false,
        env: process.env,
      });
      started.push(clickhouse);
      return clickhouse.clickhouseUrl;
    },
    temporal: async () => {
      const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
      const temporal = await startTemporal({
        folder: join(folder, 'temporal'),
        binary: await findTemporal({
          cacheFolder: process.env['TRAILMARK_CACHE'] ?? join(cache, 'trailmark'),
          env: process.env,
        }),
        namespace: 'default',
        port: undefined,
        uiPort: undefined,
        logFile: join(folder, 'temporal.log'),
      });
      started.push(temporal);
      return temporal.address;
    },
    program: async () => {
      // Where it is there and nothing has changed since, this does nothing.
      await promisify(execFile)(process.execPath, [join(ROOT, 'build.mjs')]);
      return join(ROOT, 'dist/src/bin/trailmark.js');
    },
    workflows: async () => {
      const { code } = await bundleWorkflowCode({ workflowsPath: join(ROOT, 'workflows/index.ts'), logger: SILENT });
      const file = join(folder, 'workflows.js');
      await writeFile(file, code);
      return file;
    },
  };
}

async function makeTemplate(databaseUrl: string): Promise<void> {
  const options = { applicationName: 'trailmark-test-setup', onError: (error: Error) => console.error(error) };
  const admin = createPool({ ...options, connectionString: databaseUrl });
  await admin.query(`create database ${TEMPLATE}`);
  await admin.end();
  const url = new URL(databaseUrl);
  url.pathname = TEMPLATE;
  const pool = createPool({ ...options, connectionString: url.href });
  await migratePostgres(pool);
  await pool.end();
}
