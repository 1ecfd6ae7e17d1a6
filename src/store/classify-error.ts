import { TaskFailure, type FailureCode } from '../errors.ts';
import { describeThrown, property, readThrown, type Thrown } from '../thrown.ts';

/**
 * What an error of our stores is in the taxonomy of src/errors.ts; null for one that is of neither. PostgreSQL tells by its
 * SQLSTATE, ClickHouse by its number, and both drivers' own errors (a connection that ended) by where they were made.
 */
export function classifyStoreError(error: unknown): TaskFailure | null {
  const parts = readThrown(error);
  const code = postgresCode(parts) ?? clickhouseCode(parts);
  return code === null ? null : new TaskFailure(code, describeThrown(error), { cause: error });
}

/**
 * SQLSTATEs, the longest prefix that fits: five characters are one condition, two a class
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html). Any other is a statement that PostgreSQL refuses.
 */
const SQLSTATES: Readonly<Record<string, FailureCode>> = {
  '08': 'postgres_unavailable', // connection
  '53': 'postgres_unavailable', // resources: too many connections, limits of the configuration
  '57P': 'postgres_unavailable', // shut down, starting, its database dropped
  '58': 'postgres_unavailable', // its machine
  XX: 'postgres_unavailable', // internal errors: a broken file, say
  '53100': 'postgres_exhausted', // disk full
  '53200': 'postgres_exhausted', // out of memory
  '25006': 'postgres_read_only',
  '40': 'postgres_contention', // rolled back by the server: deadlock, serialisation
  '55P03': 'postgres_contention', // lock not available
  '55006': 'postgres_contention', // object in use
  '57014': 'postgres_contention', // cancelled: statement_timeout, or an administrator
  '25P03': 'postgres_contention', // idle_in_transaction_session_timeout
  '25P04': 'postgres_contention', // transaction_timeout
  '28': 'postgres_refused', // user or password
  '3D000': 'postgres_refused', // no such database
  '42501': 'postgres_refused', // insufficient privilege
};

function postgresCode(parts: readonly Thrown[]): FailureCode | null {
  for (const part of parts) {
    // node-postgres' errors from the server carry a severity beside the code.
    if (property(part.value, 'severity') !== undefined && /^[0-9A-Z]{5}$/.test(part.code)) {
      const known = [5, 3, 2].map((length) => SQLSTATES[part.code.slice(0, length)]).find((code) => code !== undefined);
      return known ?? 'postgres_statement';
    }
    if (madeIn(part, 'pg')) return 'postgres_unavailable';
  }
  return null;
}

