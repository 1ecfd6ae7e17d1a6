import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

// A loader in a process of its own, for tests that kill it: JavaScript, and from the build, so that it starts in an instant.
const [dist, databaseUrl, clickhouseUrl] = process.argv.slice(2);
const built = (file) => import(pathToFileURL(resolve(dist, 'src', file)).href);
const { createLoader } = await built('pipeline/index.js');
const { createClickHouse, createPool } = await built('store/index.js');
const { createLogger } = await built('logger.js');
const applicationName = 'test-loader';
const pool = createPool({ connectionString: databaseUrl, applicationName, onError: () => undefined });
const clickhouse = createClickHouse({ url: clickhouseUrl, applicationName });
const logger = createLogger({ level: 'silent', program: 'test' });
// Small batches, so that there is much to be in the middle of.
const loader = createLoader({ pool, clickhouse, logger }, { maxRows: 150, leaseMs: 300, pollMs: 5 });
await loader.run(new AbortController().signal);
