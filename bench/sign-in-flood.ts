import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { freePort, programCommand } from '../src/embedded/index.ts';
import { startBenchEngines, type BenchEngines } from './engines.ts';
import { median, type Figure } from './figure.ts';
import { insertSource } from './fill.ts';

/** What strangers do meanwhile. */
export type Flood = 'sign-ins' | 'write keys';

const RUNS = 3;
const EVENTS = 1_000;
const SECRET = 'a secret of a benchmark, longer than 32';

/**
 * How long an event takes to be acknowledged, at the 99th percentile, while 200 strangers try passwords at once, each from another
 * address for another account; against the same while nobody does. By the real api program, one event after the other. To
 * stay under: ten times, on two cores that the strangers' own process shares. In the notes the medians, and the same for
 * strangers who try write keys.
 */
export async function signInFlood(): Promise<Figure> {
  const engines = await startBenchEngines();
  const children: ChildProcess[] = [];
  try {
    return await measure(engines, children);
  } finally {
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill();
      await once(child, 'exit');
    }
    await engines.stop();
  }
}

async function measure(engines: BenchEngines, children: ChildProcess[]): Promise<Figure> {
  const writeKey = await insertSource(engines.pool, SECRET);
  const port = await startApi(engines, children);
  const strangers = startStrangers(children);
  const idle: Latency[] = [];
  const signIns: Latency[] = [];
  const writeKeys: Latency[] = [];
  const answers: Record<string, string> = {};
  // The first round warms up and does not count.
  for (let round = 0; round <= RUNS; round += 1) {
    const quiet = await timeEvents(port, writeKey);
    const measured: Partial<Record<Flood, Latency>> = {};
    for (const flood of ['sign-ins', 'write keys'] as const) {
      strangers.send({ flood, port });
      measured[flood] = await timeEvents(port, writeKey);
      strangers.send('stop');
      const [counts] = (await once(strangers, 'message')) as [Record<string, number>];
      answers[`answers to ${flood}`] = Object.entries(counts)
        .map(([status, count]) => `${count} of ${status}`)
        .join(', ');
    }
    if (round === 0) continue;
    idle.push(quiet);
    if (measured['sign-ins'] !== undefined) signIns.push(measured['sign-ins']);
    if (measured['write keys'] !== undefined) writeKeys.push(measured['write keys']);
  }
  const p99 = (of: Latency[]): number => median(of.map((one) => one.p99));
  const p50 = (of: Latency[]): number => median(of.map((one) => one.p50));
  const shown = (ms: number): string => `${ms.toFixed(1)} ms`;
  return {
    name: 'sign-in-flood',
    unit: 'ms',
    ours: p99(signIns),
    reference: p99(idle),
    ratio: p99(signIns) / p99(idle),
    runs: RUNS,
    notes: {
      'median while nobody tries': shown(p50(idle)),
      'median while 200 try passwords': shown(p50(signIns)),
      'while 200 try write keys, median and p99': `${shown(p50(writeKeys))}, ${shown(p99(writeKeys))}`,
      ...answers,
    },
  };
}

interface Latency {
  p50: number;
  p99: number;
}

async function timeEvents(port: number, writeKey: string): Promise<Latency> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times: number[] = [];
  for (let number = 0; number < EVENTS; number += 1) {
    const startedAt = performance.now();
    await track(agent, port, writeKey);
    times.push(performance.now() - startedAt);
  }
  agent.destroy();
  const sorted = times.toSorted((one, other) => one - other);
  return { p50: sorted[Math.floor(EVENTS * 0.5)] ?? Number.NaN, p99: sorted[Math.floor(EVENTS * 0.99)] ?? Number.NaN };
}

async function track(agent: Agent, port: number, writeKey: string): Promise<void> {
  const body = '{"event":"Order Completed","userId":"user-1","properties":{"total":79.9}}';
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    authorization: `Basic ${Buffer.from(`${writeKey}:`).toString('base64')}`,
    'x-forwarded-for': '192.0.2.1',
  };
  await new Promise<void>((resolve, reject) => {
    const sent = request({ agent, port, host: '127.0.0.1', path: '/v1/track', method: 'POST', headers }, (response) => {
      response.resume().on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`an event was answered ${response.statusCode}`));
      });
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

/** `trailmark api` behind a proxy, which says that each stranger is from somewhere else. */
async function startApi(engines: BenchEngines, children: ChildProcess[]): Promise<number> {
  const port = await freePort();
  const { command, args } = programCommand();
  const child = spawn(command, [...args, 'api'], {
    env: {
      ...process.env,
      DATABASE_URL: engines.databaseUrl,
      CLICKHOUSE_URL: engines.clickhouseUrl,
      TEMPORAL_ADDRESS: engines.temporalAddress,
      TRAILMARK_SECRET: SECRET,
      TRAILMARK_PORT: String(port),
      TRAILMARK_TRUST_PROXY: '1',
      TRAILMARK_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  children.push(child);
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the api ended with ${String(code)}`);
    }),
  ]);
  return port;
}

function startStrangers(children: ChildProcess[]): ChildProcess {
  const source = fileURLToPath(new URL('./sign-in-flood-process.ts', import.meta.url));
  const child = fork(import.meta.url.endsWith('.ts') ? source : source.replace(/\.ts$/, '.js'));
  children.push(child);
  return child;
}
