import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  defineSignal,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  rootCause,
  setHandler,
  TimeoutFailure,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  LOOK_SIGNAL,
  OUTCOME_ATTRIBUTE,
  STEP_WAITS,
  stepsOf,
  TASK_TIMEOUT_MS,
  WORKER_STOPPED,
  type ExecuteTaskInput,
  type StepDefinition,
  type StepName,
  type StepQueue,
  type TaskKind,
} from '../src/tasks/model/kinds.ts';
import type { Activities } from '../activities/index.ts';

type Step = StepDefinition & { name: StepName };
type LongStep = Step & { runsAs: 'activity' };
type TaskOutcome = 'succeeded' | 'failed' | 'cancelled';

/** The attempt under way, and how often it has lost a worker: what is done under a smaller number counts no more. */
interface Attempt {
  attempt: number;
  losses: number;
}

/** How executing a task's steps came to an end. Interrupted: not by a failure, so nobody hears of it; PostgreSQL says what is next. */
type Ended = { how: 'completed' } | { how: 'failed'; failure: StepFailure } | { how: 'interrupted'; waitMs: number };

interface StepFailure {
  step: string;
  code: string;
  detail: string;
  /** How long the destination wants to be left alone, in milliseconds. */
  retryAfterMs?: number;
}

const COMPLETED: Ended = { how: 'completed' };
const INTERRUPTED: Ended = { how: 'interrupted', waitMs: 0 };

// Whoever holds a task back wakes it; this is for a wake-up that was lost.
const HOLD_LOOKS_EVERY = '1 hour';

// Bookkeeping is tried until PostgreSQL takes it: a failure that can't be recorded must not be lost. Between two tries the workflow
// waits by a timer and not inside of its workflow task, which would keep a worker's slot from other tasks.
const bookkeeping = proxyLocalActivities<
  Pick<Activities, 'beginAttempt' | 'recordFailure' | 'mayGoOn' | 'cancelAbandonedTask'>
>({
  startToCloseTimeout: '30 seconds',
  localRetryThreshold: '2 seconds',
  retry: { initialInterval: '500 milliseconds', backoffCoefficient: 2, maximumInterval: '30 seconds' },
});

const outcomeAttribute = defineSearchAttributeKey(OUTCOME_ATTRIBUTE, 'KEYWORD');

/**
 * Executes one task to its outcome: the steps without a checkpoint in order, and after a failed attempt again from the first
 * of them, until it succeeds or the failure is hard. Steps have one Temporal attempt each; retrying is decided here and
 * nowhere else, so that every failure, whether thrown, timed out or lost with its worker, passes recordFailure.
 *
 * All that a task is stands in PostgreSQL, so this workflow has no state but where it is in the loop: it asks, does one thing,
 * and asks again. People who cancel, pause, resume or approve write it there and send the signal `look`.
 */
export async function executeTask(input: ExecuteTaskInput): Promise<TaskOutcome> {
  const task = new TaskExecution(input);
  setHandler(defineSignal(LOOK_SIGNAL), async () => await task.look());
  let outcome: TaskOutcome;
  try {
    outcome = await task.run();
  } catch (error) {
    if (!isCancellation(error)) throw error;
    // Someone cancelled the workflow in Temporal itself: the task must not stay open for ever.
    outcome = await CancellationScope.nonCancellable(async () => await bookkeeping.cancelAbandonedTask(input.taskId));
  }
  if (input.searchable) upsertSearchAttributes([{ key: outcomeAttribute, value: outcome }]);
  await CancellationScope.nonCancellable(async () => await condition(allHandlersFinished));
  return outcome;
}

class TaskExecution {
  readonly #input: ExecuteTaskInput;
  /** How often someone has asked to look; what waits goes on when it grows. */
  #looks = 0;
  /** Whether one of those who asked found that the task should not go on. */
  #stopped = false;
  /** The long step under way. */
  #step: CancellationScope | null = null;

  constructor(input: ExecuteTaskInput) {
    this.#input = input;
  }

