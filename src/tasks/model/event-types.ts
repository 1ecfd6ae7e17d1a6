import type { AuditEventType } from '../../audit/index.ts';
import type { TaskRow } from './task.ts';

type Subject = 'Audience Run' | 'Audience Destination Sync' | 'Computed Trait Run' | 'Computed Trait Destination Sync';

function subjectOf(task: Pick<TaskRow, 'kind' | 'computation_kind'>): Subject {
  const owner = task.computation_kind === 'audience' ? 'Audience' : 'Computed Trait';
  return task.kind === 'run' ? `${owner} Run` : `${owner} Destination Sync`;
}

type TaskHappening =
  | 'Failed'
  | 'Hard Failure'
  | 'Recovered'
  | 'Cancelled'
  | 'Retried'
  | 'Workflow Replaced'
  | 'Workflow Ended'
  | 'Stuck';

/** The audit event of each thing that happens to a task; `… Failed` is Segment's published name. */
export function taskEventType(task: Pick<TaskRow, 'kind' | 'computation_kind'>, what: TaskHappening): AuditEventType {
  return `${subjectOf(task)} ${what}`;
}
