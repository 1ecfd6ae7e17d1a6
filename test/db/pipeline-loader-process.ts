import { createLoader } from '../../src/pipeline/index.ts';
import { createClickHouse, createPool } from '../../src/store/index.ts';
import { silent } from './pipeline-world.ts';

// A loader in a process of its own, for tests that kill it. Small batches, so that there is much to be in the middle of.
const [databaseUrl, clickhouseUrl] = [process.env['DATABASE_URL'] ?? '', process.env['CLICKHOUSE_URL'] ?? ''];
const pool = createPool({ connectionString: databaseUrl, applicationName: 'test-loader', onError: () => undefined });
const clickhouse = createClickHouse({ url: clickhouseUrl, applicationName: 'test-loader' });
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
await createLoader({ pool, clickhouse, logger: silent }, { maxRows: 150, leaseMs: 300, pollMs: 5 }).run(stop.signal);
await clickhouse.close();
await pool.end();
