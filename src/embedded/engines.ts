import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Child } from './child.ts';
import { startClickHouse } from './clickhouse.ts';
import type { DataFolder } from './data-folder.ts';
import { startPostgres } from './postgres/postgres.ts';
import { supervise, type Supervised } from './supervise.ts';
import { findTemporal } from './temporal/temporal-binary.ts';
import { startTemporal } from './temporal/temporal.ts';

interface EngineAddresses {
  databaseUrl: string;
  temporalAddress: string;
  clickhouseUrl: string;
}

export interface EnginesOptions {
  data: DataFolder;
  /** The addresses that are given: each replaces its engine. */
  given: { [name in keyof EngineAddresses]: string | undefined };
  temporalNamespace: string;
  /** Whether the embedded Temporal serves its pages. */
  temporalPages: boolean;
  /** Hears of every port that it listens on, again when it was restarted. */
  onTemporalPorts: (ports: readonly number[]) => Promise<void>;
  /** Where the temporal program is kept, if it has to be fetched. */
  cacheFolder: string;
  clickhouseMemoryMb: number | undefined;
  env: Record<string, string | undefined>;
  /** Gives up what takes long on the way, such as a download. */
  signal: AbortSignal;
  /** Hears in sentences of children that died and came back. */
  onNotice: (sentence: string) => void;
}

/** One engine to start. `start` tells `report` how far it is, and answers with where it listens. */
interface EngineStart {
  name: string;
  start: (report: (text: string) => void) => Promise<string>;
}

interface Engines {
  /** The engines that no given address replaces. They need nothing of each other. */
  starts: EngineStart[];
  /** Where one is; throws before it has started. */
  addressOf(name: keyof EngineAddresses): string;
  /** Temporal's pages; undefined for a server of the user's own. */
  temporalUiUrl(): string | undefined;
  /** The children that run, in the order in which they started. */
  running(): Supervised[];
  /** Ends them, PostgreSQL last: the others hold nothing of it, but it is what the truth is in. */
  stop(): Promise<void>;
}

/** The embedded engines of a data folder: what is to be started, each kept running once it is. Nothing starts here. */
export function planEngines(options: EnginesOptions): Engines {
  const { data, given, env, onNotice } = options;
  const { notes } = data;
  const found: Partial<EngineAddresses> = {};
  for (const [name, address] of Object.entries(given)) {
    if (address !== undefined) found[name as keyof EngineAddresses] = address;
  }
  const running = new Map<string, Supervised>();
  const starts: EngineStart[] = [];
  let temporalUiUrl: string | undefined;
  let temporalBinary: string | undefined;

  interface Start {
    logFile: string;
    /** A child that comes back has to be where its clients look for it. */
    portIsFixed: boolean;
    report: (text: string) => void;
  }
  function add<C extends Child>(name: string, begin: (start: Start) => Promise<C>, note: (first: C) => string): void {
    const start = async (report: (text: string) => void): Promise<string> => {
      report('starting');
      const folder = join(data.path, 'logs');
      await mkdir(folder, { recursive: true });
      const logFile = join(folder, `${name.toLowerCase()}.log`);
      const { first, supervised } = await supervise({
        name,
        onNotice,
        start: async () => await begin({ logFile, portIsFixed: running.has(name), report }),
      });
      running.set(name, supervised);
      const where = note(first);
      await data.saveNotes();
      return where;
    };
    starts.push({ name, start });
  }

  if (given.databaseUrl === undefined) {
    add(
      'PostgreSQL',
      async ({ logFile, portIsFixed }) =>
        await startPostgres({
          ...notes.postgres,
          folder: join(data.path, 'postgres'),
          portIsFixed,
          logFile,
          durable: true,
        }),
      (first) => {
        notes.postgres.port = first.port;
        found.databaseUrl = first.databaseUrl;
        return `127.0.0.1:${first.port}`;
      },
    );
  }
  if (given.clickhouseUrl === undefined) {
    add(
      'ClickHouse',
      async ({ logFile, portIsFixed }) =>
        await startClickHouse({
          ...notes.clickhouse,
          folder: join(data.path, 'clickhouse'),
          portIsFixed,
          logFile,
          memoryLimitMb: options.clickhouseMemoryMb,
          durable: true,
          env,
        }),
      (first) => {
        notes.clickhouse.port = first.port;
        found.clickhouseUrl = first.clickhouseUrl;
        return `127.0.0.1:${first.port}`;
      },
    );
  }
  if (given.temporalAddress === undefined) {
    add(
      'Temporal',
      async ({ logFile, portIsFixed, report }) => {
        temporalBinary ??= await findTemporal({
          cacheFolder: options.cacheFolder,
          env,
          signal: options.signal,
          onProgress: report,
        });
        const started = await startTemporal({
          ...notes.temporal,
          folder: join(data.path, 'temporal'),
          binary: temporalBinary,
          namespace: options.temporalNamespace,
          pages: options.temporalPages,
          portIsFixed,
          logFile,
        });
        await options.onTemporalPorts(started.ports);
        return started;
      },
      (first) => {
        notes.temporal = { port: first.port, uiPort: first.uiPort ?? notes.temporal.uiPort };
        found.temporalAddress = first.address;
        temporalUiUrl = first.uiUrl;
        return first.uiUrl === undefined ? first.address : `${first.address}, its pages at ${first.uiUrl}`;
      },
    );
  }

  return {
    starts,
    addressOf: (name) => {
      const address = found[name];
      if (address === undefined) throw new Error(`${name} is asked for before its engine has started`);
      return address;
    },
    temporalUiUrl: () => temporalUiUrl,
    running: () => [...running.values()],
    stop: async () => {
      await Promise.all(['Temporal', 'ClickHouse'].map(async (name) => await running.get(name)?.stop()));
      await running.get('PostgreSQL')?.stop();
    },
  };
}
