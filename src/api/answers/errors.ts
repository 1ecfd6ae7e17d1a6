import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { ZodError } from 'zod';
import { RequestError, type FailureCode, type RequestErrorKind } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { classifyStoreError } from '../../store/index.ts';
import type { ApiEnv } from '../deps.ts';

/** One problem, as the RequestError of Segment's Public API: `type` is a stable code, `field` the path of what is wrong. */
interface ProblemResponse {
  type: string;
  message: string;
  field?: string;
  data?: Record<string, unknown>;
  /** The HTTP status, once more. */
  status: number;
}

interface ErrorEnvelope {
  errors: ProblemResponse[];
}

/** The HTTP status of each kind of refusal. Exhaustive: a new kind does not compile without its status. */
export function statusOf(kind: RequestErrorKind): ContentfulStatusCode {
  switch (kind) {
    case 'invalid':
      return 400;
    case 'unauthenticated':
      return 401;
    case 'forbidden':
      return 403;
    case 'not_found':
      return 404;
    case 'method_not_allowed':
      return 405;
    case 'conflict':
      return 409;
    case 'too_large':
      return 413;
    case 'unsupported_media_type':
      return 415;
    case 'rate_limited':
      return 429;
    case 'unavailable':
      return 503;
    default:
      return unknownKind(kind);
  }
}

function unknownKind(kind: never): never {
  throw new Error(`no request is refused as ${String(kind)}`);
}

/** Answers any error in the one envelope. What nobody foresaw is logged whole, and shown as no more than its request id. */
export function answerError(logger: Logger): (error: Error, c: Context<ApiEnv>) => Response {
  return (error, c) => {
    const refusal = toRequestError(error);
    if (refusal !== null) {
      if (refusal.kind === 'unauthenticated') c.header('WWW-Authenticate', 'Bearer realm="trailmark"');
      if (refusal.kind === 'unavailable') {
        c.header('Retry-After', '1');
        logger.warn({ err: error, requestId: c.get('requestId') }, 'request refused: an engine is not there');
      }
      sayWhenToRetry(refusal, c);
      const status = statusOf(refusal.kind);
      return c.json(problem({ ...shown(refusal), status }), status);
    }
    if (error instanceof HTTPException) {
      const { status } = error;
      return c.json(problem({ type: httpCode(status), message: httpMessage(error), status }), status);
    }
    const requestId = c.get('requestId');
    logger.error({ err: error, requestId }, 'request failed');
    return c.json(
      problem({
        type: 'internal_error',
        message: `Something failed that Trailmark does not know. The log has it under the request id ${requestId}.`,
        data: { requestId },
        status: 500,
      }),
      500,
    );
  };
}

/** Puts Retry-After on a refusal that knows when it will be over. */
export function sayWhenToRetry({ data }: RequestError, c: Context): void {
  const seconds = data?.['retryAfterSeconds'];
  if (typeof seconds === 'number') c.header('Retry-After', String(seconds));
}

/** Answers what a schema refuses: one problem for each value, with its place and what would be right. */
export function answerInvalid(
  result: { target: string } & ({ success: true } | { success: false; error: ZodError }),
  c: Context,
): Response | undefined {
  if (result.success) return undefined;
  return c.json(
    {
      errors: result.error.issues.map((issue) => {
        const place = issue.code === 'unrecognized_keys' ? [...issue.path, ...issue.keys.slice(0, 1)] : issue.path;
        const field = place.map(String).join('.');
        return {
          type: 'invalid_request',
          message: `${field === '' ? `The ${TARGETS[result.target] ?? result.target}` : field}: ${issue.message}`,
          ...(field === '' ? {} : { field }),
          status: 400,
        };
      }),
    } satisfies ErrorEnvelope,
    400,
  );
}

const TARGETS: Record<string, string> = { json: 'body', query: 'query string', param: 'path' };

function shown(error: RequestError): Omit<ProblemResponse, 'status'> {
  return {
    type: error.code,
    message: error.message,
    ...(error.field === undefined ? {} : { field: error.field }),
    ...(error.data === undefined ? {} : { data: error.data }),
  };
}

function problem(value: ProblemResponse): ErrorEnvelope {
  return { errors: [value] };
}

function toRequestError(error: Error): RequestError | null {
  if (error instanceof RequestError) return error;
  if (isEngineAway(error)) {
    return new RequestError(
      'unavailable',
      'engine_unavailable',
      'An engine could not be reached, or had no time. Try again in a second.',
      {
        cause: error,
      },
    );
  }
  return null;
}

// What an engine's failures are that are over soon, as they are called where they fail a task.
const OVER_SOON: ReadonlySet<FailureCode> = new Set([
  'postgres_unavailable',
  'postgres_contention',
  'clickhouse_unavailable',
  'clickhouse_overloaded',
]);
// Of a socket whose owner can't be told.
const SOCKET_CODES = /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT)$/;

function isEngineAway(error: Error & { code?: unknown }): boolean {
  const known = classifyStoreError(error);
  if (known !== null) return OVER_SOON.has(known.code);
  return typeof error.code === 'string' && SOCKET_CODES.test(error.code);
}

function httpCode(status: number): string {
  if (status === 415) return 'unsupported_media_type';
  return status === 400 ? 'malformed_body' : `http_${status}`;
}

function httpMessage(error: HTTPException): string {
  if (error.status === 415) return 'The body must be JSON: send Content-Type: application/json.';
  return error.status === 400 ? 'The body is not well-formed JSON.' : error.message;
}
