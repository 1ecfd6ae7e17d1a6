import type { Transaction } from '../../store/index.ts';
import { inTransaction } from '../../store/index.ts';
import { beginAttempt, beginLocked, executeNext, type AttemptStart } from '../attempts/attempts.ts';
import {
  isLastStep,
  stepsOf,
  stepTimeoutMs,
  type RunsAs,
  type StepName,
  type TaskKind,
  type WantedStep,
} from '../model/kinds.ts';
import { completedSteps, type TaskRow } from '../model/task.ts';
import { deliver } from './sync/deliver.ts';
import { guard } from './run/guard.ts';
import { recordSuccess } from '../attempts/record-success.ts';
import { observeExecution } from '../attempts/observe.ts';
import { commit, compute, diff, fanOut, pin } from './run/run-steps.ts';
import {
  completeLongStep,
  completeTransactionSteps,
  enterStep,
  lockForAttempt,
  lockForStep,
} from '../attempts/checkpoints.ts';
import { extract, finish, prepare, reconcile } from './sync/sync-steps.ts';
import type { ActivityStep, TaskDeps, TransactionStep } from './contract.ts';
import { isOutage } from '../attempts/unrecorded.ts';

/** What executing steps that are transactions came to: the tasks that they made, and whether one of them held the task. */
export interface ExecutedTransactions {
  made: readonly string[];
  held: boolean;
}

/** What executes each step of the table in kinds.ts, which says how it runs: another kind of implementation does not compile. */
const IMPLEMENTATIONS: { [S in StepName]: RunsAs<S> extends 'transaction' ? TransactionStep : ActivityStep } = {
  pin,
  compute,
  diff,
  guard,
  commit,
  fan_out: fanOut,
  prepare,
  extract,
  deliver,
  reconcile,
  finish,
};

function transactionOf(kind: TaskKind, step: StepName): TransactionStep {
  return implementationOf(kind, step, 'transaction') as TransactionStep;
}

function activityOf(kind: TaskKind, step: StepName): ActivityStep {
  return implementationOf(kind, step, 'activity') as ActivityStep;
}

function implementationOf(kind: TaskKind, step: StepName, runsAs: RunsAs<StepName>): TransactionStep | ActivityStep {
  const definition = stepsOf(kind).find(({ name }) => name === step);
  if (definition?.runsAs !== runsAs) throw new Error(`step ${step} of a ${kind} is no ${runsAs}`);
  return IMPLEMENTATIONS[step];
}

/**
 * Begins the task's next attempt, as beginAttempt does. The steps that a task begins with, where they are transactions, are executed
 * in the same one: where one of them fails, it is rolled back and the attempt begins without them, so that the failure is the
 * attempt's when they are executed again.
 */
export async function beginTask(deps: TaskDeps, taskId: string): Promise<AttemptStart> {
  try {
    return await inTransaction(deps.pool, async (tx) => {
      const begun = await beginLocked(tx, taskId);
      if ('start' in begun) return begun.start;
      const { task } = begun;
      if (completedSteps(task).length === 0) {
        await executeLocked(tx, task, firstTransactions(task.kind), { failsAgain: true });
      }
      return executeNext(task);
    });
  } catch (error) {
    // Whoever is away or busy is so for the second try too: the attempt begins when it is back.
    if (isOutage(error)) throw error;
    deps.logger.debug(
      { taskId, err: error },
      'the first steps failed; they are executed again, as part of the attempt',
    );
    return await beginAttempt(deps.pool, taskId);
  }
}

/** The steps before a kind's first long one. */
function firstTransactions(kind: TaskKind): StepName[] {
  const steps = stepsOf(kind);
  const long = steps.findIndex(({ runsAs }) => runsAs === 'activity');
  return steps.slice(0, long).map(({ name }) => name);
}

/**
 * Executes steps that are transactions, neighbours together in one: each with its effect, its checkpoint, and after the last
 * of its kind the end of the task. Those that have their checkpoint are passed over. `onStep` hears which one is executed.
 * Throws StaleAttemptError, a TaskFailure, or what PostgreSQL threw.
 */
export async function executeTransactionSteps(
  deps: TaskDeps,
  taskId: string,
  attempt: number,
  steps: readonly StepName[],
  onStep: (step: StepName) => void = () => undefined,
): Promise<ExecutedTransactions> {
  return await inTransaction(deps.pool, async (tx) => {
    for (const [at, step] of steps.entries()) {
      onStep(step);
      const task = await lockForStep(tx, taskId, attempt, step);
      if (task !== null) return await executeLocked(tx, task, steps.slice(at), { onStep });
    }
    return { made: [], held: false };
  });
}

/** Executes the steps that have no checkpoint of a task that is locked. Their checkpoints are written together. */
async function executeLocked(
  tx: Transaction,
  task: TaskRow,
  steps: readonly StepName[],
  { onStep, failsAgain = false }: { onStep?: (step: StepName) => void; failsAgain?: boolean },
): Promise<ExecutedTransactions> {
  const made: string[] = [];
  const completed: StepName[] = [];
  for (const step of steps) {
    onStep?.(step);
    const execute = transactionOf(task.kind, step);
    if (step in task.outputs) continue;
    const executed = await observeExecution(task, step, async () => await execute(tx, task), {
      tx,
      failsAgain,
    });
    if (executed === 'held') {
      await completeTransactionSteps(tx, task, completed);
      return { made, held: true };
    }
    const { output, dispatch = [], afterEnd } = executed;
    Object.assign(task.outputs, { [step]: output });
    completed.push(step);
    made.push(...dispatch);
    if (!isLastStep(task.kind, step)) continue;
    await completeTransactionSteps(tx, task, completed.splice(0));
    await recordSuccess(tx, task, { ...output });
    made.push(...((await afterEnd?.()) ?? []));
  }
  await completeTransactionSteps(tx, task, completed);
  return { made, held: false };
}

/**
 * Executes a long step and sets its checkpoint; a step that has one is passed over. Throws StaleAttemptError when another
 * attempt has taken over, or another worker in the same one, StepWaits where it can't go on now, a TaskFailure, or whatever the stores and the destination threw.
 */
export async function executeActivityStep(
  deps: TaskDeps,
  execution: WantedStep & {
    signal: AbortSignal;
    progress: (done: number, total: number) => void;
    isWanted?: () => boolean;
  },
): Promise<void> {
  const { step } = execution;
  const entered = await enterStep(deps.pool, execution);
  if (entered === null) return;
  const { task } = entered;
  const run = activityOf(task.kind, step);
  const { signal, progress, isWanted = () => false } = execution;
  const timeoutMs = stepTimeoutMs(task.kind, step);
  const execute = async (): Promise<void> => {
    const { output, effect } = await run({
      deps,
      ...entered,
      signal,
      timeoutMs,
      progress,
      isWanted,
    });
    if (effect === undefined) {
      await completeLongStep(deps.pool, task, step, output);
      return;
    }
    await inTransaction(deps.pool, async (tx) => {
      // The task first: whoever disconnects or deletes what it is about locks in the same order.
      await lockForAttempt(tx, task);
      await effect(tx);
      await completeLongStep(tx, task, step, output);
    });
  };
  await observeExecution(task, step, execute, { signal });
}
