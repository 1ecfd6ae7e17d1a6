import { cutText } from '../../cut-text.ts';
import { FAILURES, TaskFailure } from '../../errors.ts';
import { classifyStoreError } from '../../store/index.ts';
import { describeThrown, isExhausted, property, readThrown } from '../../thrown.ts';
import { isUnsendable, networkFailure } from './network-failure.ts';
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

/** An OAuth destination did not renew its tokens. `cause` is what its definition threw. */
export class RefreshError extends Error {
  override readonly name = 'RefreshError';
  /** What the request for new tokens ended with, where it failed: definitions throw something of their own in its place. */
  readonly requestError: unknown;

  constructor(cause: unknown, requestError: unknown) {
    super('the tokens were not renewed', { cause });
    this.requestError = requestError;
  }
}

/** Nothing may go out any more under what a destination was opened with: a person has switched it off, edited or deleted it. */
export class PermitWithdrawn extends Error {
  override readonly name = 'PermitWithdrawn';
  constructor() {
    super('what was to be sent may not go out any more as it was');
  }
}

/** Something of ours failed in the middle of a call to a destination. `cause` is the error of our store. */
export class OwnError extends Error {
  override readonly name = 'OwnError';
}

/**
 * What an error thrown while sending means: that the request was refused for good, or that sending has to stop. By the status
 * where there is one, as actions-core does: its RetryableError's statuses are transient, 401 means the credentials.
 * What is shown and logged never has an address in it (they carry secrets: Slack's, say), only codes and statuses.
 */
export function classifyError(error: unknown, context: ClassifyContext): Refusal | DeliveryStop {
  const classified = classify(error, context);
  // Here and not where each text is made: none of them is forgotten.
  if (classified.kind === 'refused') return { ...classified, reason: context.redact(classified.reason) };
  return 'failure' in classified ? redactStop(classified, context) : classified;
}

function redactStop<Stop extends DeliveryStop & { failure: TaskFailure }>(stop: Stop, context: ClassifyContext): Stop {
  const { code, detail, cause, retryAfterMs } = stop.failure;
  const redacted = context.redact(detail);
  if (redacted === detail) return stop;
  const options = retryAfterMs === undefined ? { cause } : { cause, retryAfterMs };
  return { ...stop, failure: new TaskFailure(code, redacted, options) };
}

function classify(error: unknown, context: ClassifyContext): Refusal | DeliveryStop {
  if (context.signal?.aborted === true) return { kind: 'aborted' };
  if (error instanceof PermitWithdrawn) return { kind: 'withdrawn' };
  if (error instanceof TaskFailure) return failed(error);
  if (error instanceof OwnError) return failed(classifyStoreError(error.cause) ?? unknown(error.cause, context));
  if (error instanceof RefreshError) return classifyRefresh(error, context);
  const parts = readThrown(error);
  const [{ name, message, code }] = parts;
  if (parts.some((part) => part.code === 'ERR_ADDRESS_REFUSED')) {
    return failed(new TaskFailure('destination_address_refused', 'refused when connecting'));
  }
  if (name === 'AggregateAjvError' || name === 'ValidationError') return refused(null, message, context);
  if (REFRESH_CODES.has(code)) return failed(new TaskFailure('destination_credentials_expired', code));
  const network = networkFailure(parts);
  // Before its status, which actions-core sets to 408 for every request that we broke off.
  if (network?.failure === 'destination_timeout') return failed(timeout(network.detail));
  const status = statusOf(error);
  if (status !== null) {
    const response = property(error, 'response');
    // An AWS SDK: throttling is a 400 there, and says so in its own way.
    const throttled = property(property(error, '$retryable'), 'throttling') === true;
    return classifyStatus(
      throttled ? 429 : status,
      shorten(context.redact(describe(status, message, response))),
      headerOf(response, 'retry-after'),
    );
  }
  // Of Liquid, which a template is written in: its own limits for one event.
  if (/^(?:template render|memory alloc) limit exceeded/.test(message)) {
    return failed(new TaskFailure('destination_code_overran', `a template: ${message}`));
  }
  if (isExhausted(parts)) return failed(new TaskFailure('worker_exhausted', code));
  if (isUnsendable(parts)) return refused(null, `the request can't be sent: ${code}`, context);
  if (network !== null) return failed(new TaskFailure(network.failure, `${network.detail} while sending`));
  // actions-core's mapping-kit, for a mapping that holds no valid directives.
  if (name === 'AggregateError') return failed(new TaskFailure('destination_settings_invalid', shorten(message)));
  return failed(unknown(error, context));
}

