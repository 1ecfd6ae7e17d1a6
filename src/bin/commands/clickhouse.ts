import { randomBytes } from 'node:crypto';
import { totalmem } from 'node:os';
import { resolve } from 'node:path';
import { isPortFree, serveClickHouse, StartError } from '../../embedded/index.ts';
import type { Context } from '../context.ts';

const HOST = '127.0.0.1';
const MIB = 1024 * 1024;

/** `trailmark clickhouse`: the embedded engine alone, by ClickHouse's HTTP interface on loopback. Ends when `signal` is aborted. */
export async function runClickHouse(context: Context, options: { folder?: string }): Promise<void> {
  const { config, env, signal } = context;
  const port = config.TRAILMARK_CLICKHOUSE_PORT;
  if (port !== 0 && !(await isPortFree(port, HOST))) {
    throw new StartError(
      `Port ${port} of ${HOST} is in use. Stop what listens there, or set TRAILMARK_CLICKHOUSE_PORT to another port.`,
    );
  }
  // Each query that runs occupies a thread of libuv's pool; a few are left for files and names.
  const threads = Number(env['UV_THREADPOOL_SIZE'] ?? 4);
  const password = config.TRAILMARK_CLICKHOUSE_PASSWORD ?? randomBytes(18).toString('base64url');
  const server = await serveClickHouse({
    folder: resolve(options.folder ?? `${config.TRAILMARK_DATA}/clickhouse`),
    host: HOST,
    port,
    user: 'trailmark',
    password,
    memoryLimitBytes: (config.TRAILMARK_CLICKHOUSE_MEMORY_MB ?? defaultMemoryMb()) * MIB,
    concurrency: Math.max(2, Math.min(16, threads - 2)),
    durable: config.TRAILMARK_CLICKHOUSE_DURABLE,
    onError: (error) => console.error(error),
  });
  console.log(`ClickHouse ${server.version} (embedded) listens on http://${HOST}:${server.port}`);
  if (config.TRAILMARK_CLICKHOUSE_PASSWORD === undefined) {
    console.log(`CLICKHOUSE_URL=http://trailmark:${password}@${HOST}:${server.port}/trailmark`);
  }
  context.sayReady();
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
