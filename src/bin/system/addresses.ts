import type { Config } from '../../config.ts';
import { RequestError } from '../../errors.ts';

/** Where the three servers are, and the secret: what the api and the workers can't do without. */
export interface Addresses {
  databaseUrl: string;
  temporalAddress: string;
  clickhouseUrl: string;
  secret: string;
}

/** The addresses from the configuration. Throws a RequestError that names every variable which is missing. */
export function requireAddresses(config: Config): Addresses {
  const { DATABASE_URL, TEMPORAL_ADDRESS, CLICKHOUSE_URL, TRAILMARK_SECRET } = config;
  const missing = Object.entries({ DATABASE_URL, TEMPORAL_ADDRESS, CLICKHOUSE_URL, TRAILMARK_SECRET })
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  if (
    DATABASE_URL === undefined ||
    TEMPORAL_ADDRESS === undefined ||
    CLICKHOUSE_URL === undefined ||
    TRAILMARK_SECRET === undefined
  ) {
    throw new RequestError(
      'invalid',
      'addresses_missing',
      `Not set: ${missing.join(', ')}. Set them, or use \`trailmark start\`, which brings its own servers.`,
      { field: missing[0] ?? '' },
    );
  }
  return {
    databaseUrl: DATABASE_URL,
    temporalAddress: TEMPORAL_ADDRESS,
    clickhouseUrl: CLICKHOUSE_URL,
    secret: TRAILMARK_SECRET,
  };
}
