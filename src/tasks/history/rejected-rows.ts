import type { PaginationInput, PaginationOutput } from '../../audit/index.ts';
import type { Queryable } from '../../store/index.ts';
import { readNumberedPage } from './numbered-page.ts';

/** A row that a destination refused for good, with its answer. */
export interface RejectedRow {
  /** Its place among the changes of its sync, from 0. */
  idx: number;
  profile: number;
  /** '' where the profile has none. */
  userId: string;
  anonymousId: string;
  /** What was sent, as JSON: 'true' for a member, a computed trait's value; '' for nothing any more. */
  value: string;
  /** The destination's HTTP status; null where it refused the row without one. */
  status: number | null;
  reason: string;
  rejectedAt: Date;
  /** The sync that sent it again; null for none. */
  redrivenBy: string | null;
}

const COLUMNS = `r.idx, r.profile, r.user_id as "userId", r.anonymous_id as "anonymousId", r.value, r.status, r.reason,
  r.created_at as "rejectedAt", r.redriven_by as "redrivenBy"`;

interface RejectedRowsOf {
  workspaceId: string;
  taskId: string;
}

/** The first rows of a sync that its destination refused for good. */
export async function readRejectedRows(
  db: Queryable,
  query: RejectedRowsOf & { limit: number },
): Promise<RejectedRow[]> {
  return await selectRows(db, query, { side: 'after', edge: null, limit: query.limit });
}

/** A page of the rows of a sync that its destination refused for good, in the order of its changes. Throws `cursor_invalid`. */
export async function listRejectedRows(
  db: Queryable,
  query: RejectedRowsOf & PaginationInput,
): Promise<{ rows: RejectedRow[]; pagination: PaginationOutput }> {
  return await readNumberedPage(
    query,
    (row: RejectedRow) => row.idx,
    async (request) => await selectRows(db, query, request),
  );
}

// Some megabytes. Where PostgreSQL has no statistics of the rows yet, each batch sorts all that are left: so not many batches.
const BATCH_ROWS = 5_000;

/**
 * All rejected rows of a sync, in batches. Each batch is a select of its own from where the last one ended, so that a reader who
 * is slow holds neither a connection nor a transaction open, and memory is that of one batch.
 */
export async function* streamRejectedRows(db: Queryable, query: RejectedRowsOf): AsyncGenerator<RejectedRow[]> {
  let edge: number | null = null;
  for (;;) {
    const rows: RejectedRow[] = await selectRows(db, query, { side: 'after', edge, limit: BATCH_ROWS });
    if (rows.length > 0) yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < BATCH_ROWS) return;
    edge = last.idx;
  }
}

async function selectRows(
  db: Queryable,
  { workspaceId, taskId }: RejectedRowsOf,
  { side, edge, limit }: { side: 'after' | 'before'; edge: number | null; limit: number },
): Promise<RejectedRow[]> {
  const [operator, direction] = side === 'after' ? ['>', 'asc'] : ['<', 'desc'];
  const { rows } = await db.query<RejectedRow>(
    `select ${COLUMNS} from rejected_rows r
     where r.task_id = $2 and ($3::integer is null or r.idx ${operator} $3)
       and exists (select from tasks t where t.id = $2 and t.workspace_id = $1)
     order by r.idx ${direction} limit $4`,
    [workspaceId, taskId, edge, limit],
  );
  return rows;
}
