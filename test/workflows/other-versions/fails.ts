import { ApplicationFailure } from '@temporalio/workflow';

/** A version that ends at once, and badly. */
export async function executeTask(): Promise<void> {
  await Promise.resolve();
  throw ApplicationFailure.nonRetryable('on purpose');
}
