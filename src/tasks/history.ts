import {
  readPage,
  type PageEdge,
  type PageRequest,
  type PaginationInput,
  type PaginationOutput,
} from '../audit/index.ts';
import { RequestError } from '../errors.ts';
import type { Queryable } from '../store/index.ts';
import type { TaskKind } from './kinds.ts';
import type { TaskStatus } from './load-task.ts';
import { viewTasks } from './read-task.ts';
import type { TaskView } from './task-view.ts';

/** A page of a history: a time range and filters, newest first. */
export interface TaskQuery extends PaginationInput {
  workspaceId: string;
  spaceId?: string | undefined;
  computationId?: string | undefined;
  destinationId?: string | undefined;
  kind?: TaskKind | undefined;
  /** `open` is every status without an outcome. */
  status?: TaskStatus | 'open' | undefined;
  /** Tasks written at or after it. */
  from?: Date | undefined;
  /** Tasks written before it, so that ranges which touch neither overlap nor miss. */
  to?: Date | undefined;
}

/**
 * The tasks of a workspace, or of one computation, that match, newest first, by keyset: a page costs the same however deep it
 * is. Throws RequestError `time_range_invalid` (to), and as readPage does.
 */
export async function listTasks(
  db: Queryable,
  query: TaskQuery,
): Promise<{ tasks: TaskView[]; pagination: PaginationOutput }> {
  const filter = compileFilter(query);
  const { rows, pagination } = await readPage(query, async (request) => await selectIds(db, filter, request));
  return {
    tasks: await viewTasks(
      db,
      query.workspaceId,
      rows.map((row) => row.id),
    ),
    pagination,
  };
}

interface Filter {
  conditions: string[];
  values: unknown[];
}

function compileFilter(query: TaskQuery): Filter {
  const { from, to } = query;
  if (from !== undefined && to !== undefined && from > to) {
    throw new RequestError('invalid', 'time_range_invalid', 'to is before from: it has to be after it.', {
      field: 'to',
    });
  }
  const values: unknown[] = [query.workspaceId];
  const conditions = ['t.workspace_id = $1'];
  const where = (condition: (value: string) => string, value: unknown): void => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(condition(`$${values.length}`));
  };
  where((value) => `t.space_id = ${value}`, query.spaceId);
  where((value) => `t.computation_id = ${value}`, query.computationId);
  where(
    (value) => `t.connection_id in (select id from connections where destination_id = ${value})`,
    query.destinationId,
  );
  where((value) => `t.kind = ${value}`, query.kind);
  if (query.status === 'open') conditions.push('t.ended_at is null');
  else where((value) => `t.status = ${value}`, query.status);
  where((value) => `t.created_at >= ${value}`, from);
  where((value) => `t.created_at < ${value}`, to);
  return { conditions, values };
}

async function selectIds(db: Queryable, filter: Filter, request: PageRequest): Promise<PageEdge[]> {
  const values = [...filter.values];
  const conditions = [...filter.conditions];
  const [operator, direction] = request.side === 'older' ? ['<', 'desc'] : ['>', 'asc'];
  if (request.edge !== null) {
    values.push(request.edge.micros, request.edge.id);
    conditions.push(
      `(t.created_at, t.id) ${operator} (timestamptz 'epoch' + $${values.length - 1}::bigint * interval '1 microsecond', $${values.length})`,
    );
  }
  values.push(request.limit);
  const { rows } = await db.query<PageEdge>(
    `select t.id, (extract(epoch from t.created_at) * 1000000)::bigint as micros
     from tasks t where ${conditions.join(' and ')}
     order by t.created_at ${direction}, t.id ${direction} limit $${values.length}`,
    values,
  );
  return rows;
}
