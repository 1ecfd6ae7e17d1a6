/**
 * The errors of Trailmark, in one place. Two families, both with stable codes:
 * - TaskFailure: why an attempt at a task ended. Its code says whether it is transient (a retry may heal it) or hard.
 * - RequestError: why a request was refused. Its kind decides the HTTP status, exhaustively, in src/api.
 *
 * docs/failures.md lists the codes for people, and a test holds the two together.
 */

import { cutText } from './cut-text.ts';

export type FailureClass = 'transient' | 'hard';

export interface FailureDefinition {
  /** `hard` where the same attempt a few minutes later would end the same way. After the last attempt any failure is hard. */
  readonly class: FailureClass;
  /**
   * Whether a task that ends by it counts towards disabling its computation or suspending its connection. Yes where the reason
   * is in what the workspace set up, or in the weight of this one computation. No where it is in what all of them share: an
   * outage would disable everything, and someone would have to enable it all again.
   */
  readonly counts: boolean;
  /** What it tells the destination's circuit (src/destinations/circuit.ts): that the tool is there, or is not. Else nothing. */
  readonly circuit?: 'answered' | 'failed';
  /** Safe to show to anyone who may see the task. */
  readonly sentence: string;
  /** What the person who reads it can do: true while it is tried again as well as after the last attempt. */
  readonly action: string;
}

