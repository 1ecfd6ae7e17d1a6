import { ClickHouseError } from '@clickhouse/client';
import { QueryError } from '../query/index.ts';
import { TaskFailure } from '../errors.ts';

const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
]);
const CLICKHOUSE_MEMORY_LIMIT_EXCEEDED = '241';
// PostgreSQL's classes: 08 connection, 53 resources, 57P0x shut down, 58 its machine, 40 rolled back by the server (deadlock,
// serialisation); 25006 is a server that only reads, after a failover.
const POSTGRES_UNAVAILABLE = /^(08|53|57P0|58|40|25006)/;

/** What an error of a step is in the taxonomy of src/errors.ts. An error that nobody knows is `unknown`, and transient. */
export function classifyError(error: unknown): TaskFailure {
  if (error instanceof TaskFailure) return error;
  const detail = detailOf(error);
  if (error instanceof QueryError) return new TaskFailure('definition_invalid', detail, { cause: error });
  if (error instanceof ClickHouseError) {
    const code = error.code === CLICKHOUSE_MEMORY_LIMIT_EXCEEDED ? 'clickhouse_memory' : 'clickhouse_query';
    return new TaskFailure(code, detail, { cause: error });
  }
  const code = codeOf(error);
  if (isPostgresError(error)) {
    return new TaskFailure(POSTGRES_UNAVAILABLE.test(code) ? 'postgres_unavailable' : 'unknown', detail, {
      cause: error,
    });
  }
  if (fromModule(error, '@clickhouse/')) return new TaskFailure('clickhouse_unavailable', detail, { cause: error });
  if (fromModule(error, 'pg')) return new TaskFailure('postgres_unavailable', detail, { cause: error });
  if (NETWORK_CODES.has(code)) {
    // Destinations classify their own errors, so what is left are our stores; ClickHouse speaks HTTP and has no other mark.
    return new TaskFailure('clickhouse_unavailable', detail, { cause: error });
  }
  return new TaskFailure('unknown', detail, { cause: error });
}

/** Node's error for a name with several addresses has no message of its own. */
function detailOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError && error.message === '') {
    return `${error.name}: ${error.errors.map((one) => detailOf(one)).join('; ')}`;
  }
  return `${error.name}: ${error.message}`;
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

/** node-postgres' errors from the server carry a severity beside the code. */
function isPostgresError(error: unknown): boolean {
  return error instanceof Error && 'severity' in error && 'code' in error;
}

/** Errors of the drivers themselves (a connection that ended) are told by where they were made. */
function fromModule(error: unknown, name: string): boolean {
  return error instanceof Error && (error.stack ?? '').includes(`/node_modules/${name}`);
}
