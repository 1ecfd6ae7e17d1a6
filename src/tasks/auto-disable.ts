import type { FailureCode } from '../errors.ts';
import type { Transaction } from '../store/index.ts';
import type { TaskRow } from './load-task.ts';

/** Interim: the owner of this file writes it. */
export async function countHardFailure(
  _tx: Transaction,
  _task: TaskRow,
  _failure: { step: string | null; code: FailureCode; message: string },
): Promise<void> {}

export async function clearHardFailures(_tx: Transaction, _task: TaskRow): Promise<void> {}
