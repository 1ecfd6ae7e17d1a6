import {
  ClickHouseError,
  ClickHouseLogLevel,
  createClient,
  type ClickHouseClient,
  type ClickHouseSettings,
} from '@clickhouse/client';
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';

export type { ClickHouseClient };

/** The one client of ClickHouse there is: the same for the embedded engine and for a cluster. */
export function createClickHouse(options: {
  url: string;
  applicationName: string;
  /** How long nothing at all may come from the server. A statement that takes longer says so meanwhile. */
  requestTimeoutMs?: number;
}): ClickHouseClient {
  return createClient({
    url: options.url,
    application: options.applicationName,
    request_timeout: options.requestTimeoutMs ?? 600_000,
    max_open_connections: 16,
    keep_alive: { enabled: true, idle_socket_ttl: 1_500 },
    log: { level: ClickHouseLogLevel.OFF },
    clickhouse_settings: {
      date_time_input_format: 'best_effort',
      output_format_json_quote_64bit_integers: 0,
      // A select whose client has gone ends; for anything else the server takes a KILL QUERY (see withinBounds).
      cancel_http_readonly_queries_on_client_close: 1,
    },
  });
}

/** What a query has to keep to. */
export interface QueryBounds {
  /** Aborted, it ends the query: here at once, and on the server. */
  signal?: AbortSignal | undefined;
  /** How long the step that asks may take, in milliseconds: the server ends the query a little before. */
  timeoutMs?: number | undefined;
}

/** The rows of a query with bound parameters. Throws the signal's reason where that ended it, or ClickHouse's error. */
export async function selectRows<Row>(
  clickhouse: ClickHouseClient,
  query: string,
  params: Record<string, unknown> = {},
  bounds: QueryBounds = {},
): Promise<Row[]> {
  return await withinBounds(clickhouse, bounds, async (options) => {
    const result = await clickhouse.query({ query, query_params: params, format: 'JSONEachRow', ...options });
    return await readToEnd(result, bounds.signal, async () => await result.json<Row>());
  });
}

/**
 * The columns of a query with bound parameters: for thousands of rows, because that is one JSON text to read and not one a row. A
 * column without rows may be missing. Throws as selectRows does.
 */
export async function selectColumns<Row>(
  clickhouse: ClickHouseClient,
  query: string,
  params: Record<string, unknown> = {},
  bounds: QueryBounds = {},
): Promise<{ [column in keyof Row]?: Row[column][] }> {
  return await withinBounds(clickhouse, bounds, async (options) => {
    const format = 'JSONColumnsWithMetadata';
    const result = await clickhouse.query({ query, query_params: params, format, ...options });
    const { data } = await readToEnd(result, bounds.signal, async () => {
      return (await result.json()) as unknown as { data: { [column in keyof Row]?: Row[column][] } };
    });
    return data;
  });
}

/** The client hears of an abort only until the answer begins. */
async function readToEnd<T>(
  result: { close(): void },
  signal: AbortSignal | undefined,
  read: () => Promise<T>,
): Promise<T> {
  const close = (): void => result.close();
  signal?.addEventListener('abort', close, { once: true });
  try {
    signal?.throwIfAborted();
    return await read();
  } finally {
    signal?.removeEventListener('abort', close);
  }
}

/** Runs a statement that gives no rows, an `INSERT … SELECT` say, with bound parameters. Throws as selectRows does. */
export async function runStatement(
  clickhouse: ClickHouseClient,
  query: string,
  params: Record<string, unknown> = {},
  bounds: QueryBounds = {},
): Promise<void> {
  await withinBounds(clickhouse, bounds, async ({ clickhouse_settings, ...options }) => {
    await clickhouse.command({
      query,
      query_params: params,
      ...options,
      clickhouse_settings: { ...clickhouse_settings, ...PROGRESS },
    });
  });
}

/** How long before its step the server ends a query, so that the failure says which of the two it was, in milliseconds. */
const MARGIN_MS = 5_000;

// The statement's client, and whatever passes its connection on, would take it for dead where nothing comes for minutes. Each is a
// header of some 250 bytes, of which Node takes 16 KiB in all.
const PROGRESS: ClickHouseSettings = {
  send_progress_in_http_headers: 1,
  http_headers_progress_interval_ms: '60000',
};

interface QueryOptions {
  query_id: string;
  abort_signal?: AbortSignal;
  clickhouse_settings: ClickHouseSettings;
}

/**
 * Runs a query and does not leave it behind: where its end did not come from the server (it was aborted, its connection broke, it
 * was silent for too long), the server is told to end it. A server goes on with an `INSERT … SELECT` whose client has hung up.
 */
async function withinBounds<T>(
  clickhouse: ClickHouseClient,
  { signal, timeoutMs }: QueryBounds,
  run: (options: QueryOptions) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const queryId = randomUUID();
  try {
    return await run({
      query_id: queryId,
      ...(signal === undefined ? {} : { abort_signal: signal }),
      clickhouse_settings:
        timeoutMs === undefined
          ? {}
          : {
              max_execution_time: Math.max(1, Math.floor((timeoutMs - MARGIN_MS) / 1_000)),
              timeout_overflow_mode: 'throw',
            },
    });
  } catch (error) {
    if (error instanceof ClickHouseError) throw error;
    await killQuery(clickhouse, queryId);
    signal?.throwIfAborted();
    throw error;
  }
}

// The server may not have begun with the query when it is told: then it is told again.
const KILL_AGAIN_AFTER_MS = [0, 200, 800];
const KILL_TIMEOUT_MS = 2_000;

/**
 * Tells the server to end a query; does not wait until it has. It may have ended meanwhile, be out of reach, or be another server
 * behind the same address: what is still left then ends by its max_execution_time.
 */
async function killQuery(clickhouse: ClickHouseClient, queryId: string): Promise<void> {
  const signal = AbortSignal.timeout(KILL_TIMEOUT_MS);
  try {
    for (const delayMs of KILL_AGAIN_AFTER_MS) {
      await wait(delayMs, undefined, { signal });
      const killed = await clickhouse.query({
        query: 'KILL QUERY WHERE query_id = {queryId:String} ASYNC',
        query_params: { queryId },
        format: 'JSONEachRow',
        abort_signal: signal,
      });
      if ((await killed.json()).length > 0) return;
    }
  } catch {
    // What ended the query is what its caller hears of.
  }
}
