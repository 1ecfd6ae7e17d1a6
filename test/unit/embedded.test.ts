import fc from 'fast-check';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nodeProblem } from '../../src/bin/node-version.ts';
import { createGate } from '../../src/embedded/clickhouse-server/gate.ts';
import { parseInsert } from '../../src/embedded/clickhouse-server/insert-statement.ts';
import { formatOf, isStreamable, kindOf } from '../../src/embedded/clickhouse-server/statements.ts';
import {
  findHolder,
  findInstalledTemporal,
  freePort,
  openDataFolder,
  startChild,
  supervise,
  programCommand,
  sourceLoader,
} from '../../src/embedded/index.ts';

let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'trailmark-unit-'));
});

afterEach(async () => {
  await rm(scratch, { recursive: true, force: true });
});

test.each([
  ['20.3.0', true],
  ['20.20.2', true],
  ['21.0.0', true],
  ['26.1.0', true],
  ['20.2.9', false],
  ['18.20.8', false],
  ['v8.0.0', false],
])('Node %s will do: %s', (version, isGood) => {
  expect(nodeProblem(version) === undefined).toBe(isGood);
});

describe('statements of ClickHouse', () => {
  test.each([
    ['select', 'SELECT 1'],
    ['select', '  \n-- a comment; INSERT\n/* and\nanother */ with x as (select 1) SELECT * FROM x'],
    ['select', '(SELECT 1) UNION ALL (SELECT 2)'],
    ['insert', 'insert into t values (1)'],
    ['insert', '/* c */INSERT INTO t SELECT 1'],
    ['other', 'SHOW TABLES'],
    ['other', 'CREATE TABLE t AS SELECT 1'],
    ['other', ''],
  ])('%s: %s', (kind, sql) => {
    expect(kindOf(sql)).toBe(kind);
  });

  test.each([
    ['SELECT 1 FORMAT JSONEachRow', 'JSONEachRow'],
    ['SELECT 1\nFORMAT CSV ;\n', 'CSV'],
    ['SELECT 1 FORMAT TSV SETTINGS max_threads = 1', 'TSV'],
    [`SELECT 'x FORMAT y'`, undefined],
    ['SELECT format FROM t', undefined],
  ])('the format of %s is %s', (sql, format) => {
    expect(formatOf(sql)).toBe(format);
  });

  test('a format with a head or a foot is not sent in pieces', () => {
    expect(['JSONEachRow', 'jsoneachrow', 'CSV', 'RowBinary'].every(isStreamable)).toBe(true);
    expect(['JSON', 'CSVWithNames', 'Pretty', 'Parquet', 'JSONCompact', 'unknown'].some(isStreamable)).toBe(false);
  });

  test.each([
    ['INSERT INTO t FORMAT JSONEachRow', { table: 't', format: 'JSONEachRow' }],
    ['insert into db.t (a, `b`) format csv', { table: 'db.t', columns: ['a', 'b'], format: 'CSV' }],
    ['INSERT INTO `db`.`t`\n(a)\nFORMAT TabSeparated;', { table: 'db.t', columns: ['a'], format: 'TabSeparated' }],
    ['INSERT INTO `odd-name` FORMAT JSONEachRow', undefined],
    ['INSERT INTO t (`a b`) FORMAT JSONEachRow', undefined],
    ['INSERT INTO t FORMAT Parquet', undefined],
    ['INSERT INTO t (* EXCEPT(a)) FORMAT JSONEachRow', undefined],
    ['INSERT INTO FUNCTION file(x) FORMAT JSONEachRow', undefined],
    ['INSERT INTO t SELECT 1', undefined],
  ])('%s', (sql, statement) => {
    expect(parseInsert(sql)).toEqual(statement);
  });
});

