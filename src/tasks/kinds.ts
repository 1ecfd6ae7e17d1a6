/**
 * The kinds of task and their steps, and nothing else: this file is pure, because workflows import it.
 *
 * A step in a `transaction` touches PostgreSQL only, for milliseconds: its effect and its completed_at are one transaction,
 * and the workflow runs it as a local activity. A step as an `activity` takes long or talks to ClickHouse or a destination:
 * a remote activity with heartbeats, and its effect is keyed so that twice is as once.
 */
const TASK_KINDS = {
  run: [
    { name: 'pin', runsAs: 'transaction', timeoutMs: 30_000 },
    { name: 'compute', runsAs: 'activity', timeoutMs: 30 * 60_000 },
    { name: 'diff', runsAs: 'activity', timeoutMs: 5 * 60_000 },
    { name: 'guard', runsAs: 'transaction', timeoutMs: 30_000 },
    { name: 'commit', runsAs: 'transaction', timeoutMs: 30_000 },
    { name: 'fan_out', runsAs: 'transaction', timeoutMs: 30_000 },
  ],
  sync: [
    { name: 'prepare', runsAs: 'activity', timeoutMs: 5 * 60_000 },
    { name: 'extract', runsAs: 'activity', timeoutMs: 30 * 60_000 },
    { name: 'deliver', runsAs: 'activity', timeoutMs: 4 * 60 * 60_000 },
    { name: 'reconcile', runsAs: 'transaction', timeoutMs: 30_000 },
    { name: 'finish', runsAs: 'transaction', timeoutMs: 30_000 },
  ],
} as const satisfies Record<string, readonly StepDefinition[]>;

export interface StepDefinition {
  readonly name: string;
  readonly runsAs: 'transaction' | 'activity';
  /** Start-to-close, in milliseconds. */
  readonly timeoutMs: number;
}

export type TaskKind = keyof typeof TASK_KINDS;
export type StepName = (typeof TASK_KINDS)[TaskKind][number]['name'];

/**
 * What executeStep fails with when its worker was asked to stop: no failure of the task. The workflow executes the step again, in
 * the same attempt, on another worker or when there is one.
 */
export const WORKER_STOPPED = 'worker_stopped';

/** The steps of a kind, in the order in which they are executed. */
export function stepsOf(kind: TaskKind): readonly (StepDefinition & { name: StepName })[] {
  return TASK_KINDS[kind];
}
