import type { Logger } from '../logger.ts';
import type { DestinationDeps } from '../destinations/index.ts';
import type { ClickHouseClient, PostgresPool, Transaction } from '../store/index.ts';
import { inTransaction } from '../store/index.ts';
import type { StepName } from './kinds.ts';
import type { TaskRow } from './load-task.ts';
import { deliver } from './deliver.ts';
import { recordSuccess } from './record-success.ts';
import type { Backoff } from './retry-policy.ts';
import { commit, compute, diff, fanOut, guard, pin } from './run-steps.ts';
import { completeStep, enterStep, lockForAttempt } from './steps.ts';
import { extract, finish, prepare, reconcile } from './sync-steps.ts';

/** What executing tasks needs: the stores, the way to destinations, and the retry policy's numbers. */
export interface TaskDeps {
  pool: PostgresPool;
  clickhouse: ClickHouseClient;
  destinations: DestinationDeps;
  logger: Logger;
  backoff: Backoff;
}

/**
 * A step that touches PostgreSQL only. `dispatch` names tasks it has made, to be started once it is committed; `afterEnd` makes
 * some after the task has ended, still in the step's transaction.
 */
export type TransactionStep = (
  tx: Transaction,
  task: TaskRow,
) => Promise<{ output: unknown; dispatch?: readonly string[]; afterEnd?: () => Promise<readonly string[]> }>;

export interface ActivityStepContext {
  deps: TaskDeps;
  task: TaskRow;
  /** How far inside the step an earlier execution came. */
  cursor: unknown;
  /** Aborted when the attempt is given up: it reaches the query and the HTTP request. */
  signal: AbortSignal;
  /** Tells people how far it is, in rows. */
  progress: (done: number, total: number) => void;
}

/** A long step. What it leaves in ClickHouse or at a destination is keyed; `effect` is its part in PostgreSQL. */
export type ActivityStep = (
  context: ActivityStepContext,
) => Promise<{ output: unknown; effect?: (tx: Transaction) => Promise<void> }>;

type StepImplementation =
  | { runsAs: 'transaction'; execute: TransactionStep }
  | { runsAs: 'activity'; execute: ActivityStep };

const IMPLEMENTATIONS: Record<StepName, StepImplementation> = {
  pin: { runsAs: 'transaction', execute: pin },
  compute: { runsAs: 'activity', execute: compute },
  diff: { runsAs: 'activity', execute: diff },
  guard: { runsAs: 'transaction', execute: guard },
  commit: { runsAs: 'transaction', execute: commit },
  fan_out: { runsAs: 'transaction', execute: fanOut },
  prepare: { runsAs: 'activity', execute: prepare },
  extract: { runsAs: 'activity', execute: extract },
  deliver: { runsAs: 'activity', execute: deliver },
  reconcile: { runsAs: 'transaction', execute: reconcile },
  finish: { runsAs: 'transaction', execute: finish },
};

// The last step of each kind ends the task: what it puts out is the task's result.
const LAST_STEPS: ReadonlySet<StepName> = new Set(['fan_out', 'finish']);

/**
 * Executes steps that are transactions, each with its checkpoint in its own transaction; those that have one are passed over.
 * Returns the ids of tasks that they made. Throws StaleAttemptError, a TaskFailure, or what PostgreSQL threw.
 */
export async function executeTransactionStep(
  deps: TaskDeps,
  taskId: string,
  attempt: number,
  step: StepName,
): Promise<readonly string[]> {
  const implementation = IMPLEMENTATIONS[step];
  if (implementation.runsAs !== 'transaction') throw new Error(`step ${step} is not a transaction`);
  return await inTransaction(deps.pool, async (tx) => {
    const entered = await enterStep(tx, taskId, attempt, step);
    if (entered === null) return [];
    const { task } = entered;
    const { output, dispatch = [], afterEnd } = await implementation.execute(tx, task);
    await completeStep(tx, taskId, step, output);
    if (LAST_STEPS.has(step)) await recordSuccess(tx, task, output as Record<string, unknown>);
    return [...dispatch, ...((await afterEnd?.()) ?? [])];
  });
}

/**
 * Executes a long step and sets its checkpoint; a step that has one is passed over. Throws StaleAttemptError when another
 * attempt has taken over, a TaskFailure, or whatever the stores and the destination threw.
 */
export async function executeActivityStep(
  deps: TaskDeps,
  execution: {
    taskId: string;
    attempt: number;
    step: StepName;
    signal: AbortSignal;
    progress: (done: number, total: number) => void;
  },
): Promise<void> {
  const { taskId, attempt, step } = execution;
  const implementation = IMPLEMENTATIONS[step];
  if (implementation.runsAs !== 'activity') throw new Error(`step ${step} is not an activity`);
  const entered = await inTransaction(deps.pool, async (tx) => await enterStep(tx, taskId, attempt, step));
  if (entered === null) return;
  const { output, effect } = await implementation.execute({
    deps,
    task: entered.task,
    cursor: entered.cursor,
    signal: execution.signal,
    progress: execution.progress,
  });
  await inTransaction(deps.pool, async (tx) => {
    await lockForAttempt(tx, taskId, attempt);
    await effect?.(tx);
    await completeStep(tx, taskId, step, output);
  });
}