test('a gate never lets more in than it has places for, and lets everyone in', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 30 }),
      async (places, works) => {
        const gate = createGate(places);
        let inside = 0;
        let most = 0;
        const outcomes = await Promise.allSettled(
          works.map(
            async (succeeds) =>
              await gate(async () => {
                most = Math.max(most, ++inside);
                await new Promise((resolve) => setImmediate(resolve));
                inside--;
                if (!succeeds) throw new Error('work that fails gives its place back too');
              }),
          ),
        );
        expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual(works);
        expect(most).toBe(Math.min(places, works.length));
      },
    ),
    { numRuns: 50 },
  );
});

test('a port that is taken is passed over, or refused where no other will do', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(await freePort(port)).not.toBe(port);
  await expect(freePort(port, true)).rejects.toThrow(`Port ${port}`);
  server.close();
  await once(server, 'close');
  expect(await freePort(port, true)).toBe(port);
});

describe('the data folder', () => {
  test('is made with its parents, and keeps its key and passwords', async () => {
    const path = join(scratch, 'a', 'b');
    const data = await openDataFolder(path);
    const secret = await data.secret();
    expect(secret.length).toBeGreaterThanOrEqual(32);
    data.notes.postgres.port = 1234;
    await Promise.all([data.saveNotes(), data.saveNotes(), data.saveNotes()]);
    await data.release();
    const again = await openDataFolder(path);
    expect(await again.secret()).toBe(secret);
    expect(again.notes).toEqual(data.notes);
    await again.release();
    expect(await readdir(path)).toEqual(['engines.json', 'secret']);
  });

  test('is held by one process', async () => {
    const data = await openDataFolder(scratch);
    expect(await findHolder(scratch)).toBe(process.pid);
    await expect(openDataFolder(scratch)).rejects.toThrow(`already runs on ${scratch} (process ${process.pid})`);
    await data.release();
    expect(await findHolder(scratch)).toBeUndefined();
  });

  test.each([
    ['of a process that is gone', { pid: 4_000_000, startTime: '1', host: hostname() }],
    ['of a number that another process has by now', { pid: process.pid, startTime: 'other', host: hostname() }],
    ['that is no lock', 'broken'],
  ])('a lock %s is taken over', async (_name, lock) => {
    await writeFile(join(scratch, 'trailmark.lock'), typeof lock === 'string' ? lock : JSON.stringify(lock));
    await (await openDataFolder(scratch)).release();
  });

  test('of ten starts at once on a stale lock, one gets it', async () => {
    await writeFile(
      join(scratch, 'trailmark.lock'),
      JSON.stringify({ pid: 4_000_000, startTime: '1', host: hostname() }),
    );
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, async () => await openDataFolder(scratch)));
    const taken = outcomes.filter((outcome) => outcome.status === 'fulfilled');
    expect(taken).toHaveLength(1);
    await taken[0]?.value.release();
  });

  test('notes that are broken are an error, not new passwords', async () => {
    await writeFile(join(scratch, 'engines.json'), '{"postgres"');
    await expect(openDataFolder(scratch)).rejects.toThrow('engines.json is not JSON any more');
    expect(await readFile(join(scratch, 'engines.json'), 'utf8')).toBe('{"postgres"');
    expect(await findHolder(scratch)).toBeUndefined();
  });

  test('a place where none can be made is refused in a sentence', async () => {
    await writeFile(join(scratch, 'file'), '');
    await expect(openDataFolder(join(scratch, 'file'))).rejects.toThrow('is a file, not a folder');
    await expect(openDataFolder(join(scratch, 'file', 'data'))).rejects.toThrow('A part of');
    await expect(openDataFolder('/proc/trailmark')).rejects.toThrow('TRAILMARK_DATA');
  });
});

