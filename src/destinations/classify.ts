import { TaskFailure } from '../errors.ts';
import type { DeliveryStop, Refusal } from './outcome.ts';

/** The caller's signal, and what must not be shown. */
export interface ClassifyContext {
  signal: AbortSignal | undefined;
  /** Takes the destination's secrets out of a text. */
  redact(text: string): string;
}

/** How long an answer may be where it is shown. */
const REASON_LENGTH = 300;

/** The call as a whole took too long: an answer's body that never ends, or a destination with a client of its own. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** What errors of actions-core, node-fetch and the destinations have, each some of it. */
interface ErrorShape {
  name: string;
  message: string;
  code?: unknown;
  type?: unknown;
  status?: unknown;
  response?: {
    status?: unknown;
    statusText?: unknown;
    content?: unknown;
    headers?: { get(name: string): string | null };
  };
  $metadata?: { httpStatusCode?: unknown };
  cause?: unknown;
}

/**
 * What an error thrown while sending means: that the request was refused for good, or that sending has to stop. By the status
 * where there is one, as actions-core does: its RetryableError's statuses are transient, 401 means the credentials.
 * What is shown and logged never has an address in it (they carry secrets: Slack's, say), only codes and statuses.
 */
export function classifyError(error: unknown, context: ClassifyContext): Refusal | DeliveryStop {
  if (context.signal?.aborted === true) return { kind: 'aborted' };
  const shape: ErrorShape = error instanceof Error ? error : { name: 'unknown', message: String(error) };
  if (isRefusedAddress(shape)) return failed(new TaskFailure('destination_address_refused', 'refused when connecting'));
  if (shape.name === 'AggregateAjvError' || shape.name === 'ValidationError') {
    return { kind: 'refused', httpStatus: null, reason: shorten(context.redact(shape.message)) };
  }
  if (isTimeout(shape)) return failed(new TaskFailure('destination_timeout', `${shape.name} while sending`));
  const status = shape.response?.status ?? shape.status ?? shape.$metadata?.httpStatusCode;
  if (typeof status === 'number') {
    return classifyStatus(
      status,
      shorten(context.redact(describe(status, shape))),
      shape.response?.headers?.get('retry-after') ?? null,
    );
  }
  if (typeof shape.code === 'string' && (shape.type === 'system' || /^E[A-Z]+$|^(ERR_|UND_|CERT_)/.test(shape.code))) {
    return failed(new TaskFailure('destination_unreachable', `${shape.code} while sending`));
  }
  // actions-core's mapping-kit, for a mapping that holds no valid directives.
  if (shape.name === 'AggregateError')
    return failed(new TaskFailure('destination_settings_invalid', shorten(shape.message)));
  return failed(
    new TaskFailure('unknown', `${shape.name}: ${shorten(context.redact(shape.message))}`, { cause: error }),
  );
}

/**
 * What an HTTP status means. 408, 423, 425, 429 and 5xx without 501 are transient (RetryableError of actions-core, and 425, whose
 * name says it); 401 and 403 mean the credentials; all else refuses what was sent.
 */
export function classifyStatus(status: number, reason: string, retryAfter: string | null): Refusal | DeliveryStop {
  const waitMs = parseRetryAfter(retryAfter, Date.now());
  if (status === 429 || (status === 503 && waitMs !== null)) {
    const failure = new TaskFailure(
      'destination_rate_limited',
      `HTTP ${status}, Retry-After ${retryAfter ?? 'missing'}`,
    );
    return { kind: 'rate_limited', retryAfterMs: waitMs, failure };
  }
  if (status === 401 || status === 403) {
    return failed(new TaskFailure('destination_credentials_rejected', `HTTP ${status}`));
  }
  if (status === 408) return failed(new TaskFailure('destination_timeout', 'HTTP 408'));
  if (status === 423 || status === 425 || (status >= 500 && status !== 501)) {
    return failed(new TaskFailure('destination_unavailable', `HTTP ${status}`));
  }
  return { kind: 'refused', httpStatus: status, reason };
}

/** Milliseconds of a Retry-After header, which is a number of seconds or a date (RFC 9110, 10.2.3); null for none or nonsense. */
export function parseRetryAfter(header: string | null, nowMs: number): number | null {
  if (header === null || header.trim() === '') return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return seconds < 0 ? null : Math.ceil(seconds * 1_000);
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? null : Math.max(0, dateMs - nowMs);
}

function failed(failure: TaskFailure): DeliveryStop {
  return { kind: 'failed', failure };
}

function isRefusedAddress(error: ErrorShape): boolean {
  const code = 'ERR_ADDRESS_REFUSED';
  return error.code === code || (error.cause instanceof Error && (error.cause as ErrorShape).code === code);
}

function isTimeout(error: ErrorShape): boolean {
  return (
    error.name === 'DeadlineError' ||
    error.name === 'AbortError' ||
    error.code === 'ETIMEDOUT' ||
    error.code === 'REQUESTCLIENTERROR' ||
    error.code === 'REQUESTTIMEOUTERROR' ||
    error.code === 'SELF_TIMEOUT' ||
    error.type === 'request-timeout' ||
    error.type === 'body-timeout'
  );
}

function describe(status: number, error: ErrorShape): string {
  if (status >= 300 && status < 400)
    return `${status}: the destination answered with a redirect, which is not followed.`;
  const { statusText, content } = error.response ?? {};
  const text = typeof statusText === 'string' && statusText !== '' ? statusText : error.message;
  return [`${status} ${text}`, typeof content === 'string' ? content.trim() : '']
    .filter((part) => part !== '')
    .join(': ');
}

/** One line of a length that can be shown. */
export function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > REASON_LENGTH ? `${line.slice(0, REASON_LENGTH - 1)}…` : line;
}
