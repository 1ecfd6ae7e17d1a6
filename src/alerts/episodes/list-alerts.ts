import {
  readPage,
  type PageEdge,
  type PageRequest,
  type PaginationInput,
  type PaginationOutput,
} from '../../audit/index.ts';
import type { Queryable } from '../../store/index.ts';
import type { AlertAttempt, AlertRow } from './alert-row.ts';
import type { AlertDecision, AlertKind } from '../rules/decide.ts';

/** An alert as the API and webhooks show it: what it said then, and how its task is now. */
export interface AlertResponse {
  id: string;
  workspaceId: string;
  kind: AlertKind;
  decision: AlertDecision;
  rule: string;
  title: string;
  body: string;
  auditEventId: string;
  taskId: string | null;
  computationId: string | null;
  attempts: AlertAttempt[];
  createdAt: string;
  decidedAt: string;
  holdUntil: string | null;
  /** The alert that carries this one. */
  foldedInto: string | null;
  /** The recovery that closed what this alert opened. */
  closedBy: string | null;
  /** null for an alert that is about no task. */
  now: AlertState | null;
}

/** How it is now, which may be better than when the alert was written. */
interface AlertState {
  taskStatus: string;
  /** Attempts at the task so far. */
  attempts: number;
  maxAttempts: number;
  /** When the task succeeded after it had failed. */
  recoveredAt: string | null;
  /** The newest task of the same computation (and destination): a later run or sync may have succeeded since. */
  latestTaskId: string;
  latestTaskStatus: string;
}

export interface AlertQuery extends PaginationInput {
  workspaceId: string;
  decision?: AlertDecision | undefined;
  kind?: AlertKind | undefined;
  taskId?: string | undefined;
  computationId?: string | undefined;
}

interface AlertNowRow extends AlertRow, PageEdge {
  closed_by: string | null;
  task_status: string | null;
  task_attempts: number | null;
  task_max_attempts: number | null;
  recovered_at: Date | null;
  latest_task_id: string | null;
  latest_task_status: string | null;
}

const SELECT_NOW = `
  select a.*, (extract(epoch from a.created_at) * 1000000)::bigint as micros,
         (select r.id from alerts r where r.task_id = a.task_id and r.kind = 'recovery' and a.kind <> 'recovery' limit 1) as closed_by,
         t.status as task_status, t.attempt as task_attempts, t.max_attempts as task_max_attempts,
         case when t.status = 'succeeded' and t.attempt > 1 then t.ended_at end as recovered_at,
         latest.id as latest_task_id, latest.status as latest_task_status
  from alerts a
  left join tasks t on t.id = a.task_id
  left join lateral (
    select l.id, l.status from tasks l
    where l.computation_id = t.computation_id and l.kind = t.kind and l.connection_id is not distinct from t.connection_id
    order by l.created_at desc, l.id desc limit 1
  ) latest on true`;

/** The alerts of a workspace, newest first, each with how its task is now. Throws as readPage does. */
export async function listAlerts(
  db: Queryable,
  query: AlertQuery,
): Promise<{ alerts: AlertResponse[]; pagination: PaginationOutput }> {
  const { rows, pagination } = await readPage(query, (request) => selectAlerts(db, query, request));
  return { alerts: rows.map(toAlertResponse), pagination };
}

async function selectAlerts(db: Queryable, query: AlertQuery, request: PageRequest): Promise<AlertNowRow[]> {
  const values: unknown[] = [query.workspaceId];
  const conditions = ['a.workspace_id = $1'];
  const filters = {
    decision: query.decision,
    kind: query.kind,
    task_id: query.taskId,
    computation_id: query.computationId,
  };
  for (const [column, value] of Object.entries(filters)) {
    if (value === undefined) continue;
    values.push(value);
    conditions.push(`a.${column} = $${values.length}`);
  }
  const [operator, direction] = request.side === 'older' ? ['<', 'desc'] : ['>', 'asc'];
  if (request.edge !== null) {
    values.push(request.edge.micros, request.edge.id);
    conditions.push(
      `(a.created_at, a.id) ${operator} (timestamptz 'epoch' + $${values.length - 1}::bigint * interval '1 microsecond', $${values.length})`,
    );
  }
  values.push(request.limit);
  const { rows } = await db.query<AlertNowRow>(
    `${SELECT_NOW} where ${conditions.join(' and ')}
     order by a.created_at ${direction}, a.id ${direction} limit $${values.length}`,
    values,
  );
  return rows;
}

/** One alert with how its task is now; undefined where there is none. */
export async function readAlert(
  db: Queryable,
  workspaceId: string,
  alertId: string,
): Promise<AlertResponse | undefined> {
  const { rows } = await db.query<AlertNowRow>(`${SELECT_NOW} where a.workspace_id = $1 and a.id = $2`, [
    workspaceId,
    alertId,
  ]);
  return rows[0] === undefined ? undefined : toAlertResponse(rows[0]);
}

/** How many alerts a workspace has with each decision. */
export async function alertCounts(db: Queryable, workspaceId: string): Promise<Record<AlertDecision, number>> {
  const counts = { sent: 0, held: 0, folded: 0, released: 0, suppressed: 0 };
  const { rows } = await db.query<{ decision: AlertDecision; count: number }>(
    'select decision, count(*) as count from alerts where workspace_id = $1 group by decision',
    [workspaceId],
  );
  for (const row of rows) counts[row.decision] = row.count;
  return counts;
}

function toAlertResponse(row: AlertNowRow): AlertResponse {
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    kind: row.kind,
    decision: row.decision,
    rule: row.rule,
    title: row.title,
    body: row.body,
    auditEventId: row.audit_event_id,
    taskId: row.task_id,
    computationId: row.computation_id,
    attempts: row.attempts,
    createdAt: row.created_at.toISOString(),
    decidedAt: row.decided_at.toISOString(),
    holdUntil: row.hold_until?.toISOString() ?? null,
    foldedInto: row.folded_into,
    closedBy: row.closed_by,
    now:
      row.task_status === null
        ? null
        : {
            taskStatus: row.task_status,
            attempts: row.task_attempts ?? 0,
            maxAttempts: row.task_max_attempts ?? 0,
            recoveredAt: row.recovered_at?.toISOString() ?? null,
            latestTaskId: row.latest_task_id ?? row.task_id ?? '',
            latestTaskStatus: row.latest_task_status ?? row.task_status,
          },
  };
}
