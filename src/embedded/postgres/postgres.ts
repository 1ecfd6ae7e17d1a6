import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, readFile, readlink, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { startChild, waitUntilReady, type Child } from '../child.ts';
import { StartError } from '../errors.ts';
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';
import { findLauncher, type Launcher } from './postgres-user.ts';
import { startOnFreePort } from '../ports.ts';
import { endProcess, listProcesses } from '../processes.ts';

const run = promisify(execFile);
const ROLE = 'trailmark';
const DATABASE = 'trailmark';
const NAME = 'PostgreSQL';

export interface PostgresOptions {
  /** The cluster's folder, an absolute path; made where it is missing. */
  folder: string;
  password: string;
  /** The port it had last time; another one where that is taken, unless it is fixed. */
  port?: number | undefined;
  portIsFixed?: boolean;
  logFile: string;
  /** False only where the data may be lost with the machine: tests. */
  durable: boolean;
}

export interface RunningPostgres extends Child {
  port: number;
  databaseUrl: string;
  /** True when the folder was made by this start. */
  fresh: boolean;
}

/** Starts PostgreSQL on loopback with password authentication, after cleaning up what a killed start left in the folder. */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const binaries = await findPostgresBinaries();
  const launcher = await findLauncher({ folder: options.folder, postgres: binaries.postgres });
  await endOrphanedPostgres(options.folder);
  const fresh = await initialise(binaries, launcher, options);
  const running = await startOnFreePort(options, async (port) => await serve(binaries, launcher, options, port));
  return { ...running, fresh };
}

async function serve(
  binaries: PostgresBinaries,
  launcher: Launcher,
  options: PostgresOptions,
  port: number,
): Promise<Omit<RunningPostgres, 'fresh'>> {
  const child = await startChild({
    name: NAME,
    ...launcher.wrap(binaries.postgres, postgresArguments(options, port)),
    env: { LC_ALL: 'C', TZ: 'UTC' },
    logFile: options.logFile,
    cwd: options.folder,
    stopSignal: 'SIGINT', // fast shutdown: ends sessions, rolls back what is open, writes a checkpoint
    stopGraceMs: 60_000,
    killSignal: 'SIGQUIT', // immediate shutdown: SIGKILL would leave its shared memory behind
  });
  const urlOf = (database: string): string =>
    `postgresql://${ROLE}:${encodeURIComponent(options.password)}@127.0.0.1:${port}/${database}`;
  await waitUntilReady(child, {
    name: NAME,
    logFile: options.logFile,
    // After a crash it may have a long log to replay.
    timeoutMs: 120_000,
    probe: async () => await makeDatabase(urlOf('postgres'), options.folder),
  });
  return { ...child, port, databaseUrl: urlOf(DATABASE) };
}

/** Ends a server that a killed start left on this folder, and takes its pid file away: by name and folder, never by a number alone. */
async function endOrphanedPostgres(folder: string): Promise<void> {
  const orphans = (await listProcesses()).filter(
    ({ argv }) => argv[0]?.endsWith('/postgres') === true && argv[1] === '-D' && argv[2] === folder,
  );
  for (const { pid } of orphans) await endProcess(pid, 'SIGINT', 30_000);
  await endOrphanedBackends(folder);
  // Its number may by now be another program's, which PostgreSQL would take for itself and refuse to start.
  await rm(join(folder, 'postmaster.pid'), { force: true });
}

/**
 * Ends the backends of a server that was killed alone. One that waits notices by itself; one that computes goes on, and as long
 * as it does, no other server opens the folder. They are told by the folder that they work in; where the system does not say
 * which that is, they are left to end by themselves.
 */
async function endOrphanedBackends(folder: string): Promise<void> {
  const backends = (await listProcesses()).filter(({ argv }) => argv[0]?.startsWith('postgres: ') === true);
  const own = await realpath(folder).catch(() => folder);
  await Promise.all(
    backends.map(async ({ pid }) => {
      const worksIn = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
      if (worksIn === own) await endProcess(pid, 'SIGTERM', 5_000);
    }),
  );
}

function postgresArguments(options: PostgresOptions, port: number): string[] {
  const settings: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '128MB',
    max_wal_size: '1GB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    logging_collector: 'off',
    log_min_messages: 'warning',
    log_checkpoints: 'off',
    ...(options.durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  return ['-D', options.folder, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

/** initdb goes to a folder of its own, which gets its name when it is whole: a folder with the name is never half made. */
async function initialise(binaries: PostgresBinaries, launcher: Launcher, options: PostgresOptions): Promise<boolean> {
  if (existsSync(join(options.folder, 'PG_VERSION'))) {
    await refuseOtherVersion(binaries, options.folder);
    return false;
  }
  const partial = `${options.folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true, mode: 0o700 });
  const passwordFile = join(partial, `..`, `.${randomBytes(6).toString('hex')}.password`);
  await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600 });
  try {
    const { ids } = launcher;
    if (ids !== undefined) {
      await chown(partial, ids.uid, ids.gid);
      await chown(passwordFile, ids.uid, ids.gid);
    }
    const initdb = launcher.wrap(binaries.initdb, [
      `--pgdata=${partial}`,
      `--username=${ROLE}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      ...(options.durable ? [] : ['--no-sync']),
    ]);
    const { uid, gid } = initdb;
    await run(initdb.command, initdb.args, { uid, gid, cwd: dirname(partial), env: { LC_ALL: 'C', TZ: 'UTC' } });
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    const said = (stderr ?? '').trim() || message;
    throw new StartError(`PostgreSQL can't make its folder ${options.folder}: ${said}`, { cause: error });
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(partial, options.folder);
  if (options.durable) await syncFolder(dirname(options.folder));
  return true;
}

async function refuseOtherVersion(binaries: PostgresBinaries, folder: string): Promise<void> {
  const made = (await readFile(join(folder, 'PG_VERSION'), 'utf8')).trim();
  const { stdout } = await run(binaries.postgres, ['--version']);
  const have = /(\d+)\./.exec(stdout)?.[1];
  if (have !== undefined && have !== made) {
    throw new StartError(
      `${folder} was made by PostgreSQL ${made}, and this is PostgreSQL ${have}. Dump it with the old version and restore it, or name another TRAILMARK_DATA.`,
    );
  }
}

/** False while the server is not ready. Makes the database where it is missing. */
async function makeDatabase(url: string, folder: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    // Whoever has taken the port since it was chosen is not our server, even if it lets us in.
    const server = await client.query<{ folder: string }>(`select current_setting('data_directory') as folder`);
    if (server.rows[0]?.folder !== folder) return false;
    const found = await client.query('select from pg_database where datname = $1', [DATABASE]);
    if (found.rowCount === 0) await client.query(`create database ${DATABASE}`);
    return true;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === '28P01') {
      throw new StartError(
        `PostgreSQL in ${folder} does not take the password in engines.json beside it. Restore that file from a backup, or move both away to begin anew.`,
        { cause: error },
      );
    }
    if (code === '53100') throw new StartError(`No space is left on the disk of ${folder}. Free some and start again.`);
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
