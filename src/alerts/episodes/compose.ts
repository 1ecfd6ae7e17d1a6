import type { AuditEventRow } from '../../audit/index.ts';
import { FAILURES, isFailureCode } from '../../errors.ts';
import type { AlertAttempt } from './alert-row.ts';

interface Message {
  title: string;
  body: string;
}

interface Subject {
  /** The audit event that the alert is about. */
  event: Pick<AuditEventRow, 'resource_type' | 'details'>;
  task: { kind: 'run' | 'sync' };
  computationName: string;
}

interface Failed extends Subject {
  attempt: number;
  maxAttempts: number;
  failure: { step: string | null; code: string; message: string; action: string };
}

export function composeTransientFailure(input: Failed): Message {
  const left = input.maxAttempts - input.attempt;
  return {
    title: `${subjectOf(input)} failed, attempt ${input.attempt} of ${input.maxAttempts}`,
    body: [
      sentences(input.failure),
      `It is tried again by itself, up to ${left} more ${left === 1 ? 'time' : 'times'}; a message follows when it has recovered or failed for good.`,
    ].join('\n'),
  };
}

export function composeHardFailure(input: Failed, attempts: readonly AlertAttempt[]): Message {
  const { code } = input.failure;
  const why =
    isFailureCode(code) && FAILURES[code].class === 'hard'
      ? 'This error cannot heal by itself, so it is not tried again.'
      : `All ${input.maxAttempts} attempts failed, so it is not tried again.`;
  return {
    title: `${subjectOf(input)} failed for good`,
    body: [sentences(input.failure), why, '', ...attemptLines(attempts)].join('\n'),
  };
}

export function composeRecovery(
  input: Subject & { attempts: number },
  failedAttempts: readonly AlertAttempt[],
): Message {
  return {
    title: `${subjectOf(input)} recovered`,
    body: [
      `It succeeded on attempt ${input.attempts}. Nobody has to do anything.`,
      '',
      ...attemptLines(failedAttempts),
    ].join('\n'),
  };
}

function subjectOf(input: Subject): string {
  const what = input.event.resource_type === 'computed_trait' ? 'Computed trait' : 'Audience';
  const { destinationName } = input.event.details;
  const where = input.task.kind === 'sync' && typeof destinationName === 'string' ? ` to ${destinationName}` : '';
  return `${what} "${input.computationName}": ${input.task.kind}${where}`;
}

function sentences(failure: Failed['failure']): string {
  const where = failure.step === null ? '' : ` (step ${failure.step})`;
  return `${failure.message}${where} ${failure.action}`;
}

function attemptLines(attempts: readonly AlertAttempt[]): string[] {
  return attempts.map(
    (attempt) =>
      `${attempt.attempt}. ${attempt.at}${attempt.step === null ? '' : `, step ${attempt.step}`}: ${attempt.message} (${attempt.code})`,
  );
}
