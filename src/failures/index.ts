import { ACCOUNTING_FAILURES } from './accounting.ts';
import { CLICKHOUSE_FAILURES } from './clickhouse.ts';
import { COMPUTATION_FAILURES } from './computation.ts';
import type { FailureDefinition } from './definition.ts';
import { DESTINATION_FAILURES } from './destination.ts';
import { POSTGRES_FAILURES } from './postgres.ts';
import { WORKER_FAILURES } from './worker.ts';

export type { FailureClass } from './definition.ts';

const DEFINITIONS = {
  ...COMPUTATION_FAILURES,
  ...DESTINATION_FAILURES,
  ...ACCOUNTING_FAILURES,
  ...POSTGRES_FAILURES,
  ...CLICKHOUSE_FAILURES,
  ...WORKER_FAILURES,
} as const satisfies Record<string, FailureDefinition>;

export type FailureCode = keyof typeof DEFINITIONS;

/** Every code that an attempt can end with. An error that is not one of these is `unknown`, and transient. */
export const FAILURES: Readonly<Record<FailureCode, FailureDefinition>> = DEFINITIONS;

/** Whether a string is the code of a failure, e.g. one that came back through Temporal. */
export function isFailureCode(code: unknown): code is FailureCode {
  return typeof code === 'string' && Object.hasOwn(FAILURES, code);
}
