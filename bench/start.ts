import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median, type Figure } from './figure.ts';

const RUNS = 3;
const TIMEOUT_MS = 180_000;
const MAIN = fileURLToPath(new URL('../src/bin/trailmark.js', import.meta.url));

/**
 * From `npm start` on an empty folder (the build being done) to the first audience whose destination has acknowledged it, in
 * seconds; and the resident memory of each process then. To reach: under 60 s, and under 1.5 GB together. There is nothing
 * to compare with.
 */
export async function start(): Promise<Figure> {
  const seconds: number[] = [];
  let memory: Record<string, number> = {};
  for (let run = 0; run < RUNS; run++) {
    const measured = await startOnce();
    seconds.push(measured.seconds);
    memory = measured.memoryMb;
  }
  const together = Object.values(memory).reduce((sum, mb) => sum + mb, 0);
  return {
    name: 'start',
    unit: 's',
    ours: median(seconds),
    reference: null,
    ratio: null,
    runs: RUNS,
    notes: {
      ...Object.fromEntries(Object.entries(memory).map(([name, mb]) => [`memory of ${name}`, `${mb} MB`])),
      'memory together': `${together} MB`,
    },
  };
}

async function startOnce(): Promise<{ seconds: number; memoryMb: Record<string, number> }> {
  const folder = await mkdtemp(join(tmpdir(), 'trailmark-bench-start-'));
  await chmod(folder, 0o711);
  const port = await freePort();
  const from = performance.now();
  const child = spawn(process.execPath, [MAIN, 'start'], {
    env: {
      ...process.env,
      TRAILMARK_DATA: join(folder, 'data'),
      TRAILMARK_PORT: String(port),
      TRAILMARK_CACHE: process.env['TRAILMARK_CACHE'] ?? join(homedir(), '.cache', 'trailmark'),
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    await firstAudienceSynced(child, join(folder, 'data', 'sample.json'), `http://127.0.0.1:${port}`);
    return { seconds: (performance.now() - from) / 1_000, memoryMb: await memoryOf(child.pid ?? 0) };
  } finally {
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
    await rm(folder, { recursive: true, force: true });
  }
}

async function firstAudienceSynced(child: ChildProcess, sampleFile: string, apiUrl: string): Promise<void> {
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`start ended with ${child.exitCode}`);
    if (Date.now() > deadline) throw new Error(`no audience was synced within ${TIMEOUT_MS / 1_000} s`);
    if (await isAnySynced(sampleFile, apiUrl).catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function isAnySynced(sampleFile: string, apiUrl: string): Promise<boolean> {
  const { access } = JSON.parse(await readFile(sampleFile, 'utf8')) as {
    access: { spaceId: string; ownerToken: string };
  };
  const response = await fetch(`${apiUrl}/spaces/${access.spaceId}/audiences`, {
    headers: { authorization: `Bearer ${access.ownerToken}` },
  });
  const { data } = (await response.json()) as { data: { audiences: { destinations: { inStep: boolean }[] }[] } };
  return data.audiences.some((audience) => audience.destinations.some((destination) => destination.inStep));
}

/** Resident memory of a process and all below it, in MB, by what each of them is; PostgreSQL's processes share theirs. */
async function memoryOf(root: number): Promise<Record<string, number>> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  }
  const isBelow = (pid: number): boolean => pid === root || (parents.has(pid) && isBelow(parents.get(pid) ?? 0));
  const memory: Record<string, number> = {};
  for (const pid of [...parents.keys()].filter((candidate) => candidate > 1 && isBelow(candidate))) {
    const [command, rollup] = await Promise.all([
      readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
      readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => ''),
    ]);
    // Pss counts a page that is shared by n processes as 1/n of it, so that the sum is true.
    const kilobytes = Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    const name = nameOf(command);
    memory[name] = (memory[name] ?? 0) + Math.round(kilobytes / 1_024);
  }
  return memory;
}

function nameOf(command: string): string {
  const words = command.split('\0');
  if (command.includes('start-dev')) return 'temporal';
  if (words[0]?.includes('postgres') === true) return 'postgres';
  return words.find((word) => ['start', 'api', 'worker', 'clickhouse'].includes(word)) ?? words[0] ?? 'other';
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}
