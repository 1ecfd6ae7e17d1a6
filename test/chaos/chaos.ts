import { Client, Connection } from '@temporalio/client';
import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClickHouse, createPool } from '../../src/store/index.ts';
import type { PromiseResult } from './evidence.ts';
import { installGate } from './gate.ts';
import { Killer, type DoneKill } from './killer.ts';
import { allPlaces } from './places.ts';
import { LARGE, planKills, SMALL, type Kill } from './plan.ts';
import { checkPromises } from './promises.ts';
import { Random } from './random.ts';
import { settle } from './settle.ts';
import { System } from './system.ts';
import { startTraffic, type Traffic } from './traffic.ts';
import { createWorld, type World } from './world.ts';

/** Retries come soon and dead workers are noticed soon: what a person waits minutes for is seconds here. */
const ENVIRONMENT = {
  TRAILMARK_BACKOFF_BASE_SECONDS: '0.2',
  TRAILMARK_BACKOFF_MAX_SECONDS: '2',
  TRAILMARK_HEARTBEAT_TIMEOUT_SECONDS: '3',
  TRAILMARK_SCHEDULER_SECONDS: '1',
  TRAILMARK_RATE_LIMIT: '1000',
};
const SETTLE_MS = 240_000;
// So many kills the small world is for; more of them make a larger one worth while.
const SMALL_UP_TO = 50;

export interface ChaosOptions {
  kills: number;
  seed: number;
  /** Hears how it goes, a line at a time. */
  say: (line: string) => void;
  /** Leaves the data and the logs where they are when a promise is broken. */
  keep: boolean;
  signal: AbortSignal;
}

/** What a run came to. */
export interface ChaosReport {
  ok: boolean;
  seed: number;
  kills: number;
  killsByVictim: Record<string, number>;
  /** Processes that were killed: a kill of all is five. */
  processesKilled: number;
  /** How often each place was hit, by side and victim. */
  coverage: Record<string, Record<string, number>>;
  /** Places that have to be hit, and were not. */
  missed: string[];
  promises: PromiseResult[];
  /** Processes that ended by themselves, and were started again. */
  endedByThemselves: Record<string, number>;
  requests: Record<string, number>;
  actions: Record<string, { asked: number; done: number }>;
  seconds: { kills: number; settling: number };
}

/** Starts the system on an empty folder, lets the world go on while it kills, lets it come to rest, and looks at every promise. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  // The name says whose it is: a later test run ends what a killed one left behind.
  const folder = await mkdtemp(join(tmpdir(), `trailmark-test-${process.pid}-chaos-`));
  await chmod(folder, 0o711);
  let ok = false;
  try {
    const system = await System.start(folder, ENVIRONMENT, async (databaseUrl) => {
      const pool = createPool({ connectionString: databaseUrl, applicationName: 'chaos-setup', onError: ignore });
      await installGate(pool);
      await pool.end();
    });
    try {
      const report = await runOn(system, options, folder);
      ok = report.ok;
      return report;
    } finally {
      await system.stop();
    }
  } finally {
    if (ok || !options.keep) await rm(folder, { recursive: true, force: true });
    else options.say(`data, logs and what the receivers took: ${await keep(folder, options.seed)}`);
  }
}

/** Under a name that no later test run takes away. */
async function keep(folder: string, seed: number): Promise<string> {
  const kept = join(tmpdir(), `trailmark-chaos-seed-${seed}-${process.pid}`);
  await rename(folder, kept);
  return kept;
}

async function runOn(system: System, options: ChaosOptions, folder: string): Promise<ChaosReport> {
  const random = new Random(options.seed);
  const size = options.kills > SMALL_UP_TO ? LARGE : SMALL;
  const pool = createPool({ connectionString: system.databaseUrl, applicationName: 'chaos', max: 5, onError: ignore });
  const clickhouse = createClickHouse({ url: system.clickhouseUrl, applicationName: 'chaos' });
  let world: World | undefined;
  try {
    world = await createWorld({ pool, apiUrl: system.apiUrl, size, random: random.fork('world') });
    const traffic = startTraffic({ world, pool, apiUrl: system.apiUrl, size, random: random.fork('traffic') });
    const since = Date.now();
    const killer = new Killer({ system, world, pool, random: random.fork('killer') });
    const kills = await killAll(killer, planKills(random.fork('plan'), options.kills), options);
    const killedFor = Date.now() - since;
    options.say(`${kills.length} kills in ${seconds(killedFor)} s; now it comes to rest`);
    for (const receiver of world.receivers) receiver.becomeGood();
    await system.whenUp(120_000);
    await traffic.stop();
    const settled = await settle({ world, pool, timeoutMs: SETTLE_MS, say: options.say });
    const promises = await checkPromises({
      world,
      pool,
      clickhouse,
      traffic,
      kills,
      outages: system.outages,
      openWorkflows: await openWorkflows(system.temporalAddress),
    });
    promises.push(rest(settled), noServerErrors(traffic));
    if (options.keep) {
      const took = world.receivers.map(({ name, takings, received }) => ({ name, takings, received }));
      const rules = world.rules.map(({ receiver, ...rule }) => ({ receiver: receiver.name, ...rule }));
      await writeFile(join(folder, 'evidence.json'), JSON.stringify({ kills, outages: system.outages, took, rules }));
    }
    return toReport(options, { system, world, traffic, kills, promises, seconds: [killedFor, settled.settleMs] });
  } finally {
    for (const receiver of world?.receivers ?? []) await receiver.close();
    await clickhouse.close();
    await pool.end();
  }
}

