import type { PinnedDefinition } from '../../computations/index.ts';
import type { VersionDiff } from '../../compute/index.ts';
import type { ExtractScope } from '../steps/sync/extract-scope.ts';
import type { StepName } from './kinds.ts';
import type { TaskRow } from './task-row.ts';

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

/** What an earlier step of the task put out. Throws if that step had no checkpoint when the task was read. */
export function outputOf<S extends StepName>(task: Pick<TaskRow, 'id' | 'outputs'>, step: S): StepOutputs[S] {
  const output = task.outputs[step];
  if (output === undefined) throw new Error(`step ${step} of ${task.id} has no output yet`);
  return output;
}
