import { inWords, type TaskView } from '../../../tasks/index.ts';
import type { Tone } from './layout.ts';

export const TASK_STATES: Record<TaskView['truth']['state'], { label: string; tone: Tone }> = {
  waiting: { label: 'Waiting', tone: 'idle' },
  running: { label: 'Running', tone: 'wait' },
  retrying: { label: 'Retrying', tone: 'wait' },
  paused: { label: 'Paused', tone: 'idle' },
  waiting_for_destination: { label: 'Waiting', tone: 'wait' },
  waiting_for_events: { label: 'Waiting for events', tone: 'wait' },
  awaiting_approval: { label: 'Awaiting approval', tone: 'bad' },
  succeeded: { label: 'Succeeded', tone: 'good' },
  recovered: { label: 'Recovered', tone: 'good' },
  hard_failure: { label: 'Hard failure', tone: 'bad' },
  resolved_later: { label: 'Resolved later', tone: 'good' },
  cancelled: { label: 'Cancelled', tone: 'idle' },
};

/** Why a task was made. */
export const TASK_REASONS: Record<TaskView['reason'], string> = {
  scheduled: 'on schedule',
  created: 'first run',
  edited: 'after an edit',
  run_now: 'asked for',
  backfill: 'backfill, asked for',
  fan_out: 'after a run',
  catch_up: 'catching up',
  resync: 'everything again, asked for',
  redrive: 'rejected rows again, asked for',
  retry: 'retry, asked for',
};

/** `Run`, or `Sync to Receiver`. */
export function whatTask(task: Pick<TaskView, 'kind' | 'destination'>): string {
  return task.kind === 'run' ? 'Run' : `Sync to ${task.destination?.name ?? 'a destination that is gone'}`;
}

/** Counts of a task's result, as people read them, in that order. A run's `members` are those who have a value, of a computed trait. */
export function resultCounts({ result, computation }: Pick<TaskView, 'result' | 'computation'>): [string, number][] {
  const names = { ...RESULTS, ...(computation.kind === 'audience' ? {} : { members: 'values' }) };
  return Object.entries(names).flatMap(([key, name]) => {
    const value = result?.[key];
    return typeof value === 'number' ? [[name, value] as [string, number]] : [];
  });
}

const RESULTS: Record<string, string> = {
  members: 'members',
  entered: 'entered',
  exited: 'left',
  changed: 'changed',
  changes: 'changes',
  delivered: 'delivered',
  rejected: 'rejected',
  skipped: 'skipped',
};

/** How long something took: to the millisecond where it was less than a second; `–` where it is not known. */
export function took(durationMs: number | null): string {
  if (durationMs === null) return '–';
  if (durationMs === 0) return '< 1 ms';
  if (durationMs < 1_000) return `${durationMs} ms`;
  if (durationMs < 60_000) return `${(Math.floor(durationMs / 100) / 10).toLocaleString('en-US')} s`;
  return inWords(durationMs);
}
