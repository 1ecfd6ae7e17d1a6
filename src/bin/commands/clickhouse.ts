import { randomBytes } from 'node:crypto';
import { totalmem } from 'node:os';
import { resolve } from 'node:path';
import type { Config } from '../../config.ts';
import { serveClickHouse } from '../../embedded/index.ts';

const MIB = 1024 * 1024;

/** `trailmark clickhouse`: the embedded engine alone, by ClickHouse's HTTP interface on loopback. Ends when `signal` is aborted. */
export async function runClickHouse(
  config: Config,
  options: { folder?: string; threads: number },
  signal: AbortSignal,
): Promise<void> {
  const password = config.TRAILMARK_CLICKHOUSE_PASSWORD ?? randomBytes(18).toString('base64url');
  const server = await serveClickHouse({
    folder: resolve(options.folder ?? `${config.TRAILMARK_DATA}/clickhouse`),
    host: '127.0.0.1',
    port: config.TRAILMARK_CLICKHOUSE_PORT,
    user: 'trailmark',
    password,
    memoryLimitBytes: (config.TRAILMARK_CLICKHOUSE_MEMORY_MB ?? defaultMemoryMb()) * MIB,
    concurrency: Math.max(2, Math.min(16, options.threads - 2)),
    durable: config.TRAILMARK_CLICKHOUSE_DURABLE,
    onError: (error) => console.error(error),
  });
  console.log(`ClickHouse ${server.version} (embedded) listens on http://127.0.0.1:${server.port}`);
  if (config.TRAILMARK_CLICKHOUSE_PASSWORD === undefined) {
    console.log(`CLICKHOUSE_URL=http://trailmark:${password}@127.0.0.1:${server.port}/trailmark`);
  }
  await new Promise<void>((done) => {
    if (signal.aborted) done();
    else signal.addEventListener('abort', () => done(), { once: true });
  });
  await server.close();
}

/** A quarter of the machine, within bounds: other programs share it. */
function defaultMemoryMb(): number {
  return Math.round(Math.min(8_192, Math.max(1_024, totalmem() / MIB / 4)));
}
