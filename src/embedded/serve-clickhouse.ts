import type { ClickHouseServer, ClickHouseServerOptions } from './clickhouse-server/index.ts';

/** Serves the embedded ClickHouse engine from this process. Only who calls this loads the engine, which is large. */
export async function serveClickHouse(options: ClickHouseServerOptions): Promise<ClickHouseServer> {
  const { serveClickHouse: serve } = await import('./clickhouse-server/index.ts');
  return await serve(options);
}
