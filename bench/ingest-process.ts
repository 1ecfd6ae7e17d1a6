import { serve } from '@hono/node-server';
import type { AddressInfo } from 'node:net';
import { trackingRoutes } from '../src/api/routes/tracking/tracking.ts';
import { createLogger } from '../src/logger.ts';
import { createLoader } from '../src/pipeline/index.ts';
import { createClickHouse, createPool } from '../src/store/index.ts';

// One of the two programs that ingest is made of, as in production: `api` answers clients, `loader` fills ClickHouse.
const [role = '', databaseUrl = '', clickhouseUrl = ''] = process.argv.slice(2);
const logger = createLogger({ level: 'warn', program: role });
const pool = createPool({ connectionString: databaseUrl, applicationName: `bench-${role}`, onError: () => undefined });
if (role === 'api') {
  const server = serve({ fetch: trackingRoutes({ pool, logger }).fetch, port: 0, hostname: '127.0.0.1' }, () => {
    process.send?.({ port: (server.address() as AddressInfo).port });
  });
  process.once('disconnect', () => process.exit(0));
} else {
  const clickhouse = createClickHouse({ url: clickhouseUrl, applicationName: 'bench-loader' });
  const stop = new AbortController();
  process.once('disconnect', () => stop.abort());
  process.send?.({ port: 0 });
  await createLoader({ pool, clickhouse, logger }).run(stop.signal);
  process.exit(0);
}
