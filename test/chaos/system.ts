import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  findTemporal,
  freePort,
  startChild,
  startClickHouse,
  startPostgres,
  startTemporal,
  type Child,
} from '../../src/embedded/index.ts';
import { createClickHouse, createPool, migrateClickHouse, migratePostgres } from '../../src/store/index.ts';
import { COMPONENTS, type Component } from './plan.ts';

// The program as it is built: started from its sources, a worker would bundle its workflows at each of hundreds of starts.
const PROGRAM = fileURLToPath(new URL('../../dist/src/bin/trailmark.js', import.meta.url));
const PASSWORD = 'of a test that kills';
const RESTART_AFTER_MS = 200;
const START_TIMEOUT_MS = 60_000;

/** From when a component died to when it was ready again; `upAt` is Infinity while it is down. */
export interface Outage {
  component: Component;
  /** Milliseconds since 1970. */
  downAt: number;
  upAt: number;
  /** Killed by the driver, and not ended by itself. */
  killed: boolean;
}

interface Slot {
  child: Child | undefined;
  ready: boolean;
  frozen: boolean;
  /** How long it stays down after the kill that the driver has just made. */
  downMs: number | undefined;
  outage: Outage | undefined;
}

/**
 * The five processes, real and durable: PostgreSQL, ClickHouse and Temporal as `trailmark start` runs them, the api and a worker.
 * Each is started again when it ends, whoever ended it.
 */
export class System {
  readonly databaseUrl: string;
  readonly clickhouseUrl: string;
  readonly temporalAddress: string;
  readonly apiUrl: string;
  readonly outages: Outage[] = [];
  /** The last error of each component that did not start. */
  readonly problems = new Map<Component, string>();
  readonly #starts: Record<Component, () => Promise<Child>>;
  readonly #slots = new Map<Component, Slot>();
  readonly #keeping: Promise<void>[] = [];
  readonly #stopping = new AbortController();

  private constructor(addresses: Addresses, starts: Record<Component, () => Promise<Child>>) {
    this.databaseUrl = addresses.databaseUrl;
    this.clickhouseUrl = addresses.clickhouseUrl;
    this.temporalAddress = addresses.temporalAddress;
    this.apiUrl = addresses.apiUrl;
    this.#starts = starts;
  }

  /** Starts everything in an empty folder, with the newest schema. `prepare` is called before the api and the worker begin. */
  static async start(
    folder: string,
    env: Record<string, string>,
    prepare: (databaseUrl: string) => Promise<void>,
  ): Promise<System> {
    const { addresses, starts } = await plan(folder, env);
    const system = new System(addresses, starts);
    try {
      for (const component of ['postgres', 'clickhouse', 'temporal'] as const) system.#begin(component);
      await system.whenUp(120_000, ['postgres', 'clickhouse', 'temporal']);
      await migrate(addresses);
      await prepare(addresses.databaseUrl);
      for (const component of ['api', 'worker'] as const) system.#begin(component);
      await system.whenUp(120_000);
    } catch (error) {
      await system.stop();
      throw error;
    }
    return system;
  }

  /** kill -9, all of them at once; returns those that ran. Each is started again after its `downMs`. */
  kill(components: readonly Component[], downMs: Record<Component, number>): Component[] {
    return components.filter((component) => {
      const slot = this.#slots.get(component);
      if (slot?.child === undefined || slot.outage !== undefined) return false;
      slot.downMs = downMs[component];
      this.#down(component, slot, true);
      process.kill(slot.child.pid, 'SIGKILL');
      return true;
    });
  }

  /** SIGSTOP: it is there, and answers nobody. */
  freeze(component: Component): void {
    const slot = this.#slots.get(component);
    if (slot?.child === undefined) return;
    slot.frozen = true;
    process.kill(slot.child.pid, 'SIGSTOP');
  }

  thaw(component: Component): void {
    const slot = this.#slots.get(component);
    if (slot?.child === undefined || !slot.frozen) return;
    slot.frozen = false;
    process.kill(slot.child.pid, 'SIGCONT');
  }

  /** Resolves when all of them are ready, and the api answers that it can serve. Throws after `timeoutMs`, with why. */
  async whenUp(timeoutMs: number, components: readonly Component[] = COMPONENTS): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const down = components.filter((component) => this.#slots.get(component)?.ready !== true);
      if (down.length === 0 && (!components.includes('api') || (await this.#canServe()))) return;
      if (Date.now() > deadline) {
        const why = down.map((component) => `${component}: ${this.problems.get(component) ?? 'no word'}`);
        throw new Error(`not up after ${timeoutMs} ms: ${why.join('; ') || 'the api can not serve'}`);
      }
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const component of COMPONENTS) this.thaw(component);
    const stop = async (component: Component): Promise<void> => await this.#slots.get(component)?.child?.stop();
    await Promise.all([stop('api'), stop('worker')]);
    await Promise.all([stop('temporal'), stop('clickhouse')]);
    await stop('postgres');
    await Promise.all(this.#keeping);
  }

  #begin(component: Component): void {
    const slot: Slot = { child: undefined, ready: false, frozen: false, downMs: undefined, outage: undefined };
    this.#slots.set(component, slot);
    this.#keeping.push(this.#keep(component, slot));
  }

  async #keep(component: Component, slot: Slot): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let child: Child;
      try {
        child = await this.#starts[component]();
      } catch (error) {
        this.problems.set(component, (error as Error).message);
        await sleep(RESTART_AFTER_MS, undefined, { signal }).catch(() => undefined);
        continue;
      }
      slot.child = child;
      if (slot.outage !== undefined) slot.outage.upAt = Date.now();
      slot.outage = undefined;
      slot.ready = true;
      if (signal.aborted) await child.stop();
      const exit = await child.exited;
      if (slot.outage === undefined && !signal.aborted) {
        this.problems.set(component, `ended by itself: ${exit.signal ?? exit.code}`);
        this.#down(component, slot, false);
      }
      slot.child = undefined;
      slot.frozen = false;
      await sleep(slot.downMs ?? RESTART_AFTER_MS, undefined, { signal }).catch(() => undefined);
      slot.downMs = undefined;
    }
  }

