import type { PinnedDefinition } from '../../computations/index.ts';
import type { VersionDiff } from '../../compute/index.ts';
import { stepsOf, type StepName, type TaskKind } from './kinds.ts';

export type TaskOutcome = 'succeeded' | 'failed' | 'cancelled';
export type TaskStatus = 'pending' | 'running' | 'backing_off' | 'awaiting_approval' | TaskOutcome;

/** A task with what it is about: the row that steps, failures and successes work on. */
export interface TaskRow {
  id: string;
  workspace_id: string;
  space_id: string;
  computation_id: string;
  connection_id: string | null;
  kind: TaskKind;
  status: TaskStatus;
  attempt: number;
  max_attempts: number;
  /** When the next attempt may begin, where the task is backing off. */
  retry_at: Date | null;
  /** How often the present attempt has gone on after it lost the worker of a step (see record-failure.ts). */
  losses: number;
  /** Until when a step waits for its destination, without costing an attempt. */
  waiting_until: Date | null;
  approved_at: Date | null;
  /** Since when PostgreSQL refuses the task's bookkeeping (see unrecorded.ts). */
  unrecorded_at: Date | null;
  computation_kind: 'audience' | 'computed_trait';
  computation_key: string;
  computation_name: string;
  computation_deleted: boolean;
  computation_enabled: boolean;
  computation_paused: boolean;
  /** of the definition that stands now; a run has pinned the one of its beginning */
  definition_version: number;
  guard_share: number | null;
  guard_min_members: number;
  /** null for a run */
  destination_id: string | null;
  destination_name: string | null;
  /** whether the connection of a sync is there, switched on and not suspended, true for a run */
  connected: boolean;
  /** What the steps that have their checkpoint put out, by their names. */
  outputs: Partial<StepOutputs>;
}

/**
 * What of a connection a sync sends:
 * - difference: what the destination has not acknowledged yet.
 * - everything: all that is live, whatever it has acknowledged, and what it has that is not live any more.
 * - redriven: the difference of those profiles alone whose rows were rejected before.
 */
export type ExtractScope = 'difference' | 'everything' | 'redriven';

/** What each step puts out for those after it. The last one of a kind is the task's result, which people see. */
export interface StepOutputs extends Record<StepName, unknown> {
  pin: PinnedDefinition;
  compute: { version: number; size: number } & AsOfEvents;
  diff: VersionDiff;
  /** exitedShare is of the members before, from 0 to 1. */
  guard: { before: number; exited: number; exitedShare: number };
  commit: CommitOutput;
  fan_out: CommitOutput & { syncs: number };
  prepare: { externalAudienceId: string | null };
  extract: ExtractOutput;
  deliver: DeliverOutput;
  reconcile: DeliverOutput & { changes: number };
  finish: DeliverOutput & { changes: number; version: number };
}

/** Where events that came in before the run were not loaded in time: until when they are, which the run computed as of. ISO 8601. */
interface AsOfEvents {
  asOf?: string | undefined;
  behind?: boolean | undefined;
}

interface CommitOutput extends VersionDiff, AsOfEvents {
  version: number;
  members: number;
}

export interface ExtractOutput {
  /** Where the frozen changes are. */
  extractId: number;
  version: number;
  /** ISO 8601: when what the version says was true. */
  asOf: string;
  changes: number;
  /** How many of them take someone out under an anonymous id who is a user by now. Not there: none. */
  outgrown?: number;
  /** Not there: difference. */
  scope?: ExtractScope;
  /** The wish that everything is sent again which this extract fulfils, as PostgreSQL writes the time; null for none. */
  resyncRequestedAt?: string | null;
  /** What people had made of the destination when the extract began: `finish` sees by it whether there is another sync to make. */
  destinationRevision?: number;
}

interface DeliverOutput {
  delivered: number;
  rejected: number;
  skipped: number;
}

/** Whether a task has had its outcome: it is never executed again. */
export function isEnded(status: TaskStatus): status is TaskOutcome {
  return status === 'succeeded' || status === 'failed' || status === 'cancelled';
}

/**
 * Whether what the task is about is gone: its computation was deleted, or its connection or destination taken away or switched off. A
 * sync's also where its computation is off: nothing of that goes out any more. A run that is under way ends as it would have.
 */
export function isObsolete(task: TaskRow): boolean {
  return task.computation_deleted || !task.connected || (task.kind === 'sync' && !task.computation_enabled);
}

/** The names of the task's steps that had their checkpoint when it was read, in order. */
export function completedSteps(task: TaskRow): StepName[] {
  return stepsOf(task.kind).flatMap(({ name }) => (name in task.outputs ? [name] : []));
}

/** What an earlier step of the task put out. Throws if that step had no checkpoint when the task was read. */
export function outputOf<S extends StepName>(task: Pick<TaskRow, 'id' | 'outputs'>, step: S): StepOutputs[S] {
  const output = task.outputs[step];
  if (output === undefined) throw new Error(`step ${step} of ${task.id} has no output yet`);
  return output;
}