describe('a supervised child', () => {
  const start = async (script: string): ReturnType<typeof startChild> =>
    await startChild({
      name: 'a child',
      command: process.execPath,
      args: ['-e', script],
      env: process.env,
      logFile: join(scratch, 'child.log'),
      stopSignal: 'SIGTERM',
      stopGraceMs: 500,
    });

  test('is started again as often as it dies, and not after it was stopped', async () => {
    const heard: string[] = [];
    let starts = 0;
    const { supervised } = await supervise({
      name: 'It',
      onNotice: (sentence) => heard.push(sentence),
      start: async () => {
        if (++starts === 3) throw new Error('not this time.');
        return await start('setInterval(() => {}, 1000)');
      },
    });
    for (let death = 0; death < 2; death++) {
      const pid = supervised.pid() ?? 0;
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => supervised.pid() ?? pid, { timeout: 5_000 }).not.toBe(pid);
    }
    expect(starts).toBe(4);
    await supervised.stop();
    expect(supervised.pid()).toBeUndefined();
    expect(heard).toEqual([
      'It ended by itself (signal SIGKILL) and is started again.',
      'It is back.',
      'It ended by itself (signal SIGKILL) and is started again.',
      expect.stringMatching(/^It does not start: not this time\. The next try is in \d+(\.\d+)? s\.$/),
      'It is back.',
    ]);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(starts).toBe(4);
  });

  test('that ignores the signal to stop is killed after its grace time', async () => {
    const child = await start('process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)');
    await expect.poll(async () => await readFile(join(scratch, 'child.log'), 'utf8')).toContain('up');
    await Promise.all([child.stop(), child.stop()]);
    expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('a command that is not there is an error that names it', async () => {
    const starting = startChild({
      name: 'Engine',
      command: '/no/such/program',
      args: [],
      env: {},
      logFile: join(scratch, 'x.log'),
      stopSignal: 'SIGTERM',
      stopGraceMs: 1,
    });
    await expect(starting).rejects.toThrow(/^Engine can't be started: .*\/no\/such\/program/);
  });

  test('on a leash it learns of the death of its parent', async () => {
    const parent = spawn(
      process.execPath,
      [
        ...sourceLoader(process.versions.node),
        '--input-type=module',
        '-e',
        `import { startChild } from './src/embedded/index.ts';
         const child = await startChild({
           name: 'x', command: process.execPath, env: process.env, logFile: ${JSON.stringify(join(scratch, 'leash.log'))},
           args: ['-e', 'process.on("disconnect", () => { console.log("parent gone"); process.exit(); }); process.send("ready"); setInterval(() => {}, 1000)'],
           leash: true, stopSignal: 'SIGTERM', stopGraceMs: 1000,
         });
         await child.saysReady;
         process.kill(process.pid, 'SIGKILL');`,
      ],
      { stdio: 'inherit' },
    );
    await once(parent, 'exit');
    await expect
      .poll(async () => await readFile(join(scratch, 'leash.log'), 'utf8').catch(() => ''), { timeout: 5_000 })
      .toContain('parent gone');
  });
});

test('temporal is taken from PATH before the cache', async () => {
  const [onPath, cacheFolder] = [join(scratch, 'bin'), join(scratch, 'cache')];
  await mkdir(onPath);
  await mkdir(join(cacheFolder, 'temporal'), { recursive: true });
  const find = async (): Promise<string | undefined> =>
    await findInstalledTemporal({ cacheFolder, env: { PATH: `/no/such/folder:${onPath}:` } });
  expect(await find()).toBeUndefined();
  await writeFile(join(cacheFolder, 'temporal', 'temporal'), '#!/bin/sh\n');
  expect(await find()).toBeUndefined(); // not executable: a download that broke off
  await chmod(join(cacheFolder, 'temporal', 'temporal'), 0o755);
  expect(await find()).toBe(join(cacheFolder, 'temporal', 'temporal'));
  await writeFile(join(onPath, 'temporal'), '#!/bin/sh\n', { mode: 0o755 });
  expect(await find()).toBe(join(onPath, 'temporal'));
});

test('the command line lists its commands', async () => {
  const program = programCommand();
  const { stdout } = await promisify(execFile)(program.command, [...program.args, '--help']);
  for (const name of ['start', 'api', 'worker', 'clickhouse', 'migrate', 'demo', 'token', 'doctor']) {
    expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
  }
  const version = await promisify(execFile)(program.command, [...program.args, '--version']);
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
