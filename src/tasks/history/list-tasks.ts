import {
  readPage,
  type PageEdge,
  type PageRequest,
  type PaginationInput,
  type PaginationOutput,
} from '../../audit/index.ts';
import { RequestError } from '../../errors.ts';
import type { Queryable } from '../../store/index.ts';
import type { TaskKind } from '../model/kinds.ts';
import type { TaskStatus } from '../model/task.ts';
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
  /** Where the rows come from: each is read from its own index, newest first, and then they are merged. */
  branches: string[];
  destination: string | null;
}

// Kinds apart, because a computation's index has the kind before the time.
const BY_KIND = [`t.kind = 'run'`, `t.kind = 'sync'`];
const OPEN: readonly TaskStatus[] = ['pending', 'running', 'backing_off', 'awaiting_approval'];

function compileFilter(query: TaskQuery): Filter {
  const { from, to, status, computationId, destinationId } = query;
  if (from !== undefined && to !== undefined && from > to) {
    throw new RequestError('invalid', 'time_range_invalid', 'to is before from: it has to be after it.', {
      field: 'to',
    });
  }
  const values: unknown[] = [query.workspaceId];
  const bind = (value: unknown): string => `$${values.push(value)}`;
  const conditions = ['t.workspace_id = $1'];
  if (query.spaceId !== undefined) conditions.push(`t.space_id = ${bind(query.spaceId)}`);
  if (computationId !== undefined) conditions.push(`t.computation_id = ${bind(computationId)}`);
  if (query.kind !== undefined) conditions.push(`t.kind = ${bind(query.kind)}`);
  // Said besides the status, so that few are looked through: open tasks have an index of their own.
  if (status === 'open' || (status !== undefined && OPEN.includes(status))) conditions.push('t.ended_at is null');
  if (status !== undefined && status !== 'open') conditions.push(`t.status = ${bind(status)}`);
  if (from !== undefined) conditions.push(`t.created_at >= ${bind(from)}`);
  if (to !== undefined) conditions.push(`t.created_at < ${bind(to)}`);
  return {
    conditions,
    values,
    branches: computationId === undefined || query.kind !== undefined ? ['true'] : BY_KIND,
    destination: destinationId === undefined ? null : bind(destinationId),
  };
}

async function selectIds(db: Queryable, filter: Filter, request: PageRequest): Promise<PageEdge[]> {
  const values = [...filter.values];
  const conditions = [...filter.conditions];
  const [operator, direction] = request.side === 'older' ? ['<', 'desc'] : ['>', 'asc'];
  if (request.edge !== null) {
    const [micros, id] = [values.push(request.edge.micros), values.push(request.edge.id)];
    conditions.push(
      `(t.created_at, t.id) ${operator} (timestamptz 'epoch' + $${micros}::bigint * interval '1 microsecond', $${id})`,
    );
  }
  const limit = values.push(request.limit);
  const nearest = (condition: string): string =>
    `(select t.id, t.created_at from tasks t where ${[...conditions, condition].join(' and ')}
      order by t.created_at ${direction}, t.id ${direction} limit $${limit})`;
  const rows =
    filter.destination === null
      ? filter.branches.map(nearest).join(' union all ')
      : `select of_one.* from connections n cross join lateral ${nearest('t.connection_id = n.id')} of_one
         where n.destination_id = ${filter.destination}`;
  const found = await db.query<PageEdge>(
    `select id, (extract(epoch from created_at) * 1000000)::bigint as micros from (${rows}) tasks
     order by created_at ${direction}, id ${direction} limit $${limit}`,
    values,
  );
  return found.rows;
}