  /** The signal: what waits asks PostgreSQL again, and a long step that should not go on is cancelled. */
  async look(): Promise<void> {
    this.#looks += 1;
    const step = this.#step;
    if (step === null || (await bookkeeping.mayGoOn(this.#input.taskId))) return;
    this.#stopped = true;
    step.cancel();
  }

  async run(): Promise<TaskOutcome> {
    const { taskId } = this.#input;
    for (;;) {
      if (workflowInfo().continueAsNewSuggested) {
        await condition(allHandlersFinished);
        await continueAsNew<typeof executeTask>(this.#input);
      }
      this.#stopped = false;
      const seen = this.#looks;
      const begun = await bookkeeping.beginAttempt(taskId);
      if (begun.next === 'end') return begun.outcome;
      if (begun.next === 'hold') {
        await condition(() => this.#looks > seen, HOLD_LOOKS_EVERY);
      } else if (begun.next === 'wait') {
        await condition(() => this.#looks > seen, begun.delayMs);
      } else {
        const ended = await this.#executeSteps(begun, new Set(begun.completed));
        if (ended.how === 'completed') return 'succeeded';
        if (ended.how === 'failed') {
          const { attempt, losses } = begun;
          const decision = await bookkeeping.recordFailure({ taskId, attempt, losses, ...ended.failure });
          if (decision.next === 'end') return decision.outcome;
          await this.#wait(decision.delayMs);
        } else {
          await this.#wait(ended.waitMs);
        }
      }
    }
  }

  /** Waits, unless someone asks meanwhile. Who looked while the step was under way, and found nothing, is no reason to go on early. */
  async #wait(delayMs: number): Promise<void> {
    const seen = this.#looks;
    if (delayMs > 0) await condition(() => this.#stopped || this.#looks > seen, delayMs);
  }

  async #executeSteps(attempt: Attempt, completed: ReadonlySet<StepName>): Promise<Ended> {
    const endsAt = Date.now() + TASK_TIMEOUT_MS[this.#input.kind];
    for (const group of groupSteps(this.#input.kind, completed)) {
      const ended = await this.#executeGroup(attempt, group, endsAt);
      if (ended.how !== 'completed') return ended;
    }
    return COMPLETED;
  }

  async #executeGroup(attempt: Attempt, group: Step[], endsAt: number): Promise<Ended> {
    const [first] = group;
    if (first === undefined) return COMPLETED;
    const remainingMs = endsAt - Date.now();
    if (remainingMs <= 0) return timedOut(first.name);
    const limitedByTask = remainingMs < first.timeoutMs;
    try {
      if (first.runsAs === 'transaction') return await this.#executeTransactions(attempt, group);
      await this.#executeLongStep(attempt, first, Math.min(first.timeoutMs, remainingMs));
      return COMPLETED;
    } catch (error) {
      if (isCancellation(error)) {
        // Of the workflow as a whole, or of the step alone, because of what someone asked for.
        if (CancellationScope.current().consideredCancelled) throw error;
        return INTERRUPTED;
      }
      const cause = error instanceof ActivityFailure ? error.cause : error;
      if (cause instanceof ApplicationFailure) {
        // A worker that stops in good order (an upgrade, say) costs no attempt, and nobody hears of it.
        if (cause.type === WORKER_STOPPED) return INTERRUPTED;
        if (cause.type === STEP_WAITS) return { how: 'interrupted', waitMs: Number(cause.details?.[0] ?? 0) };
      }
      if (limitedByTask && cause instanceof TimeoutFailure && cause.timeoutType === 'START_TO_CLOSE') {
        return timedOut(first.name);
      }
      return { how: 'failed', failure: describeFailure(cause, first.name) };
    }
  }

  async #executeLongStep({ attempt, losses }: Attempt, step: LongStep, timeoutMs: number): Promise<void> {
    const { taskId, workspaceId, queues, heartbeatTimeoutMs } = this.#input;
    const { executeStep } = proxyActivities<Pick<Activities, 'executeStep'>>({
      taskQueue: queues[step.queue satisfies StepQueue],
      startToCloseTimeout: timeoutMs,
      heartbeatTimeout: heartbeatTimeoutMs,
      retry: { maximumAttempts: 1 },
      // What was asked to stop has stopped, and settled its batch, before anything else is done with the task.
      cancellationType: 'WAIT_CANCELLATION_COMPLETED',
      summary: step.name,
    });
    const scope = new CancellationScope();
    this.#step = scope;
    try {
      await scope.run(async () => await executeStep({ taskId, workspaceId, attempt, losses, step: step.name }));
    } finally {
      this.#step = null;
    }
  }

  async #executeTransactions({ attempt }: Attempt, group: Step[]): Promise<Ended> {
    const { executeTransactionSteps } = proxyLocalActivities<Pick<Activities, 'executeTransactionSteps'>>({
      startToCloseTimeout: group[0]?.timeoutMs ?? 30_000,
      retry: { maximumAttempts: 1 },
    });
    const { taskId } = this.#input;
    const done = await executeTransactionSteps({ taskId, attempt, steps: group.map((step) => step.name) });
    return done === 'held' ? INTERRUPTED : COMPLETED;
  }
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

function timedOut(step: StepName): Ended {
  return { how: 'failed', failure: { step, code: 'task_timeout', detail: 'the attempt took longer than it may' } };
}

/** What an attempt ended with. The activity names the step and the code; a timeout has only what Temporal knows of it. */
function describeFailure(cause: unknown, step: StepName): StepFailure {
  if (cause instanceof TimeoutFailure) {
    const lost = cause.timeoutType === 'HEARTBEAT';
    return { step, code: lost ? 'worker_lost' : 'step_timeout', detail: cause.message };
  }
  if (cause instanceof ApplicationFailure) {
    const [failedStep, retryAfterMs] = cause.details ?? [];
    return {
      step: typeof failedStep === 'string' ? failedStep : step,
      code: cause.type ?? 'unknown',
      detail: cause.message,
      ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
    };
  }
  return { step, code: 'unknown', detail: rootCause(cause) ?? String(cause) };
}