  #down(component: Component, slot: Slot, killed: boolean): void {
    slot.ready = false;
    slot.outage = { component, downAt: Date.now(), upAt: Infinity, killed };
    this.outages.push(slot.outage);
  }

  async #canServe(): Promise<boolean> {
    return await fetch(`${this.apiUrl}/readyz`, { signal: AbortSignal.timeout(3_000) }).then(
      (response) => response.ok,
      () => false,
    );
  }
}

interface Addresses {
  databaseUrl: string;
  clickhouseUrl: string;
  temporalAddress: string;
  apiUrl: string;
}

async function plan(
  folder: string,
  extra: Record<string, string>,
): Promise<{ addresses: Addresses; starts: Record<Component, () => Promise<Child>> }> {
  // Chosen once: who comes back has to be where its clients look for it.
  const [postgresPort, clickhousePort, temporalPort, uiPort, apiPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const addresses: Addresses = {
    databaseUrl: `postgresql://trailmark:${encodeURIComponent(PASSWORD)}@127.0.0.1:${postgresPort}/trailmark`,
    clickhouseUrl: `http://trailmark:${encodeURIComponent(PASSWORD)}@127.0.0.1:${clickhousePort}/trailmark`,
    temporalAddress: `127.0.0.1:${temporalPort}`,
    apiUrl: `http://127.0.0.1:${apiPort}`,
  };
  await mkdir(join(folder, 'logs'), { recursive: true });
  const logOf = (name: string): string => join(folder, 'logs', `${name}.log`);
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const binary = await findTemporal({
    cacheFolder: process.env['TRAILMARK_CACHE'] ?? join(cache, 'trailmark'),
    env: process.env,
  });
  const env = {
    ...process.env,
    DATABASE_URL: addresses.databaseUrl,
    CLICKHOUSE_URL: addresses.clickhouseUrl,
    TEMPORAL_ADDRESS: addresses.temporalAddress,
    TRAILMARK_SECRET: 'a secret of a test that kills, of more than 32 characters',
    TRAILMARK_PORT: String(apiPort),
    TRAILMARK_ALLOW_PRIVATE_ADDRESSES: 'on',
    TRAILMARK_LOG_LEVEL: 'info',
    ...extra,
  };
  const common = { password: PASSWORD, portIsFixed: true };
  return {
    addresses,
    starts: {
      postgres: async () =>
        await startPostgres({
          ...common,
          folder: join(folder, 'postgres'),
          port: postgresPort,
          logFile: logOf('postgres'),
          durable: true,
        }),
      clickhouse: async () =>
        await startClickHouse({
          ...common,
          folder: join(folder, 'clickhouse'),
          port: clickhousePort,
          logFile: logOf('clickhouse'),
          memoryLimitMb: 2_048,
          durable: true,
          env: process.env,
        }),
      temporal: async () =>
        await startTemporal({
          folder: join(folder, 'temporal'),
          binary,
          namespace: 'default',
          port: temporalPort,
          portIsFixed: true,
          uiPort,
          logFile: logOf('temporal'),
        }),
      api: async () => await startProgram('api', env, logOf('api')),
      worker: async () => await startProgram('worker', env, logOf('worker')),
    },
  };
}

/** The api or a worker, ready; it ends with this process. */
async function startProgram(
  name: 'api' | 'worker',
  env: Record<string, string | undefined>,
  logFile: string,
): Promise<Child> {
  const child = await startChild({
    name,
    command: process.execPath,
    args: [PROGRAM, name],
    env,
    logFile,
    leash: true,
    stopSignal: 'SIGTERM',
    stopGraceMs: 20_000,
  });
  const timer = new AbortController();
  const first = await Promise.race([
    child.saysReady.then(() => 'ready'),
    child.exited.then(({ code, signal }) => `ended with ${signal ?? code} before it was ready; ${logFile} says why`),
    sleep(START_TIMEOUT_MS, 'not ready in time', { signal: timer.signal }),
  ]);
  timer.abort();
  if (first === 'ready') return child;
  child.kill();
  throw new Error(first);
}

async function migrate(addresses: Addresses): Promise<void> {
  const pool = createPool({
    connectionString: addresses.databaseUrl,
    applicationName: 'chaos-migrate',
    onError: () => undefined,
  });
  const clickhouse = createClickHouse({ url: addresses.clickhouseUrl, applicationName: 'chaos-migrate' });
  try {
    await migratePostgres(pool);
    await migrateClickHouse(clickhouse, pool);
  } finally {
    await clickhouse.close();
    await pool.end();
  }
}
