import { createComputation, takeDueComputations, type TakenComputations } from '../../src/computations/index.ts';
import { createLogger } from '../../src/logger.ts';
import { inTransaction, type PostgresPool } from '../../src/store/index.ts';
import { createAdmitter, scheduleDueTasks } from '../../src/tasks/index.ts';
import type { World } from '../helpers/world.ts';

export const silent = createLogger({ level: 'silent', program: 'test' });

let keys = 0;

/**
 * An audience whose slot came so long ago (or comes then, if negative). It ran before, unless `live` is null, and refers to the
 * audiences with these keys.
 */
export async function addScheduled(
  pool: PostgresPool,
  world: World,
  options: {
    overdueSeconds?: number;
    schedule?: Parameters<typeof createComputation>[1]['schedule'];
    live?: number | null;
    refersTo?: readonly string[];
    key?: string;
  } = {},
): Promise<string> {
  const { overdueSeconds = 0, live = 1, refersTo = [], key = `audience_${++keys}` } = options;
  const query = ["event('Visited').count() >= 1", ...refersTo.map((name) => `trait('${name}') = true`)].join(' AND ');
  return await inTransaction(pool, async (tx) => {
    const row = await createComputation(
      tx,
      {
        ...world,
        kind: 'audience',
        name: key,
        key,
        definition: { type: 'USERS', query },
        schedule: options.schedule ?? { intervalSeconds: 60 },
      },
      world.actor,
    );
    await tx.query(
      `update computations set live_version = $3::bigint,
         next_run_at = date_trunc('milliseconds', now() - $2 * interval '1 second'),
         next_slot_at = date_trunc('milliseconds', now() - $2 * interval '1 second'),
         live_definition_version = case when $3::bigint is null then null else definition_version end
       where id = $1`,
      [row.id, overdueSeconds, live],
    );
    return row.id;
  });
}

export async function take(pool: PostgresPool, limit = 100): Promise<TakenComputations> {
  return await inTransaction(pool, async (tx) => await takeDueComputations(tx, limit));
}

export interface Tick {
  created: number;
  started: number;
  /** The tasks whose workflows were started. */
  ids: string[];
}

/** One tick of the scheduler, with a Temporal that starts what it is asked to; `fails` is asked first. */
export async function tick(
  pool: PostgresPool,
  options: { maxInFlight?: number; fails?: (taskId: string) => boolean } = {},
): Promise<Tick> {
  const ids: string[] = [];
  const admitter = createAdmitter({
    pool,
    logger: silent,
    maxInFlight: options.maxInFlight ?? 1_000,
    startTask: async (taskId) => {
      if (options.fails?.(taskId) === true) throw new Error('no Temporal');
      ids.push(taskId);
      await pool.query('update tasks set dispatched_at = clock_timestamp() where id = $1', [taskId]);
    },
  });
  const result = await scheduleDueTasks(pool, admitter, silent);
  return { ...result, ids };
}

/** Ends a run as its workflow would. */
export async function endTask(
  pool: PostgresPool,
  taskId: string,
  status: 'succeeded' | 'failed' | 'cancelled' = 'succeeded',
): Promise<void> {
  await pool.query('update tasks set status = $2, ended_at = clock_timestamp() where id = $1', [taskId, status]);
}

/** Raises the caps of every space and destination, for tests that are about something else. */
export async function liftCaps(pool: PostgresPool): Promise<void> {
  await pool.query('update spaces set max_runs = 10000, max_backfills = 10000');
  await pool.query('update destinations set max_syncs = 10000');
}
