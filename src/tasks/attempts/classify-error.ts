import { QueryError } from '../../query/index.ts';
import { RequestError, TaskFailure, type FailureCode } from '../../errors.ts';
import { classifyStoreError } from '../../store/index.ts';
import { describeThrown, isExhausted, readThrown } from '../../thrown.ts';

// Destinations classify their own errors, so what is left are our stores; ClickHouse speaks HTTP and has no other mark.
const NETWORK_CODES = new Set([
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EPROTO',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
]);
// What a step stops by when its worker ends, or another attempt has its task. The workflow knows why, and records that.
const STOPPED = new Set(['CancelledFailure', 'AbortError', 'StaleAttemptError']);

/**
 * What an error of a step is in the taxonomy of src/errors.ts. An error that nobody knows is `unknown`, and transient. Takes
 * whatever was thrown, and never throws.
 */
export function classifyError(error: unknown): TaskFailure {
  try {
    if (error instanceof TaskFailure) return error;
    const ours = error instanceof QueryError || error instanceof RequestError;
    const store = ours ? null : classifyStoreError(error);
    return store ?? new TaskFailure(codeOf(error), describeThrown(error), { cause: error });
  } catch {
    // A proxy that was revoked, say.
    return new TaskFailure('unknown', 'what was thrown does not let itself be read');
  }
}

function codeOf(error: unknown): FailureCode {
  if (error instanceof QueryError) return 'definition_invalid';
  if (error instanceof RequestError) return error.code === 'definition_cycle' ? 'definition_cycle' : 'unknown';
  const parts = readThrown(error);
  if (isExhausted(parts)) return 'worker_exhausted';
  if (STOPPED.has(parts[0].name)) return 'worker_lost';
  if (parts.some(({ code }) => NETWORK_CODES.has(code))) return 'clickhouse_unavailable';
  return 'unknown';
}