/** ClickHouse's numbers (src/Common/ErrorCodes.cpp). Any other is a failure that Trailmark does not know. */
const CLICKHOUSE_CODES: Readonly<Record<string, FailureCode>> = {
  // what it was asked is wrong, whatever there is in the tables
  36: 'clickhouse_query', // BAD_ARGUMENTS
  42: 'clickhouse_query', // NUMBER_OF_ARGUMENTS_DOESNT_MATCH
  43: 'clickhouse_query', // ILLEGAL_TYPE_OF_ARGUMENT
  44: 'clickhouse_query', // ILLEGAL_COLUMN
  53: 'clickhouse_query', // TYPE_MISMATCH
  62: 'clickhouse_query', // SYNTAX_ERROR
  167: 'clickhouse_query', // TOO_DEEP_AST
  168: 'clickhouse_query', // TOO_BIG_AST
  179: 'clickhouse_query', // MULTIPLE_EXPRESSIONS_FOR_ALIAS
  184: 'clickhouse_query', // ILLEGAL_AGGREGATION
  207: 'clickhouse_query', // AMBIGUOUS_IDENTIFIER
  215: 'clickhouse_query', // NOT_AN_AGGREGATE
  306: 'clickhouse_query', // TOO_DEEP_RECURSION
  386: 'clickhouse_query', // NO_COMMON_TYPE
  427: 'clickhouse_query', // CANNOT_COMPILE_REGEXP
  456: 'clickhouse_query', // UNKNOWN_QUERY_PARAMETER
  457: 'clickhouse_query', // BAD_QUERY_PARAMETER
  // something is missing that a migration or an upgrade brings
  16: 'clickhouse_schema', // NO_SUCH_COLUMN_IN_TABLE
  46: 'clickhouse_schema', // UNKNOWN_FUNCTION
  47: 'clickhouse_schema', // UNKNOWN_IDENTIFIER
  48: 'clickhouse_schema', // NOT_IMPLEMENTED
  50: 'clickhouse_schema', // UNKNOWN_TYPE
  60: 'clickhouse_schema', // UNKNOWN_TABLE
  63: 'clickhouse_schema', // UNKNOWN_AGGREGATE_FUNCTION
  73: 'clickhouse_schema', // UNKNOWN_FORMAT
  81: 'clickhouse_schema', // UNKNOWN_DATABASE
  115: 'clickhouse_schema', // UNKNOWN_SETTING
  218: 'clickhouse_schema', // TABLE_IS_DROPPED
  344: 'clickhouse_schema', // SUPPORT_IS_DISABLED
  // it is not there, or not whole
  32: 'clickhouse_unavailable', // ATTEMPT_TO_READ_AFTER_EOF
  209: 'clickhouse_unavailable', // SOCKET_TIMEOUT
  210: 'clickhouse_unavailable', // NETWORK_ERROR
  225: 'clickhouse_unavailable', // NO_ZOOKEEPER
  236: 'clickhouse_unavailable', // ABORTED: it is shutting down
  242: 'clickhouse_read_only', // TABLE_IS_READ_ONLY
  244: 'clickhouse_unavailable', // UNEXPECTED_ZOOKEEPER_ERROR
  279: 'clickhouse_unavailable', // ALL_CONNECTION_TRIES_FAILED
  285: 'clickhouse_unavailable', // TOO_FEW_LIVE_REPLICAS
  286: 'clickhouse_unavailable', // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
  319: 'clickhouse_unavailable', // UNKNOWN_STATUS_OF_INSERT
  369: 'clickhouse_unavailable', // ALL_REPLICAS_ARE_STALE
  425: 'clickhouse_unavailable', // SYSTEM_ERROR
  999: 'clickhouse_unavailable', // KEEPER_EXCEPTION
  // it has too much to do
  173: 'clickhouse_overloaded', // CANNOT_ALLOCATE_MEMORY
  201: 'clickhouse_overloaded', // QUOTA_EXCEEDED
  202: 'clickhouse_overloaded', // TOO_MANY_SIMULTANEOUS_QUERIES
  203: 'clickhouse_overloaded', // NO_FREE_CONNECTION
  252: 'clickhouse_overloaded', // TOO_MANY_PARTS
  439: 'clickhouse_overloaded', // CANNOT_SCHEDULE_TASK
  745: 'clickhouse_overloaded', // SERVER_OVERLOADED
  // the query is too much for it
  158: 'clickhouse_memory', // TOO_MANY_ROWS
  191: 'clickhouse_memory', // SET_SIZE_LIMIT_EXCEEDED
  241: 'clickhouse_memory', // MEMORY_LIMIT_EXCEEDED
  307: 'clickhouse_memory', // TOO_MANY_BYTES
  396: 'clickhouse_memory', // TOO_MANY_ROWS_OR_BYTES
  159: 'clickhouse_timeout', // TIMEOUT_EXCEEDED
  160: 'clickhouse_timeout', // TOO_SLOW
  394: 'clickhouse_killed', // QUERY_WAS_CANCELLED
  734: 'clickhouse_killed', // QUERY_WAS_CANCELLED_BY_CLIENT
  // it does not let us
  164: 'clickhouse_read_only', // READONLY
  192: 'clickhouse_refused', // UNKNOWN_USER
  193: 'clickhouse_refused', // WRONG_PASSWORD
  194: 'clickhouse_refused', // REQUIRED_PASSWORD
  497: 'clickhouse_refused', // ACCESS_DENIED
  516: 'clickhouse_refused', // AUTHENTICATION_FAILED
  243: 'clickhouse_exhausted', // NOT_ENOUGH_SPACE
};

function clickhouseCode(parts: readonly Thrown[]): FailureCode | null {
  for (const part of parts) {
    // By its name and not by instanceof: two copies of the client's package make two classes.
    if (property(property(part.value, 'constructor'), 'name') === 'ClickHouseError') return clickhouseNumber(part);
    if (madeIn(part, '@clickhouse/')) return 'clickhouse_unavailable';
  }
  return null;
}

function clickhouseNumber({ code, message }: Thrown): FailureCode {
  // Of all queries together, and not of this one: "(total) memory limit exceeded", in older versions the other way round.
  if (code === '241' && /\(total\)/i.test(message)) return 'clickhouse_overloaded';
  if (/no space left on device|not enough space/i.test(message)) return 'clickhouse_exhausted';
  return CLICKHOUSE_CODES[code] ?? 'clickhouse_failed';
}

// A mistake in code that a driver called is not the driver's.
const MISTAKES = new Set(['TypeError', 'RangeError', 'ReferenceError']);

function madeIn({ name, value }: Thrown, module: string): boolean {
  const stack = property(value, 'stack');
  return typeof stack === 'string' && !MISTAKES.has(name) && stack.includes(`/node_modules/${module}`);
}
