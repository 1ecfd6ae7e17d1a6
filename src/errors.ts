/**
 * The errors of Trailmark, in one place. Two families, both with stable codes:
 * - TaskFailure: why an attempt at a task ended. Its code says whether it is transient (a retry may heal it) or hard;
 *   the codes are in src/failures, by what they are about.
 * - RequestError: why a request was refused. Its kind decides the HTTP status, exhaustively, in src/api.
 *
 * docs/failures.md lists the codes for people, and a test holds the two together.
 */

import { cutText } from './cut-text.ts';
import { FAILURES, type FailureCode } from './failures/index.ts';

export { FAILURES, isFailureCode, type FailureClass, type FailureCode } from './failures/index.ts';

// Of a detail: some of it is what a tool has answered, of any length, and it goes into Temporal's histories.
const MAX_DETAIL = 4_000;

/**
 * What ends an attempt. `detail` is for those who operate Trailmark: never a secret, never a trait's value. A long one is cut. `retryAfterMs` is
 * how long the other side asked to be left alone, where it did: no attempt should come earlier.
 */
export class TaskFailure extends Error {
  override readonly name = 'TaskFailure';
  readonly code: FailureCode;
  readonly detail: string;
  readonly retryAfterMs: number | undefined;

  constructor(code: FailureCode, detail: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(FAILURES[code].sentence, { cause: options.cause });
    this.code = code;
    this.detail = cutText(detail, MAX_DETAIL);
    this.retryAfterMs = options.retryAfterMs;
  }
}

export type RequestErrorKind =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'conflict'
  | 'too_large'
  | 'unsupported_media_type'
  | 'rate_limited'
  | 'unavailable';

/** Why a request was refused. `field` is the path of what is wrong with it, e.g. `definition.query`. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly kind: RequestErrorKind;
  readonly code: string;
  readonly field: string | undefined;
  readonly data: Record<string, unknown> | undefined;

  constructor(
    kind: RequestErrorKind,
    code: string,
    message: string,
    options: { field?: string; data?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.code = code;
    this.field = options.field;
    this.data = options.data;
  }
}
