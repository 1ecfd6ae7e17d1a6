import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startPostgres } from '../../src/embedded/index.ts';
import { isAlive } from '../../src/embedded/processes.ts';

let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'trailmark-postgres-'));
  await chmod(scratch, 0o711);
});

afterEach(async () => {
  await rm(scratch, { recursive: true, force: true });
});

const start = async (password = 'secret'): ReturnType<typeof startPostgres> =>
  await startPostgres({
    folder: join(scratch, 'postgres'),
    password,
    logFile: join(scratch, 'postgres.log'),
    durable: true,
  });

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows.flat();
  } finally {
    await client.end();
  }
}

test('what an interrupted initdb left is made anew', async () => {
  await mkdir(join(scratch, 'postgres.partial', 'base'), { recursive: true });
  await writeFile(join(scratch, 'postgres.partial', 'PG_VERSION'), '18\n');
  const server = await start();
  expect(server.fresh).toBe(true);
  expect(await ask(server.databaseUrl, 'show server_encoding')).toEqual(['UTF8']);
  await server.stop();
});

test('kill -9 and a pid file with the number of another living process: the next start has every commit', async () => {
  const first = await start();
  await ask(first.databaseUrl, 'create table kept as select 42 as n');
  process.kill(first.pid, 'SIGKILL');
  await first.exited;
  // As if the number had come to another program, which is this one.
  await writeFile(join(scratch, 'postgres', 'postmaster.pid'), `${process.pid}\n${join(scratch, 'postgres')}\n`);
  const second = await start();
  expect(second.fresh).toBe(false);
  expect(await ask(second.databaseUrl, 'select n from kept')).toEqual([42]);
  await second.stop();
});

test('kill -9 of the server alone: what its backends still do is ended before another server opens the folder', async () => {
  const first = await start();
  const client = new pg.Client({ connectionString: first.databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('create table counted (n int)');
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const backend = rows[0]?.pid ?? 0;
  // Computes and waits for nothing: it does not notice that its server is gone, and could write for a long time still.
  const busy = client.query('do $$ begin loop end loop; end $$').catch(() => 'broken off');
  process.kill(first.pid, 'SIGKILL');
  await first.exited;
  expect(await isAlive(backend)).toBe(true);
  const second = await start();
  expect(await isAlive(backend)).toBe(false);
  expect(await busy).toBe('broken off');
  expect(await ask(second.databaseUrl, 'select count(*)::int as n from counted')).toEqual([0]);
  await second.stop();
});

test('a server that was left running is ended, and its data is there', async () => {
  const first = await start();
  await ask(first.databaseUrl, 'create table kept as select 42 as n');
  const second = await start();
  await first.exited;
  expect(await ask(second.databaseUrl, 'select n from kept')).toEqual([42]);
  await second.stop();
});

test('only who has the password gets in, on loopback alone', async () => {
  const server = await start();
  const url = new URL(server.databaseUrl);
  expect(url.hostname).toBe('127.0.0.1');
  expect(await ask(server.databaseUrl, 'show listen_addresses')).toEqual(['127.0.0.1']);
  url.password = 'wrong';
  await expect(ask(url.href, 'select 1')).rejects.toMatchObject({ code: '28P01' });
  await server.stop();
  await expect(start('another')).rejects.toThrow('does not take the password in engines.json');
});

test('a folder of another major version is refused in a sentence', async () => {
  await mkdir(join(scratch, 'postgres'));
  await writeFile(join(scratch, 'postgres', 'PG_VERSION'), '14\n');
  await expect(start()).rejects.toThrow(/was made by PostgreSQL 14, and this is PostgreSQL \d+/);
});
