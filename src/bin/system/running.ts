import { resolve } from 'node:path';
import type { Config } from '../../config.ts';
import { findHolder, readEngineNotes, StartError, type EngineNotes } from '../../embedded/index.ts';

/** The engines that a running start of this data folder has, or undefined where none runs. */
export async function findRunningEngines(config: Config): Promise<(EngineNotes & { pid: number }) | undefined> {
  const folder = resolve(config.TRAILMARK_DATA);
  const pid = await findHolder(folder);
  if (pid === undefined) return undefined;
  const notes = await readEngineNotes(folder);
  return notes === undefined ? undefined : { ...notes, pid };
}

/** The database to work on: the given one, else that of a running start. */
export async function requireDatabaseUrl(config: Config): Promise<string> {
  if (config.DATABASE_URL !== undefined) return config.DATABASE_URL;
  const engines = await findRunningEngines(config);
  const url = engines === undefined ? undefined : databaseUrlOf(engines);
  if (url !== undefined) return url;
  throw new StartError(
    `Nothing runs on ${resolve(config.TRAILMARK_DATA)}. Run trailmark start first (in another terminal), or set DATABASE_URL.`,
  );
}

/** Where Temporal is: the given address, else that of a running start. */
export async function requireTemporalAddress(config: Config): Promise<string> {
  if (config.TEMPORAL_ADDRESS !== undefined) return config.TEMPORAL_ADDRESS;
  const port = (await findRunningEngines(config))?.temporal.port;
  if (port !== undefined) return `127.0.0.1:${port}`;
  throw new StartError(
    `Nothing runs on ${resolve(config.TRAILMARK_DATA)}. Run trailmark start first (in another terminal), or set TEMPORAL_ADDRESS.`,
  );
}

export function databaseUrlOf({ postgres }: EngineNotes): string | undefined {
  if (postgres.port === undefined) return undefined;
  return `postgresql://trailmark:${encodeURIComponent(postgres.password)}@127.0.0.1:${postgres.port}/trailmark`;
}

export function clickhouseUrlOf({ clickhouse }: EngineNotes): string | undefined {
  if (clickhouse.port === undefined) return undefined;
  return `http://trailmark:${encodeURIComponent(clickhouse.password)}@127.0.0.1:${clickhouse.port}/trailmark`;
}