const REFRESH_CODES = new Set(['REFRESH_TOKEN_EXPIRED', 'OAUTH_REFRESH_FAILED']);

/** The request for new tokens may have failed for a reason that heals; else there are none before someone connects it again. */
function classifyRefresh({ cause, requestError }: RefreshError, context: ClassifyContext): Refusal | DeliveryStop {
  const why = classifyError(requestError ?? cause, context);
  if (why.kind === 'rate_limited' || why.kind === 'aborted' || why.kind === 'withdrawn') return why;
  if (why.kind === 'failed' && FAILURES[why.failure.code].class === 'transient') return why;
  const detail = why.kind === 'refused' ? why.reason : why.failure.detail;
  return failed(new TaskFailure('destination_credentials_expired', detail, { cause }));
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * What an HTTP status means. 408, 423, 425, 429, 499 and 5xx without 501 are transient (RetryableError of actions-core; 425, whose
 * name says it; 499, by which a proxy says that nobody waited for the answer); 401 and 403 mean the credentials; a redirect
 * the address; all else refuses what was sent.
 */
export function classifyStatus(status: number, reason: string, retryAfter: string | null): Refusal | DeliveryStop {
  const waitMs = parseRetryAfter(retryAfter, Date.now());
  if (status === 429 || (status === 503 && waitMs !== null)) {
    const failure = new TaskFailure(
      'destination_rate_limited',
      // Not the header's text: it is the tool's, and may repeat anything.
      `HTTP ${status}, Retry-After ${waitMs === null ? 'missing' : `${waitMs} ms`}`,
      waitMs === null ? {} : { retryAfterMs: waitMs },
    );
    return { kind: 'rate_limited', retryAfterMs: waitMs, failure };
  }
  if (status === 401 || status === 403) {
    return failed(new TaskFailure('destination_credentials_rejected', `HTTP ${status}`));
  }
  if (REDIRECTS.has(status)) return failed(new TaskFailure('destination_redirected', `HTTP ${status}`));
  if (status === 408) return failed(timeout('HTTP 408'));
  if (status === 423 || status === 425 || status === 499 || (status >= 500 && status !== 501)) {
    return failed(new TaskFailure('destination_unavailable', `HTTP ${status}`));
  }
  return { kind: 'refused', httpStatus: status, reason };
}

/** Milliseconds of a Retry-After header, which is a number of seconds or a date (RFC 9110, 10.2.3); null for none or nonsense. */
export function parseRetryAfter(header: string | null, nowMs: number): number | null {
  if (header === null || header.trim() === '') return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds))
    return seconds < 0 ? null : Math.min(Math.ceil(seconds * 1_000), Number.MAX_SAFE_INTEGER);
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? null : Math.max(0, dateMs - nowMs);
}

function failed(failure: TaskFailure): DeliveryStop {
  return { kind: 'failed', failure };
}

function refused(httpStatus: number | null, reason: string, context: ClassifyContext): Refusal {
  return { kind: 'refused', httpStatus, reason: shorten(context.redact(reason)) };
}

function timeout(detail: string): TaskFailure {
  return new TaskFailure('destination_timeout', `${detail} while sending`);
}

function unknown(error: unknown, context: ClassifyContext): TaskFailure {
  return new TaskFailure('unknown', shorten(context.redact(describeThrown(error))), { cause: error });
}

/** The HTTP status that an error carries: of actions-core's errors and those of destinations, or of an AWS SDK's. */
function statusOf(error: unknown): number | null {
  const statuses = [
    property(property(error, 'response'), 'status'),
    property(error, 'status'),
    property(property(error, '$metadata'), 'httpStatusCode'),
  ];
  const status = statuses.find((one) => typeof one === 'number');
  return typeof status === 'number' ? status : null;
}

function headerOf(response: unknown, name: string): string | null {
  const headers = property(response, 'headers');
  const get = property(headers, 'get');
  const value: unknown = typeof get === 'function' ? get.call(headers, name) : null;
  return typeof value === 'string' ? value : null;
}

function describe(status: number, message: string, response: unknown): string {
  const statusText = property(response, 'statusText');
  const content = property(response, 'content');
  const text = typeof statusText === 'string' && statusText !== '' ? statusText : message;
  return [`${status} ${text}`, typeof content === 'string' ? content.trim() : '']
    .filter((part) => part !== '')
    .join(': ');
}

/** One line of a length that can be shown. */
export function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return cutText(line, REASON_LENGTH);
}
