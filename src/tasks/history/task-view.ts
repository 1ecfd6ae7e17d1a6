import type { FailureClass } from '../../errors.ts';
import type { CancelReason } from '../attempts/attempts.ts';
import type { TaskReason } from '../scheduling/create-task.ts';
import type { StepName, TaskKind } from '../model/kinds.ts';
import type { TaskStatus } from '../model/task.ts';

type TruthState =
  | 'waiting'
  | 'running'
  | 'retrying'
  | 'paused'
  | 'waiting_for_destination'
  | 'waiting_for_events'
  | 'awaiting_approval'
  | 'succeeded'
  | 'recovered'
  | 'hard_failure'
  | 'resolved_later'
  | 'cancelled';

/** What is true of a task now, and whether anyone has to act. */
export interface Truth {
  state: TruthState;
  needsAction: boolean;
  sentence: string;
}

/**
 * One time that a step was begun. Counts are of rows (profiles), null where the step does not count them; they grow while
 * `deliver` runs.
 */
export interface StepExecutionView {
  step: StepName;
  /** 1 for the first time that this step was begun, whatever the attempt. */
  execution: number;
  startedAt: Date;
  /** null while it runs, and where its worker died and nobody has said so yet. */
  endedAt: Date | null;
  durationMs: number | null;
  outcome: 'completed' | 'failed' | 'interrupted' | null;
  /** The stable code of the failure that ended it. */
  code: string | null;
  rowsIn: number | null;
  rowsOut: number | null;
  rejected: number | null;
}

/** One attempt as people see it, with what it executed. Times are null where it has not come to that. */
export interface AttemptView {
  attempt: number;
  startedAt: Date;
  endedAt: Date | null;
  durationMs: number | null;
  outcome: 'succeeded' | 'failed' | 'cancelled' | null;
  /** The step that failed; null where it failed outside of one, or did not fail. */
  step: string | null;
  code: string | null;
  failureClass: FailureClass | null;
  message: string | null;
  /** In the order in which they were begun. */
  executions: StepExecutionView[];
}

export interface StepView {
  name: string;
  startedAt: Date | null;
  completedAt: Date | null;
  /** How often it was begun. */
  executions: number;
  /** Rows done of rows total inside the step, where it counts rows. */
  progress: { done: number; total: number } | null;
}

/** How far the step under way is. What is not known is null: a rate before there is one, a time left without a rate. */
export interface Progress {
  step: string;
  done: number;
  total: number;
  /** Over the execution that is under way; null while none is, as in a wait or a pause. */
  rowsPerSecond: number | null;
  secondsLeft: number | null;
}

/** What a run that the guard stopped would do to the audience's members, or the values of the computed trait. */
export interface GuardView {
  before: number;
  after: number;
  entered: number;
  exited: number;
  /** Of the members before, from 0 to 1. */
  exitedShare: number;
}

/** Rows that were refused with one answer. */
export interface RejectedReason {
  /** The destination's HTTP status. */
  status: number | null;
  reason: string;
  rows: number;
}

/** A task with all that people see of it. */
export interface TaskView {
  id: string;
  spaceId: string;
  computation: { id: string; kind: 'audience' | 'computed_trait'; key: string; name: string };
  /** null for a run */
  destination: { id: string; name: string; connectionId: string } | null;
  kind: TaskKind;
  reason: TaskReason;
  status: TaskStatus;
  attempt: number;
  maxAttempts: number;
  /** The run that a sync comes from, or the task that this one does again. */
  parentTaskId: string | null;
  createdAt: Date;
  /** When its turn came: it counts towards the caps from then on. */
  admittedAt: Date | null;
  startedAt: Date | null;
  endedAt: Date | null;
  /** From its first attempt's beginning to its end, all waits included. */
  durationMs: number | null;
  retryAt: Date | null;
  /** The schedule's slot that a run is for, and how late it came. */
  slotAt: Date | null;
  lateMs: number | null;
  /** Slots that went by before it without a run. */
  missedSlots: number;
  /** What the step under way waits for without costing an attempt, and until when; of events, until when at the latest. */
  waitingFor: 'rate_limit' | 'circuit' | 'events' | null;
  waitingUntil: Date | null;
  /** Since when its computation is paused, where that holds the task back. */
  pausedAt: Date | null;
  /** What the guard asks about, from when a run was stopped by it. */
  guard: GuardView | null;
  approvedAt: Date | null;
  approvedBy: string | null;
  cancelledBecause: CancelReason | null;
  progress: Progress | null;
  result: Record<string, unknown> | null;
  rejectedRows: number;
  /** Why: the most frequent answers to the first 10,000 of them, most rows first. */
  rejectedReasons: RejectedReason[];
  attempts: AttemptView[];
  steps: StepView[];
  truth: Truth;
}
