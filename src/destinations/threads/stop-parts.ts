import { TaskFailure } from '../../errors.ts';
import { classifyStoreError } from '../../store/index.ts';
import { PermitWithdrawn } from '../actions-core/classify.ts';
import type { DeliveryStop } from '../actions-core/outcome.ts';
import type { FailureParts, StopParts } from './thread-messages.ts';

export function toFailureParts({ code, detail, retryAfterMs }: TaskFailure): FailureParts {
  return { code, detail, retryAfterMs };
}

function fromFailureParts({ code, detail, retryAfterMs }: FailureParts): TaskFailure {
  return new TaskFailure(code, detail, retryAfterMs === undefined ? {} : { retryAfterMs });
}

export function toStopParts(stop: DeliveryStop): StopParts {
  return 'failure' in stop ? { ...stop, failure: toFailureParts(stop.failure) } : stop;
}

export function fromStopParts(stop: StopParts): DeliveryStop {
  return 'failure' in stop ? { ...stop, failure: fromFailureParts(stop.failure) } : stop;
}

/** What the error of a question to our own stores is to whoever asked. */
export function stopOfError(error: unknown): StopParts {
  if (error instanceof PermitWithdrawn) return { kind: 'withdrawn' };
  const known = error instanceof TaskFailure ? error : classifyStoreError(error);
  return {
    kind: 'failed',
    failure: toFailureParts(known ?? new TaskFailure('unknown', 'a question was not answered')),
  };
}

/** The error to throw for a stop: what classifies it again comes to the same. */
export function errorOfStop(stop: StopParts): Error {
  if (stop.kind === 'withdrawn') return new PermitWithdrawn();
  return 'failure' in stop ? fromFailureParts(stop.failure) : new Error('aborted');
}
