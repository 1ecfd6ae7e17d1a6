import { ClickHouseLogLevel, createClient, type ClickHouseClient } from '@clickhouse/client';

export type { ClickHouseClient };

/** The one client of ClickHouse there is: the same for the embedded engine and for a cluster. */
export function createClickHouse(options: {
  url: string;
  applicationName: string;
  requestTimeoutMs?: number;
}): ClickHouseClient {
  return createClient({
    url: options.url,
    application: options.applicationName,
    request_timeout: options.requestTimeoutMs ?? 600_000,
    max_open_connections: 16,
    keep_alive: { enabled: true, idle_socket_ttl: 1_500 },
    log: { level: ClickHouseLogLevel.OFF },
    clickhouse_settings: { date_time_input_format: 'best_effort', output_format_json_quote_64bit_integers: 0 },
  });
}

/** The rows of a query with bound parameters. */
export async function selectRows<Row>(
  clickhouse: ClickHouseClient,
  query: string,
  params: Record<string, unknown> = {},
  options: { queryId?: string; signal?: AbortSignal } = {},
): Promise<Row[]> {
  const result = await clickhouse.query({
    query,
    query_params: params,
    format: 'JSONEachRow',
    ...(options.queryId === undefined ? {} : { query_id: options.queryId }),
    ...(options.signal === undefined ? {} : { abort_signal: options.signal }),
  });
  return await result.json<Row>();
}
