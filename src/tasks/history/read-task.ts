import type { Queryable } from '../../store/index.ts';
import { taskProgress } from './task-progress.ts';
import { taskTruth } from './task-truth.ts';
import type { AttemptView, GuardView, RejectedReason, StepExecutionView, StepView, TaskView } from './task-view.ts';

// Enough to see what is wrong: the rows themselves are a request away. Looking through all would take a second where there are
// hundreds of thousands, and pages ask every two seconds.
const REASONS_SHOWN = 5;
const REASONS_OF_ROWS = 10_000;

interface Row extends Omit<
  TaskView,
  | 'computation'
  | 'destination'
  | 'progress'
  | 'guard'
  | 'rejectedRows'
  | 'rejectedReasons'
  | 'attempts'
  | 'steps'
  | 'truth'
> {
  computationId: string;
  computationKind: 'audience' | 'computed_trait';
  computationKey: string;
  computationName: string;
  connectionId: string | null;
  destinationId: string | null;
  destinationName: string | null;
  resolvedLaterAt: Date | null;
  nothingRan: boolean | null;
  rejectedRows: number | null;
  nowMs: number;
}

/** What is read of a task besides its own row, by the task's id. */
interface Parts {
  attempts: Map<string, Omit<AttemptView, 'executions'>[]>;
  executions: Map<string, (StepExecutionView & { attempt: number })[]>;
  steps: Map<string, StepView[]>;
  guards: Map<string, GuardView[]>;
  reasons: Map<string, RejectedReason[]>;
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

/** The workspace's tasks with these ids, newest first, with attempts and steps: as many selects, however many tasks. */
export async function viewTasks(db: Queryable, workspaceId: string, ids: string[]): Promise<TaskView[]> {
  if (ids.length === 0) return [];
  const { rows } = await db.query<Row>(
    `select t.id, t.space_id as "spaceId", t.kind, t.reason, t.status, t.attempt, t.max_attempts as "maxAttempts",
            t.parent_task_id as "parentTaskId", t.created_at as "createdAt", t.admitted_at as "admittedAt",
            t.started_at as "startedAt", t.ended_at as "endedAt", ${msBetween('t.started_at', 't.ended_at')},
            t.retry_at as "retryAt", t.slot_at as "slotAt", t.late_ms as "lateMs", t.missed_slots as "missedSlots",
            t.waiting_for as "waitingFor", t.waiting_until as "waitingUntil",
            case when t.ended_at is null then c.paused_at end as "pausedAt",
            t.approved_at as "approvedAt", t.approved_by as "approvedBy", t.cancelled_because as "cancelledBecause",
            t.result, c.id as "computationId", c.kind as "computationKind", c.key as "computationKey",
            c.name as "computationName", t.connection_id as "connectionId", d.id as "destinationId",
            d.name as "destinationName", later.ended_at as "resolvedLaterAt",
            (select coalesce(s.output ->> 'rejected', s.cursor ->> 'rejected', '0')::integer
             from steps s where s.task_id = t.id and s.name = 'deliver') as "rejectedRows",
            t.kind = 'run' and t.late_ms > 0 and exists (
              select from audit_events e
              where e.task_id = t.id and e.type in ('Audience Run Late', 'Computed Trait Run Late')
            ) as "nothingRan",
            (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowMs"
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
  const parts = await readParts(db, rows);
  return rows.map((row) => toView(row, parts));
}

async function readParts(db: Queryable, rows: Row[]): Promise<Parts> {
  const ids = rows.map((row) => row.id);
  return {
    attempts: await groupByTask(
      db,
      `select task_id as "taskId", attempt, started_at as "startedAt", ended_at as "endedAt",
              ${msBetween('started_at', 'ended_at')}, outcome, step, code, failure_class as "failureClass", message
       from attempts where task_id = any($1) order by attempt`,
      ids,
    ),
    executions: await groupByTask(
      db,
      `select task_id as "taskId", attempt, step, execution, started_at as "startedAt", ended_at as "endedAt",
              ${msBetween('started_at', 'ended_at')}, outcome, code, rows_in as "rowsIn", rows_out as "rowsOut", rejected
       from step_executions where task_id = any($1) order by started_at, execution`,
      ids,
    ),
    steps: await groupByTask(
      db,
      `select task_id as "taskId", name, started_at as "startedAt", completed_at as "completedAt", executions,
              case when progress_total is null then null
                   else json_build_object('done', coalesce(progress_done, 0), 'total', progress_total) end as progress
       from steps where task_id = any($1) order by position`,
      ids,
    ),
    guards: await readGuards(db, guarded(rows)),
    reasons: await groupByTask(
      db,
      `select reasons."taskId", reasons.status, reasons.reason, reasons.rows
       from unnest($1::text[]) as task (id)
       cross join lateral (
         select task.id as "taskId", status, reason, count(*) as rows
         from (
           select idx, status, reason from rejected_rows
           where task_id = task.id order by idx limit ${REASONS_OF_ROWS}
         ) looked_at
         group by status, reason order by count(*) desc, min(idx) limit ${REASONS_SHOWN}
       ) reasons`,
      rows.filter((row) => (row.rejectedRows ?? 0) > 0).map((row) => row.id),
    ),
  };
}

/** What the guard asks about: as the run has pinned, computed and compared it. */
const SELECT_GUARDS = `
  select pin.task_id as "taskId", before, (computed.output ->> 'size')::bigint as after,
         (diff.output ->> 'entered')::bigint as entered, (diff.output ->> 'exited')::bigint as exited,
         case when before = 0 then 0 else (diff.output ->> 'exited')::float8 / before end as "exitedShare"
  from steps pin
  cross join lateral (select coalesce((pin.output ->> 'liveSize')::bigint, 0) as before) live
  join steps computed on computed.task_id = pin.task_id and computed.name = 'compute'
  join steps diff on diff.task_id = pin.task_id and diff.name = 'diff' and diff.completed_at is not null
  where pin.task_id = any($1) and pin.name = 'pin'`;

/** What each of these runs does to the members, by the task's id; nothing of those that have not compared it yet. */
export async function readGuards(db: Queryable, taskIds: string[]): Promise<Map<string, GuardView[]>> {
  return await groupByTask(db, SELECT_GUARDS, taskIds);
}

/** The runs that the guard has stopped, whatever became of them. */
function guarded(rows: Row[]): string[] {
  return rows
    .filter(
      (row) => row.status === 'awaiting_approval' || row.approvedAt !== null || row.cancelledBecause === 'discarded',
    )
    .map((row) => row.id);
}

function msBetween(from: string, to: string): string {
  return `round(extract(epoch from ${to} - ${from}) * 1000)::bigint as "durationMs"`;
}

async function groupByTask<View>(db: Queryable, sql: string, ids: string[]): Promise<Map<string, View[]>> {
  const groups = new Map<string, View[]>();
  if (ids.length === 0) return groups;
  const { rows } = await db.query<View & { taskId: string }>(sql, [ids]);
  for (const { taskId, ...view } of rows) {
    const group = groups.get(taskId);
    if (group === undefined) groups.set(taskId, [view as View]);
    else group.push(view as View);
  }
  return groups;
}

function toView(row: Row, parts: Parts): TaskView {
  const {
    computationId,
    computationKind,
    computationKey,
    computationName,
    connectionId,
    destinationId,
    destinationName,
    resolvedLaterAt,
    nothingRan,
    nowMs,
    rejectedRows,
    ...task
  } = row;
  const executions = parts.executions.get(row.id) ?? [];
  const attempts = (parts.attempts.get(row.id) ?? []).map((attempt) => ({
    ...attempt,
    executions: executions.flatMap(({ attempt: number, ...execution }) =>
      number === attempt.attempt ? [execution] : [],
    ),
  }));
  const steps = parts.steps.get(row.id) ?? [];
  const guard = parts.guards.get(row.id)?.[0] ?? null;
  const computation = { id: computationId, kind: computationKind, key: computationKey, name: computationName };
  return {
    ...task,
    computation,
    destination:
      connectionId === null || destinationId === null
        ? null
        : { id: destinationId, name: destinationName ?? '', connectionId },
    guard,
    // Only a sync has the step that counts them.
    rejectedRows: rejectedRows ?? 0,
    progress: taskProgress({ ...task, steps, executions }, nowMs),
    rejectedReasons: parts.reasons.get(row.id) ?? [],
    attempts,
    steps,
    truth: taskTruth({ ...task, computation, guard, attempts }, { resolvedLaterAt, nothingRan: nothingRan ?? false }),
  };
}
