import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listProcesses } from '../../src/embedded/index.ts';
import { attack } from './attack.ts';
import { listListening, type Listening } from './listeners.ts';

/** What came of one port. */
export interface Finding {
  /** The words that the process was started with, so far as they tell it apart. */
  program: string;
  host: string;
  port: number;
  connections: number;
  /** What is wrong, if anything is. */
  problem: string | undefined;
}

/**
 * Sends nonsense to every port that a running `trailmark start` and its children listen on, one port after the other, and looks after each
 * whether the process is still the same one and still listens.
 */
export async function fuzzListeners(options: {
  startPid: number;
  /** The data folder of that start, absolute: by it its children are known. */
  folder: string;
  seconds: number;
  seed: number;
  onFinding?: (finding: Finding) => void;
}): Promise<Finding[]> {
  const programs = await programsOf(options.startPid, options.folder);
  const listening = await listListening([...programs.keys()]);
  const authorization = await clickhouseAuthorization(options.folder);
  const findings: Finding[] = [];
  for (const { pid, host, port } of listening) {
    const connections = await attack({ ...options, host: reachable(host), port, authorization });
    const problem = await problemOf({ pid, host, port });
    const finding = { program: programs.get(pid) ?? '', host, port, connections, problem };
    findings.push(finding);
    options.onFinding?.(finding);
  }
  return findings;
}

/** The lines of the logs that say that something was not caught. */
export async function uncaughtIn(folder: string): Promise<string[]> {
  const logs = join(folder, 'logs');
  const texts = await Promise.all(
    (await readdir(logs)).map(async (name) =>
      (await readFile(join(logs, name), 'utf8'))
        .split('\n')
        .filter((line) => /uncaught|unhandled|triggerUncaughtException/i.test(line))
        .map((line) => `${name}: ${line.slice(0, 300)}`),
    ),
  );
  return texts.flat();
}

async function problemOf(one: Listening): Promise<string | undefined> {
  const now = await listListening([one.pid]);
  if (now.some(({ port, host }) => port === one.port && host === one.host)) return undefined;
  return now.length === 0 ? 'its process is gone' : 'it does not listen any more';
}

async function programsOf(startPid: number, folder: string): Promise<Map<number, string>> {
  const programs = new Map([[startPid, 'start']]);
  for (const { pid, argv } of await listProcesses()) {
    if (pid === startPid || !argv.some((word) => word === folder || word.startsWith(`${folder}/`))) continue;
    const known = ['api', 'worker', 'clickhouse', 'start-dev'].find((word) => argv.includes(word));
    programs.set(pid, known ?? (argv[0] ?? '').split('/').at(-1) ?? '');
  }
  return programs;
}

async function clickhouseAuthorization(folder: string): Promise<string> {
  const notes = JSON.parse(await readFile(join(folder, 'engines.json'), 'utf8')) as {
    clickhouse: { password: string };
  };
  return `Basic ${Buffer.from(`trailmark:${notes.clickhouse.password}`).toString('base64')}`;
}

function reachable(host: string): string {
  return host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
}
