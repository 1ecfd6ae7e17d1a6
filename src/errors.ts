/**
 * The errors of Trailmark, in one place. Two families, both with stable codes:
 * - TaskFailure: why an attempt at a task ended. Its code says whether it is transient (a retry may heal it) or hard.
 * - RequestError: why a request was refused. Its kind decides the HTTP status, exhaustively, in src/api.
 */

export type FailureClass = 'transient' | 'hard';

interface FailureDefinition {
  readonly class: FailureClass;
  /** Safe to show to anyone who may see the task. */
  readonly sentence: string;
  /** What the person who reads it can do. */
  readonly action: string;
}

/** Every code that an attempt can end with. An error that is not one of these is `unknown`, and transient. */
export const FAILURES = {
  definition_invalid: {
    class: 'hard',
    sentence: 'The definition is not valid any more.',
    action: 'Correct the definition; the next run uses it.',
  },
  computation_missing: {
    class: 'hard',
    sentence: 'The computation was deleted or disabled while its task was waiting.',
    action: 'Nothing, unless the computation should still run: then enable it again.',
  },
  destination_missing: {
    class: 'hard',
    sentence: 'The destination was deleted or switched off while its sync was waiting.',
    action: 'Nothing, unless the destination should still receive: then switch it on again.',
  },
  destination_settings_invalid: {
    class: 'hard',
    sentence: "The destination's settings or mapping are not valid.",
    action: "Correct the destination's settings; the next sync uses them.",
  },
  destination_credentials_rejected: {
    class: 'hard',
    sentence: 'The destination rejected the credentials.',
    action: 'Give the destination new credentials.',
  },
  destination_address_refused: {
    class: 'hard',
    sentence: "The destination's address is not one that this installation sends to.",
    action: 'Use a public address, or allow private addresses for this installation.',
  },
  destination_rejected_all: {
    class: 'hard',
    sentence: 'The destination refused every change of this sync for good.',
    action: 'Look at the rejected rows: the destination says why.',
  },
  destination_rate_limited: {
    class: 'transient',
    sentence: 'The destination asked to slow down for longer than a sync may wait.',
    action: 'Nothing; the sync goes on by itself.',
  },
  destination_unavailable: {
    class: 'transient',
    sentence: 'The destination answered with a server error.',
    action: 'Nothing yet; the sync is tried again.',
  },
  destination_unreachable: {
    class: 'transient',
    sentence: 'The destination could not be reached.',
    action: 'Nothing yet; the sync is tried again.',
  },
  destination_timeout: {
    class: 'transient',
    sentence: 'The destination did not answer in time.',
    action: 'Nothing yet; the sync is tried again.',
  },
  reconcile_mismatch: {
    class: 'transient',
    sentence: 'What was delivered, rejected and skipped does not add up to what there was to deliver.',
    action: 'Nothing yet; if it stays so, report it: it is a defect of Trailmark.',
  },
  postgres_unavailable: {
    class: 'transient',
    sentence: 'PostgreSQL could not be reached.',
    action: 'Check that PostgreSQL runs.',
  },
  clickhouse_unavailable: {
    class: 'transient',
    sentence: 'ClickHouse could not be reached.',
    action: 'Check that ClickHouse runs.',
  },
  clickhouse_memory: {
    class: 'transient',
    sentence: 'The query needed more memory than ClickHouse may use.',
    action: 'If it stays so, give ClickHouse more memory or make the definition look at less.',
  },
  clickhouse_query: {
    class: 'transient',
    sentence: 'ClickHouse refused the query.',
    action: 'If it stays so, report it: it is a defect of Trailmark.',
  },
  step_timeout: {
    class: 'transient',
    sentence: 'The step took longer than it may.',
    action: 'Nothing yet; it goes on from its checkpoint.',
  },
  worker_lost: {
    class: 'transient',
    sentence: 'The worker that executed the step was lost.',
    action: 'Nothing yet; it goes on from its checkpoint.',
  },
  unknown: {
    class: 'transient',
    sentence: 'Something failed that Trailmark does not know.',
    action: 'If it stays so, look at the detail and report it.',
  },
} as const satisfies Record<string, FailureDefinition>;

export type FailureCode = keyof typeof FAILURES;

/** Whether a string is the code of a failure, e.g. one that came back through Temporal. */
export function isFailureCode(code: unknown): code is FailureCode {
  return typeof code === 'string' && Object.hasOwn(FAILURES, code);
}

/** What ends an attempt. `detail` is for those who operate Trailmark: never a secret, never a trait's value. */
export class TaskFailure extends Error {
  override readonly name = 'TaskFailure';
  readonly code: FailureCode;
  readonly detail: string;

  constructor(code: FailureCode, detail: string, options?: { cause?: unknown }) {
    super(FAILURES[code].sentence, options);
    this.code = code;
    this.detail = detail;
  }
}

export type RequestErrorKind =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'too_large'
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
