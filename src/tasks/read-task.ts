import type { FailureClass } from '../errors.ts';
import type { Queryable } from '../store/index.ts';
import type { TaskReason } from './create-task.ts';
import type { TaskKind } from './kinds.ts';
import type { TaskStatus } from './load-task.ts';

/** One attempt as people see it. Times are null where it has not come to that. */
interface AttemptView {
  attempt: number;
  startedAt: Date;
  endedAt: Date | null;
  outcome: 'succeeded' | 'failed' | 'cancelled' | null;
  /** The step that failed; null where it failed outside of one, or did not fail. */
  step: string | null;
  code: string | null;
  failureClass: FailureClass | null;
  message: string | null;
}

interface StepView {
  name: string;
  startedAt: Date | null;
  completedAt: Date | null;
  /** How often it was begun. */
  executions: number;
  /** Rows done of rows total inside the step, where it counts rows. */
  progress: { done: number; total: number } | null;
}

type TruthState =
  | 'waiting'
  | 'running'
  | 'retrying'
  | 'succeeded'
  | 'recovered'
  | 'hard_failure'
  | 'made_good'
  | 'cancelled';

/** What is true of a task now, and whether anyone has to act. */
export interface Truth {
  state: TruthState;
  needsAction: boolean;
  sentence: string;
}

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
  createdAt: Date;
  startedAt: Date | null;
  endedAt: Date | null;
  retryAt: Date | null;
  result: Record<string, unknown> | null;
  rejectedRows: number;
  attempts: AttemptView[];
  steps: StepView[];
  truth: Truth;
}

/** A row that a destination refused for good. */
export interface RejectedRow {
  idx: number;
  profile: number;
  status: number | null;
  reason: string;
}

interface Row extends Omit<TaskView, 'computation' | 'destination' | 'attempts' | 'steps' | 'truth'> {
  computationId: string;
  computationKind: 'audience' | 'computed_trait';
  computationKey: string;
  computationName: string;
  connectionId: string | null;
  destinationId: string | null;
  destinationName: string | null;
  madeGoodAt: Date | null;
}

/** The task with all its attempts and steps; null if this workspace has no such task. */
export async function readTask(
  db: Queryable,
  query: { workspaceId: string; taskId: string },
): Promise<TaskView | null> {
  const [task] = await viewTasks(db, query.workspaceId, [query.taskId]);
  return task ?? null;
}

/** The id of the computation's run that is open, null if there is none. */
export async function openRunOf(db: Queryable, computationId: string): Promise<string | null> {
  const { rows } = await db.query<{ id: string }>(
    `select id from tasks
     where computation_id = $1 and kind = 'run' and ended_at is null`,
    [computationId],
  );
  return rows[0]?.id ?? null;
}

/** The first rows of a sync that its destination refused for good, with the destination's answers. */
export async function readRejectedRows(
  db: Queryable,
  query: { workspaceId: string; taskId: string; limit: number },
): Promise<RejectedRow[]> {
  const { rows } = await db.query<RejectedRow>(
    `select r.idx, r.profile, r.status, r.reason
     from rejected_rows r join tasks t on t.id = r.task_id
     where t.workspace_id = $1 and t.id = $2 order by r.idx limit $3`,
    [query.workspaceId, query.taskId, query.limit],
  );
  return rows;
}

/** The workspace's tasks with these ids, newest first, with attempts and steps: three selects, however many tasks. */
export async function viewTasks(db: Queryable, workspaceId: string, ids: string[]): Promise<TaskView[]> {
  if (ids.length === 0) return [];
  const { rows } = await db.query<Row>(
    `select t.id, t.space_id as "spaceId", t.kind, t.reason, t.status, t.attempt, t.max_attempts as "maxAttempts",
            t.created_at as "createdAt", t.started_at as "startedAt", t.ended_at as "endedAt", t.retry_at as "retryAt",
            t.result, c.id as "computationId", c.kind as "computationKind", c.key as "computationKey",
            c.name as "computationName", t.connection_id as "connectionId", d.id as "destinationId",
            d.name as "destinationName", later.ended_at as "madeGoodAt",
            (select count(*) from rejected_rows r where r.task_id = t.id) as "rejectedRows"
     from tasks t
     join computations c on c.id = t.computation_id
     left join connections n on n.id = t.connection_id
     left join destinations d on d.id = n.destination_id
     left join lateral (
       select s.ended_at from tasks s
       where s.computation_id = t.computation_id and s.kind = t.kind and s.status = 'succeeded'
         and s.connection_id is not distinct from t.connection_id and s.created_at > t.created_at
       order by s.created_at desc limit 1
     ) later on t.status = 'failed'
     where t.workspace_id = $1 and t.id = any($2)
     order by t.created_at desc, t.id desc`,
    [workspaceId, ids],
  );
  const attempts = await groupByTask<AttemptView>(
    db,
    `select task_id as "taskId", attempt, started_at as "startedAt", ended_at as "endedAt", outcome, step, code,
            failure_class as "failureClass", message
     from attempts where task_id = any($1) order by attempt`,
    rows,
  );
  const steps = await groupByTask<StepView>(
    db,
    `select task_id as "taskId", name, started_at as "startedAt", completed_at as "completedAt", executions,
            case when progress_total is null then null
                 else json_build_object('done', coalesce(progress_done, 0), 'total', progress_total) end as progress
     from steps where task_id = any($1) order by position`,
    rows,
  );
  return rows.map((row) => toView(row, attempts.get(row.id) ?? [], steps.get(row.id) ?? []));
}

