import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  rootCause,
  sleep,
  TimeoutFailure,
} from '@temporalio/workflow';
import { stepsOf, WORKER_STOPPED, type StepDefinition, type StepName, type TaskKind } from '../src/tasks/kinds.ts';
import type { Activities } from '../activities/index.ts';

interface ExecuteTaskInput {
  taskId: string;
  kind: TaskKind;
  /** A worker whose heartbeats stay away for so long is given up, in milliseconds. */
  heartbeatTimeoutMs: number;
}

type Step = StepDefinition & { name: StepName };

// Bookkeeping is tried until PostgreSQL takes it: a failure that can't be recorded must not be lost.
const bookkeeping = proxyLocalActivities<Pick<Activities, 'beginAttempt' | 'recordFailure'>>({
  startToCloseTimeout: '30 seconds',
  retry: { initialInterval: '500 milliseconds', backoffCoefficient: 2, maximumInterval: '30 seconds' },
});

/**
 * Executes one task to its outcome: the steps without a checkpoint in order, and after a failed attempt again from the first
 * of them, until it succeeds or the failure is hard. Steps have one Temporal attempt each; retrying is decided here and
 * nowhere else, so that every failure, whether thrown, timed out or lost with its worker, passes recordFailure.
 */
export async function executeTask(input: ExecuteTaskInput): Promise<'succeeded' | 'failed' | 'ended_elsewhere'> {
  for (;;) {
    const start = await bookkeeping.beginAttempt(input.taskId);
    if (start.ended) return 'ended_elsewhere';
    const failure = await executeSteps(input, start.attempt, new Set(start.completed));
    if (failure === null) return 'succeeded';
    const decision = await bookkeeping.recordFailure({ taskId: input.taskId, attempt: start.attempt, ...failure });
    if (decision.next === 'end') return 'failed';
    await sleep(decision.delayMs);
  }
}

interface StepFailure {
  step: string;
  code: string;
  detail: string;
}

async function executeSteps(
  input: ExecuteTaskInput,
  attempt: number,
  completed: ReadonlySet<StepName>,
): Promise<StepFailure | null> {
  for (const group of groupSteps(input.kind, completed)) {
    const failed = await executeGroup(input, attempt, group);
    if (failed !== null) return failed;
  }
  return null;
}

/** The steps to execute, neighbours that are transactions together: they go into one local activity. */
function groupSteps(kind: TaskKind, completed: ReadonlySet<StepName>): Step[][] {
  const groups: Step[][] = [];
  for (const step of stepsOf(kind)) {
    if (completed.has(step.name)) continue;
    const last = groups.at(-1);
    if (step.runsAs === 'transaction' && last?.[0]?.runsAs === 'transaction') last.push(step);
    else groups.push([step]);
  }
  return groups;
}

async function executeGroup(input: ExecuteTaskInput, attempt: number, group: Step[]): Promise<StepFailure | null> {
  const [first] = group;
  if (first === undefined) return null;
  for (;;) {
    try {
      if (first.runsAs === 'activity') await executeLongStep(input, attempt, first);
      else await executeTransactions(input, attempt, group);
      return null;
    } catch (error) {
      if (isCancellation(error)) throw error;
      // A worker that stops in good order (an upgrade, say) costs no attempt, and nobody hears of it.
      if (!isWorkerStopped(error)) return describeFailure(error, first.name);
    }
  }
}

async function executeLongStep(input: ExecuteTaskInput, attempt: number, step: Step): Promise<void> {
  const { executeStep } = proxyActivities<Pick<Activities, 'executeStep'>>({
    startToCloseTimeout: step.timeoutMs,
    heartbeatTimeout: input.heartbeatTimeoutMs,
    retry: { maximumAttempts: 1 },
    summary: step.name,
  });
  await executeStep({ taskId: input.taskId, attempt, step: step.name });
}

async function executeTransactions(input: ExecuteTaskInput, attempt: number, group: Step[]): Promise<void> {
  const { executeTransactionSteps } = proxyLocalActivities<Pick<Activities, 'executeTransactionSteps'>>({
    startToCloseTimeout: group[0]?.timeoutMs ?? 30_000,
    retry: { maximumAttempts: 1 },
  });
  await executeTransactionSteps({ taskId: input.taskId, attempt, steps: group.map((step) => step.name) });
}

function isWorkerStopped(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  return cause instanceof ApplicationFailure && cause.type === WORKER_STOPPED;
}

/** What an attempt ended with. The activity names the step and the code; a timeout has only what Temporal knows of it. */
function describeFailure(error: unknown, step: StepName): StepFailure {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof TimeoutFailure) {
    const lost = cause.timeoutType === 'HEARTBEAT';
    return { step, code: lost ? 'worker_lost' : 'step_timeout', detail: cause.message };
  }
  if (cause instanceof ApplicationFailure) {
    const failedStep = cause.details?.[0];
    return {
      step: typeof failedStep === 'string' ? failedStep : step,
      code: cause.type ?? 'unknown',
      detail: cause.message,
    };
  }
  return { step, code: 'unknown', detail: rootCause(error) ?? String(error) };
}
