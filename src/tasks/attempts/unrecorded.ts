import { countBookkeepingFailure } from '../../metrics/index.ts';
import { classifyStoreError, type PostgresPool, type Queryable } from '../../store/index.ts';
import { describeThrown } from '../../thrown.ts';
import type { TaskRow } from '../model/task.ts';

/** What is written about a task so that it goes on: each is tried until PostgreSQL takes it. */
type Bookkeeping = 'beginAttempt' | 'recordFailure' | 'mayGoOn' | 'cancelAbandonedTask';

/** Whether an error of bookkeeping is over soon: PostgreSQL is away, busy, full or read only. Any other comes again each time. */
export function isOutage(error: unknown): boolean {
  const store = classifyStoreError(error);
  return store !== null && store.code !== 'postgres_statement';
}

/**
 * Does a part of a task's bookkeeping. One that PostgreSQL does not take is counted, and where it will not take it the next time
 * either, the task says so: it takes no place of others then, and those who operate Trailmark are told. Throws what was thrown.
 */
export async function keepBooks<T>(
  pool: PostgresPool,
  taskId: string,
  bookkeeping: Bookkeeping,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = classifyStoreError(error)?.code ?? 'unknown';
    countBookkeepingFailure({ bookkeeping, code });
    // Whoever could not write the one is rarely able to write the other: then the count is all there is.
    if (!isOutage(error)) await noteUnrecorded(pool, taskId, bookkeeping, error).catch(() => undefined);
    throw error;
  }
}

async function noteUnrecorded(
  pool: PostgresPool,
  taskId: string,
  bookkeeping: Bookkeeping,
  error: unknown,
): Promise<void> {
  await pool.query(
    `update tasks set unrecorded_at = coalesce(unrecorded_at, clock_timestamp()), unrecorded = $2
     where id = $1 and ended_at is null and unrecorded is distinct from $2`,
    [taskId, `${bookkeeping}: ${describeThrown(error).slice(0, 500)}`],
  );
}

/** Notes that a locked task goes on again, where it did not. */
export async function forgetUnrecorded(tx: Queryable, task: Pick<TaskRow, 'id' | 'unrecorded_at'>): Promise<void> {
  if (task.unrecorded_at === null) return;
  await tx.query('update tasks set unrecorded_at = null, unrecorded = null where id = $1', [task.id]);
}

/** Open tasks whose bookkeeping PostgreSQL refuses: how many, for how long the first has been one, and what it is of that one. */
export interface Unrecorded {
  count: number;
  oldestSeconds: number;
  /** The task that has waited longest, and which call failed by what. For those who operate Trailmark. */
  example: { taskId: string; because: string } | null;
}

export async function readUnrecorded(db: Queryable): Promise<Unrecorded> {
  const { rows } = await db.query<{ id: string; unrecorded: string; count: number; seconds: number }>(
    `select id, unrecorded, count(*) over () as count,
            greatest(0, extract(epoch from now() - unrecorded_at))::float8 as seconds
     from tasks where ended_at is null and unrecorded_at is not null
     order by unrecorded_at limit 1`,
  );
  const [first] = rows;
  if (first === undefined) return { count: 0, oldestSeconds: 0, example: null };
  return {
    count: first.count,
    oldestSeconds: first.seconds,
    example: { taskId: first.id, because: first.unrecorded },
  };
}