/** One sentence on what is true of a task now. A hard failure that a later task of its kind made good needs nobody. */
export function taskTruth(
  task: Pick<TaskView, 'kind' | 'status' | 'attempt' | 'maxAttempts' | 'retryAt' | 'attempts'>,
  madeGoodAt: Date | null,
): Truth {
  const of = `${task.attempt} of ${task.maxAttempts}`;
  const failed = task.attempts.filter((attempt) => attempt.outcome === 'failed');
  const last = failed.at(-1);
  const where = last?.step == null ? '' : ` at ${last.step}`;
  const times = failed.length === 1 ? 'one failed attempt' : `${failed.length} failed attempts`;
  switch (task.status) {
    case 'pending':
      return { state: 'waiting', needsAction: false, sentence: 'Waiting to begin.' };
    case 'running':
      return failed.length === 0
        ? { state: 'running', needsAction: false, sentence: `Attempt ${of} is running.` }
        : { state: 'retrying', needsAction: false, sentence: `Attempt ${of} is running, after ${times}.` };
    case 'backing_off':
      return {
        state: 'retrying',
        needsAction: false,
        sentence: `Attempt ${of} failed${where}; it is tried again${task.retryAt === null ? '' : ` at ${clock(task.retryAt)}`}. Nobody has to act.`,
      };
    case 'succeeded':
      return failed.length === 0
        ? { state: 'succeeded', needsAction: false, sentence: 'Succeeded at the first attempt.' }
        : { state: 'recovered', needsAction: false, sentence: `Recovered: attempt ${of} succeeded, after ${times}.` };
    case 'failed':
      return madeGoodAt === null
        ? {
            state: 'hard_failure',
            needsAction: true,
            sentence: `Hard failure${where}, attempt ${of}: it is not tried any more. ${last?.message ?? ''}`.trim(),
          }
        : {
            state: 'made_good',
            needsAction: false,
            sentence: `Hard failure${where}, attempt ${of}; a later ${task.kind} succeeded at ${clock(madeGoodAt)}. Nobody has to act.`,
          };
    case 'cancelled':
      return { state: 'cancelled', needsAction: false, sentence: 'Cancelled before its outcome: nobody needs it.' };
    default:
      return unknownStatus(task.status);
  }
}

function unknownStatus(status: never): never {
  throw new Error(`no task has the status ${String(status)}`);
}

function clock(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

async function groupByTask<View>(db: Queryable, sql: string, tasks: { id: string }[]): Promise<Map<string, View[]>> {
  const { rows } = await db.query<View & { taskId: string }>(sql, [tasks.map((task) => task.id)]);
  const groups = new Map<string, View[]>();
  for (const { taskId, ...view } of rows) {
    const group = groups.get(taskId);
    if (group === undefined) groups.set(taskId, [view as View]);
    else group.push(view as View);
  }
  return groups;
}

function toView(row: Row, attempts: AttemptView[], steps: StepView[]): TaskView {
  const {
    computationId,
    computationKind,
    computationKey,
    computationName,
    connectionId,
    destinationId,
    destinationName,
    madeGoodAt,
    ...task
  } = row;
  return {
    ...task,
    computation: { id: computationId, kind: computationKind, key: computationKey, name: computationName },
    destination:
      connectionId === null || destinationId === null
        ? null
        : { id: destinationId, name: destinationName ?? '', connectionId },
    attempts,
    steps,
    truth: taskTruth({ ...task, attempts }, madeGoodAt),
  };
}
