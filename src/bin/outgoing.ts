import { readFileSync, statSync } from 'node:fs';
import type { Config } from '../config.ts';
import type { AddressRules } from '../security/index.ts';

/**
 * What this installation sends to. Never to its engines and to what they tell about themselves: they let in whoever has a socket, or
 * take a webhook's body for a question.
 */
export function outgoingRules(config: Config): AddressRules {
  const given = addressesOf(config);
  const fromFile = createFileReader(config.TRAILMARK_REFUSED_ADDRESSES_FILE);
  return {
    allowPrivateAddresses: config.TRAILMARK_ALLOW_PRIVATE_ADDRESSES,
    allowedAddresses: config.TRAILMARK_ALLOWED_ADDRESSES,
    refusedAddresses: () => [...given, ...fromFile()],
  };
}

function addressesOf(config: Config): string[] {
  const urls: [string | undefined, number][] = [
    [config.DATABASE_URL, 5432],
    [config.CLICKHOUSE_URL, config.CLICKHOUSE_URL?.startsWith('https:') === true ? 443 : 80],
    [config.TEMPORAL_UI_URL, config.TEMPORAL_UI_URL?.startsWith('https:') === true ? 443 : 80],
  ];
  const found = urls.flatMap(([url, usual]) => {
    if (url === undefined) return [];
    const { hostname, port } = new URL(url);
    return [`${hostname}:${port === '' ? usual : port}`];
  });
  if (config.TEMPORAL_ADDRESS !== undefined) found.push(config.TEMPORAL_ADDRESS);
  const { TRAILMARK_METRICS_HOST: host, TRAILMARK_METRICS_PORT: port } = config;
  if (port !== undefined) found.push(`${host}:${port}`, `${host}:${port + 1}`);
  return found;
}

/** The addresses in a file that another process may write anew: Temporal has other ports after it was restarted. */
function createFileReader(file: string | undefined): () => string[] {
  let known: string[] = [];
  let readAt = -1;
  return () => {
    if (file === undefined) return [];
    try {
      const { mtimeMs } = statSync(file);
      if (mtimeMs !== readAt) known = JSON.parse(readFileSync(file, 'utf8')) as string[];
      readAt = mtimeMs;
    } catch {
      // In the middle of being written, or gone: what was known holds.
    }
    return known;
  };
}