const DEFINITIONS = {
  // what a computation says
  definition_invalid: {
    class: 'hard',
    counts: true,
    sentence: 'The definition is not valid any more.',
    action: 'Correct the definition; the next run uses it.',
  },
  definition_refers_to_deleted: {
    class: 'hard',
    counts: true,
    sentence: 'The definition refers to an audience or computed trait that was deleted.',
    action: 'Take the reference out of the definition, or make that audience or trait again under the same key.',
  },
  definition_refers_to_uncomputed: {
    class: 'transient',
    counts: false,
    sentence: 'The definition refers to an audience or computed trait that has not been computed yet.',
    action: 'Nothing if that one is being computed; otherwise enable it, or see why its runs fail.',
  },
  definition_cycle: {
    class: 'hard',
    counts: true,
    sentence: 'The definition refers back to its own computation, perhaps through others.',
    action: 'Take one of the references out.',
  },
  computation_missing: {
    class: 'hard',
    counts: false,
    sentence: 'The computation was deleted or disabled while its task was waiting.',
    action: 'Nothing, unless the computation should still run: then enable it again.',
  },

  // what a destination is, answers, or leaves unanswered
  destination_missing: {
    class: 'hard',
    counts: false,
    sentence: 'The destination was deleted or switched off while its sync was waiting.',
    action: 'Nothing, unless the destination should still receive: then switch it on again.',
  },
  destination_settings_invalid: {
    class: 'hard',
    counts: true,
    sentence: "The destination's settings or mapping are not valid.",
    action: "Correct the destination's settings; the next sync uses them.",
  },
  destination_code_overran: {
    class: 'hard',
    counts: true,
    sentence: "The destination's mapping, trigger or code took more time or memory than it may for one batch.",
    action: 'Simplify the mapping and the trigger, above all loops and patterns, or use smaller batches.',
  },
  destination_settings_sealed: {
    class: 'transient',
    counts: false,
    sentence: "The destination's settings do not open with the secret that this worker was started with.",
    action:
      'Start every worker with the TRAILMARK_SECRET that the settings were saved with, or save the settings again.',
  },
  destination_credentials_rejected: {
    class: 'hard',
    counts: true,
    circuit: 'answered',
    sentence: 'The destination rejected the credentials.',
    action: 'Give the destination new credentials.',
  },
  destination_credentials_expired: {
    class: 'hard',
    counts: true,
    circuit: 'answered',
    sentence: "The destination's access has expired, and it refused to renew it.",
    action: 'Connect the destination again, so that it gives new tokens.',
  },
  destination_address_refused: {
    class: 'hard',
    counts: true,
    sentence: "The destination's address is not one that this installation sends to.",
    action: 'Use a public address, or allow private addresses for this installation.',
  },
  destination_name_unknown: {
    class: 'transient',
    counts: true,
    circuit: 'failed',
    sentence: "The name in the destination's address does not exist.",
    action: 'Check the address for a typing error. A new name may need some time until it is known everywhere.',
  },
  destination_certificate_invalid: {
    class: 'hard',
    counts: true,
    sentence: "The destination's TLS certificate is not one to trust, so nothing was sent.",
    action: 'Have the certificate renewed or corrected, or use the address that it was made for.',
  },
  destination_redirected: {
    class: 'hard',
    counts: true,
    circuit: 'answered',
    sentence: 'The destination answered with a redirect, which is not followed.',
    action: 'Give the destination the address that it redirects to.',
  },
  destination_answer_invalid: {
    class: 'transient',
    counts: true,
    circuit: 'answered',
    sentence: 'The destination gave an answer that is no HTTP, or larger than any answer may be.',
    action: 'Check that the address is that of the tool itself; the detail says what is wrong with the answer.',
  },
  destination_rejected_all: {
    class: 'hard',
    counts: true,
    sentence: 'The destination refused every change of this sync for good.',
    action: 'Look at the rejected rows: the destination says why.',
  },
  destination_rate_limited: {
    class: 'transient',
    counts: true,
    circuit: 'answered',
    sentence: 'The destination asked to slow down for longer than a sync may wait.',
    action: 'Nothing while it is tried again; if it comes often, sync less often or ask the tool for a higher limit.',
  },
  destination_circuit_open: {
    class: 'transient',
    counts: true,
    sentence: 'The destination has failed so often in a row that it is left alone, and was not back in time.',
    action: 'See whether the tool is up; the first sync that finds it back lets the others go on.',
  },
  destination_unavailable: {
    class: 'transient',
    counts: true,
    circuit: 'failed',
    sentence: 'The destination answered with a server error.',
    action: 'Nothing while it is tried again; if it lasts, see whether the tool is up.',
  },
  destination_unreachable: {
    class: 'transient',
    counts: true,
    circuit: 'failed',
    sentence: 'The destination could not be reached.',
    action: 'Nothing while it is tried again; if it lasts, check the address, and that the tool is up.',
  },
  destination_timeout: {
    class: 'transient',
    counts: true,
    circuit: 'failed',
    sentence: 'The destination did not answer in time.',
    action: 'Nothing while it is tried again; if it lasts, use smaller batches or see whether the tool is slow.',
  },

  // what has to add up
  extract_incomplete: {
    class: 'transient',
    counts: false,
    sentence: 'ClickHouse gave fewer of the changes to deliver than were put there.',
    action:
      'Nothing while it is tried again: a replica may be behind. If it lasts, look at the replicas of ClickHouse.',
  },
  reconcile_mismatch: {
    class: 'hard',
    counts: true,
    sentence: 'What was delivered, rejected and skipped does not add up to what there was to deliver.',
    action: 'Report it: it is a defect of Trailmark. The next sync sends whatever the destination did not acknowledge.',
  },

  // PostgreSQL
  postgres_unavailable: {
    class: 'transient',
    counts: false,
    sentence: 'PostgreSQL could not be reached, or took no connection.',
    action: 'Check that PostgreSQL runs and has connections left.',
  },
  postgres_contention: {
    class: 'transient',
    counts: false,
    sentence: 'PostgreSQL gave up a statement that waited too long, or that collided with another.',
    action: 'Nothing while it is tried again; if it comes often, look for long transactions on PostgreSQL.',
  },
  postgres_exhausted: {
    class: 'transient',
    counts: false,
    sentence: 'PostgreSQL has run out of disk or memory.',
    action: 'Give PostgreSQL more room; the detail says of what.',
  },
  postgres_read_only: {
    class: 'transient',
    counts: false,
    sentence: 'PostgreSQL takes no writes: the server is a standby, or was made read only.',
    action: 'Wait for the failover to end, or point DATABASE_URL at the primary.',
  },
  postgres_refused: {
    class: 'transient',
    counts: false,
    sentence: "PostgreSQL refused Trailmark's user, password or database, or lacks a right that it needs.",
    action: 'Check DATABASE_URL and the rights of its user.',
  },
  postgres_statement: {
    class: 'transient',
    counts: false,
    sentence: 'PostgreSQL refused a statement of Trailmark.',
    action: 'If an upgrade is under way, wait for it and for its migrations; otherwise report it: it is a defect.',
  },

  // ClickHouse
  clickhouse_unavailable: {
    class: 'transient',
    counts: false,
    sentence: 'ClickHouse could not be reached, or broke off.',
    action: 'Check that ClickHouse runs.',
  },
  clickhouse_overloaded: {
    class: 'transient',
    counts: false,
    sentence:
      'ClickHouse has more to do than it can take: too many queries, parts, or too little memory for all of them.',
    action: 'Nothing while it is tried again; if it comes often, give ClickHouse more, or run fewer tasks at once.',
  },
  clickhouse_exhausted: {
    class: 'transient',
    counts: false,
    sentence: 'ClickHouse has run out of disk.',
    action: 'Give ClickHouse more disk.',
  },
  clickhouse_read_only: {
    class: 'transient',
    counts: false,
    sentence: 'ClickHouse takes no writes: a table or its user is read only.',
    action: "Check ClickHouse's replicas, and the rights of the user in CLICKHOUSE_URL.",
  },
  clickhouse_refused: {
    class: 'transient',
    counts: false,
    sentence: "ClickHouse refused Trailmark's user or password, or lacks a right that it needs.",
    action: 'Check CLICKHOUSE_URL and the rights of its user.',
  },
  clickhouse_schema: {
    class: 'transient',
    counts: false,
    sentence: 'ClickHouse does not have a table, column or function that the query needs.',
    action:
      'If an upgrade is under way, wait for it; otherwise run the migrations, and check the version of ClickHouse.',
  },
  clickhouse_memory: {
    class: 'transient',
    counts: true,
    sentence: 'The query needed more memory than one query may use, or read more than it may.',
    action: 'If it lasts, let the definition look at less, or allow a query of ClickHouse more memory.',
  },
  clickhouse_timeout: {
    class: 'transient',
    counts: true,
    sentence: 'The query took longer than it may.',
    action: 'If it lasts, let the definition look at less, or give ClickHouse more to compute with.',
  },
  clickhouse_killed: {
    class: 'transient',
    counts: false,
    sentence: 'Someone, or a limit of the server, ended the query on ClickHouse.',
    action: 'Nothing while it is tried again; if it lasts, see who ends queries on ClickHouse, and why.',
  },
  clickhouse_query: {
    class: 'hard',
    counts: true,
    sentence: 'ClickHouse refused the query that was made of the definition.',
    action: 'Report it with the definition: it is a defect of Trailmark. A definition written differently may work.',
  },
  clickhouse_failed: {
    class: 'transient',
    counts: true,
    sentence:
      'ClickHouse failed in a way that Trailmark does not know, so the query is taken for one that may succeed later.',
    action: 'If it lasts, look at the detail and report it.',
  },

  // time, workers, and what nobody knows
  step_timeout: {
    class: 'transient',
    counts: true,
    sentence: 'The step took longer than it may.',
    action: 'Nothing while it is tried again from its checkpoint; if it lasts, let the definition look at less.',
  },
  task_timeout: {
    class: 'transient',
    counts: true,
    sentence: 'The attempt took longer than an attempt may, with all its steps and waits.',
    action: 'Nothing while it is tried again from its checkpoint; if it lasts, see which step takes so long.',
  },
  worker_lost: {
    class: 'transient',
    counts: false,
    sentence: 'The worker that executed the step was lost.',
    action: 'Nothing while it is tried again from its checkpoint; if it comes often, see why workers die.',
  },
  worker_exhausted: {
    class: 'transient',
    counts: false,
    sentence: 'The worker has run out of disk, memory, ports or open files.',
    action: 'Give the worker more room, or let it do less at once; the detail says of what.',
  },
  unknown: {
    class: 'transient',
    counts: true,
    sentence: 'Something failed that Trailmark does not know, so it is taken for an error that may heal.',
    action: 'If it lasts, look at the detail and report it.',
  },
} as const satisfies Record<string, FailureDefinition>;

export type FailureCode = keyof typeof DEFINITIONS;

/** Every code that an attempt can end with. An error that is not one of these is `unknown`, and transient. */
export const FAILURES: Readonly<Record<FailureCode, FailureDefinition>> = DEFINITIONS;

/** Whether a string is the code of a failure, e.g. one that came back through Temporal. */
export function isFailureCode(code: unknown): code is FailureCode {
  return typeof code === 'string' && Object.hasOwn(FAILURES, code);
}

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
