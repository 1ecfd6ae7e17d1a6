/**
 * The kinds of task and their steps, and nothing else: this file is pure, because workflows import it.
 *
 * A step in a `transaction` touches PostgreSQL only, for milliseconds: its effect and its completed_at are one transaction,
 * and the workflow runs it as a local activity. A step as an `activity` takes long or talks to ClickHouse or a destination:
 * a remote activity with heartbeats on the queue of its kind of work, and its effect is keyed so that twice is as once.
 */
const TASK_KINDS = {
  run: [
    { name: 'pin', runsAs: 'transaction', timeoutMs: 30_000 },
    { name: 'compute', runsAs: 'activity', queue: 'compute', timeoutMs: 30 * 60_000 },
    { name: 'diff', runsAs: 'activity', queue: 'compute', timeoutMs: 5 * 60_000 },
    { name: 'guard', runsAs: 'transaction', timeoutMs: 30_000 },
    { name: 'commit', runsAs: 'transaction', timeoutMs: 30_000 },
    { name: 'fan_out', runsAs: 'transaction', timeoutMs: 30_000 },
  ],
  sync: [
    { name: 'prepare', runsAs: 'activity', queue: 'deliver', timeoutMs: 5 * 60_000 },
    { name: 'extract', runsAs: 'activity', queue: 'compute', timeoutMs: 30 * 60_000 },
    // It gives its slot back every DELIVER_TURN_MS, so one that takes so long has come to nothing.
    { name: 'deliver', runsAs: 'activity', queue: 'deliver', timeoutMs: 30 * 60_000 },
    { name: 'reconcile', runsAs: 'transaction', timeoutMs: 30_000 },
    { name: 'finish', runsAs: 'transaction', timeoutMs: 30_000 },
  ],
} as const satisfies Record<string, readonly StepDefinition[]>;

export type StepDefinition = {
  readonly name: string;
  /** Start-to-close, in milliseconds. */
  readonly timeoutMs: number;
} & ({ readonly runsAs: 'transaction' } | { readonly runsAs: 'activity'; readonly queue: StepQueue });

/** What a long step burdens: ClickHouse, or a destination. Each has workers, and slots, of its own. */
export type StepQueue = 'compute' | 'deliver';

export type TaskKind = keyof typeof TASK_KINDS;
type AnyStep = (typeof TASK_KINDS)[TaskKind][number];
export type StepName = AnyStep['name'];
/** How a step runs: what executes it has to be of that kind. */
export type RunsAs<S extends StepName> = Extract<AnyStep, { name: S }>['runsAs'];

export { TASK_TIMEOUT_MS } from '../../task-time-limits.ts';

/** How long `deliver` keeps its slot before it lets others have their turn, in milliseconds. */
export const DELIVER_TURN_MS = 10 * 60_000;

/** The same where somebody waits whose workspace has fewer slots. */
export const WANTED_TURN_MS = 5_000;

/**
 * What executeStep fails with when its worker was asked to stop: no failure of the task. The workflow executes the step again, in
 * the same attempt, on another worker or when there is one.
 */
export const WORKER_STOPPED = 'worker_stopped';

/**
 * What executeStep fails with when the step can't go on now but will: the destination asked to slow down, or is left alone for a
 * while. The detail is for how many milliseconds; the workflow waits them out, without a worker and without an attempt.
 */
export const STEP_WAITS = 'step_waits';

/** The signal that makes executeTask ask PostgreSQL what to do now. It carries nothing: PostgreSQL has the truth. */
export const LOOK_SIGNAL = 'look';

/** The search attribute of executeTask that has the task's outcome once it has one. */
export const OUTCOME_ATTRIBUTE = 'TrailmarkOutcome';

/** What executeTask is started with. */
export interface ExecuteTaskInput {
  taskId: string;
  /** Whose slots its steps take. Not there in what an older version started. */
  workspaceId?: string | undefined;
  kind: TaskKind;
  /** A worker whose heartbeats stay away for so long is given up, in milliseconds. */
  heartbeatTimeoutMs: number;
  /** The task queues of long steps. */
  queues: Readonly<Record<StepQueue, string>>;
  /** Whether the server knows our search attributes. */
  searchable: boolean;
}

/** A long step, as the workflow wants it executed. */
export interface WantedStep {
  taskId: string;
  attempt: number;
  /** How often the attempt had lost a worker when the step was wanted; not known where an older version's workflow wants it. */
  losses?: number | undefined;
  step: StepName;
}

/** The steps of a kind, in the order in which they are executed. */
export function stepsOf(kind: TaskKind): readonly (StepDefinition & { name: StepName })[] {
  return TASK_KINDS[kind];
}

/** The queue of a long step. Throws where it is a transaction, which has none. */
export function queueOfStep(name: StepName): StepQueue {
  for (const steps of Object.values<readonly StepDefinition[]>(TASK_KINDS)) {
    const step = steps.find((one) => one.name === name);
    if (step?.runsAs === 'activity') return step.queue;
  }
  throw new Error(`step ${name} is not an activity`);
}

/** Whether a step ends its task: the last of a kind does, and what it puts out is the task's result. */
export function isLastStep(kind: TaskKind, step: StepName): boolean {
  return stepsOf(kind).at(-1)?.name === step;
}

/** How long one execution of a step may take, in milliseconds. */
export function stepTimeoutMs(kind: TaskKind, step: StepName): number {
  const definition = stepsOf(kind).find(({ name }) => name === step);
  if (definition === undefined) throw new Error(`a ${kind} has no step ${step}`);
  return definition.timeoutMs;
}