/** Executes the plan. A place that nobody came by is tried again at the end, until each that has to be hit was hit. */
async function killAll(killer: Killer, plan: readonly Kill[], options: ChaosOptions): Promise<DoneKill[]> {
  const done: DoneKill[] = [];
  const queue = [...plan];
  // Bounded, so that a place which is never passed ends as missed and not as a run without end.
  let attempts = plan.length * 2 + 20;
  while (queue.length > 0 && attempts-- > 0 && !options.signal.aborted) {
    const kill = queue.shift();
    if (kill === undefined) break;
    const where = kill.at === null ? 'at a random moment' : `${kill.at.place.name} (${kill.at.side.name})`;
    const result = await killer.execute(kill);
    if (result === null) {
      options.say(`nobody came by ${where}; later`);
      queue.push(kill);
      continue;
    }
    done.push(result);
    const whom = result.killed.length === 0 ? `${kill.victim} (was down)` : result.killed.join(', ');
    const { up, arrival } = result.waitedMs;
    const waited = `${seconds(up)} s until all was up, ${seconds(arrival)} s until someone came by`;
    options.say(`kill ${done.length} of ${plan.length}: ${whom} ${where}; ${waited}`);
  }
  return done;
}

function rest(settled: Awaited<ReturnType<typeof settle>>): PromiseResult {
  const broken = [
    ...settled.openTasks,
    ...settled.notInStep.map((id) => `connection ${id} is not in step`),
    ...(settled.loaded ? [] : ['events were not loaded in time']),
  ];
  return { name: 'it comes to rest', checked: 1, broken: broken.length, examples: broken.slice(0, 5) };
}

function noServerErrors({ actions, serverErrors }: Traffic): PromiseResult {
  const asked = [...actions.values()].reduce((sum, count) => sum + count.asked, 0);
  return {
    name: 'the API never answers 500',
    checked: asked,
    broken: serverErrors.length,
    examples: serverErrors.slice(0, 5),
  };
}

/** The workflows of tasks that Temporal has open, once its visibility has caught up. */
async function openWorkflows(address: string): Promise<string[]> {
  const connection = await Connection.connect({ address });
  try {
    const client = new Client({ connection });
    const deadline = Date.now() + 15_000;
    for (;;) {
      const open: string[] = [];
      const query = `WorkflowType = 'executeTask' AND ExecutionStatus = 'Running'`;
      for await (const { workflowId } of client.workflow.list({ query })) open.push(workflowId);
      if (open.length === 0 || Date.now() > deadline) return open;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  } finally {
    await connection.close();
  }
}

function toReport(
  options: ChaosOptions,
  run: {
    system: System;
    world: World;
    traffic: Traffic;
    kills: DoneKill[];
    promises: PromiseResult[];
    seconds: [number, number];
  },
): ChaosReport {
  const coverage: Record<string, Record<string, number>> = {};
  for (const place of allPlaces()) coverage[place.name] = {};
  coverage['a random moment'] = {};
  for (const { place, side, victim } of run.kills) {
    add((coverage[place ?? 'a random moment'] ??= {}), side === null ? victim : `${side} ${victim}`);
  }
  // Fewer kills than places can't hit each of them.
  const required = allPlaces().filter((place) => place.required);
  const missed = required.filter(({ name }) => Object.keys(coverage[name] ?? {}).length === 0).map(({ name }) => name);
  const killsByVictim: Record<string, number> = {};
  for (const { victim } of run.kills) add(killsByVictim, victim);
  const endedByThemselves: Record<string, number> = {};
  for (const { component, killed } of run.system.outages) if (!killed) add(endedByThemselves, component);
  const requests: Record<string, number> = {};
  for (const { reactions } of run.world.receivers) {
    for (const [reaction, count] of reactions) requests[reaction] = (requests[reaction] ?? 0) + count;
  }
  const complete = options.kills < required.length || missed.length === 0;
  return {
    ok: complete && run.kills.length >= options.kills && run.promises.every(({ broken }) => broken === 0),
    seed: options.seed,
    kills: run.kills.length,
    killsByVictim,
    processesKilled: run.kills.reduce((sum, { killed }) => sum + killed.length, 0),
    coverage,
    missed,
    promises: run.promises,
    endedByThemselves,
    requests,
    actions: Object.fromEntries(run.traffic.actions),
    seconds: { kills: seconds(run.seconds[0]), settling: seconds(run.seconds[1]) },
  };
}

function add(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}

function ignore(): void {}
