import { Client, Connection } from '@temporalio/client';
import { createSpace, createWorkspace } from '../src/access/index.ts';
import { SYSTEM_ACTOR } from '../src/audit/index.ts';
import { createLogger } from '../src/logger.ts';
import { inTransaction, type PostgresPool } from '../src/store/index.ts';
import { createAdmitter, createTaskStarter, scheduleDueTasks, type TaskStarter } from '../src/tasks/index.ts';
import { startBenchEngines } from './engines.ts';
import { median, type Figure } from './figure.ts';

const COMPUTATIONS = 10_000;
const DUE = 100;
const SPACES = 25;
const RUNS = 15;

/**
 * A tick of the scheduler over ten thousand computations of which a hundred are due: taking them, writing their runs, admitting
 * those; against one hand-written statement that does as much for a single tenant, without caps, turns or references. In
 * PostgreSQL alone, because starting workflows is Temporal's time, which a note tells. To stay under: a second.
 */
export async function tick(): Promise<Figure> {
  const engines = await startBenchEngines();
  const { pool } = engines;
  const connection = await Connection.connect({ address: engines.temporalAddress });
  try {
    const world = await makeWorld(pool);
    const temporal = new Client({ connection });
    const logger = createLogger({ level: 'silent', program: 'bench' });
    const tickWith = async (startTask: TaskStarter): Promise<void> => {
      const admitter = createAdmitter({ pool, startTask, logger, maxInFlight: 200 });
      expectDue(await scheduleDueTasks(pool, admitter, logger));
    };
    const ours: number[] = [];
    const byHand: number[] = [];
    const withWorkflows: number[] = [];
    const idle: number[] = [];
    // The first round warms caches and connections, and is not counted.
    for (let round = 0; round <= RUNS; round++) {
      const measured = {
        byHand: await timed(pool, world, async () => await tickByHand(pool)),
        ours: await timed(pool, world, async () => await tickWith(async () => await Promise.resolve())),
        idle: await elapsed(async () => {
          await scheduleDueTasks(pool, { admit: async () => await Promise.resolve(0) }, logger);
        }),
        withWorkflows: await timed(
          pool,
          world,
          async () => await tickWith(createTaskStarter({ pool, temporal, heartbeatTimeoutMs: 30_000 })),
        ),
      };
      if (round === 0) continue;
      ours.push(measured.ours);
      byHand.push(measured.byHand);
      withWorkflows.push(measured.withWorkflows);
      idle.push(measured.idle);
    }
    return {
      name: 'tick',
      unit: 'ms',
      ours: median(ours),
      reference: median(byHand),
      ratio: median(ours.map((value, index) => value / (byHand[index] ?? Number.NaN))),
      runs: RUNS,
      notes: {
        computations: COMPUTATIONS,
        due: DUE,
        'slowest tick, ms': Math.round(Math.max(...ours)),
        'with nothing due, ms': Math.round(median(idle) * 10) / 10,
        'with the workflows started on the development server, ms': Math.round(median(withWorkflows)),
      },
    };
  } finally {
    await connection.close();
    await engines.stop();
  }
}

/** Runs what makes a tick with a hundred computations due, and ends their runs after it. In milliseconds. */
async function timed(pool: PostgresPool, world: BenchWorld, work: () => Promise<void>): Promise<number> {
  await pool.query(
    `update computations set next_slot_at = now() - interval '1 second', next_run_at = now() - interval '1 second'
     where id = any ($1)`,
    [world.due],
  );
  const ms = await elapsed(work);
  await pool.query(`update tasks set status = 'succeeded', ended_at = now() where ended_at is null`);
  return ms;
}

async function elapsed(work: () => Promise<void>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

function expectDue({ created, started }: { created: number; started: number }): void {
  if (created !== DUE || started !== DUE) throw new Error(`${created} runs written, ${started} started, of ${DUE}`);
}

async function tickByHand(pool: PostgresPool): Promise<void> {
  const { rowCount } = await pool.query(
    `with due as (
       select c.id from computations c
       where c.enabled and c.deleted_at is null and c.paused_at is null and c.next_run_at <= now()
         and not exists (select from tasks t where t.computation_id = c.id and t.kind = 'run' and t.ended_at is null)
       order by c.next_run_at limit 1000 for no key update skip locked
     ), moved as (
       update computations c
       set next_slot_at = next_slot_at + schedule_interval_seconds * interval '1 second'
             * (1 + floor(extract(epoch from now() - next_slot_at) / schedule_interval_seconds)),
           next_run_at = next_slot_at + schedule_interval_seconds * interval '1 second'
             * (1 + floor(extract(epoch from now() - next_slot_at) / schedule_interval_seconds))
       from due where c.id = due.id
       returning c.id, c.workspace_id, c.space_id
     ), task as (
       insert into tasks (id, workspace_id, space_id, computation_id, kind, reason, admitted_at)
       select 'tsk_' || gen_random_uuid(), workspace_id, space_id, id, 'run', 'scheduled', now() from moved
       on conflict do nothing returning id
     )
     insert into steps (task_id, position, name)
     select task.id, step.position - 1, step.name
     from task, unnest(array['pin', 'compute', 'diff', 'guard', 'commit', 'fan_out']) with ordinality as step (name, position)`,
  );
  if (rowCount !== DUE * 6) throw new Error(`${rowCount} steps written, of ${DUE * 6}`);
}

interface BenchWorld {
  /** The computations that are due in each tick, spread over the spaces. */
  due: string[];
}

async function makeWorld(pool: PostgresPool): Promise<BenchWorld> {
  const spaces = await inTransaction(pool, async (tx) => {
    const made: { workspaceId: string; spaceId: string }[] = [];
    for (let n = 0; n < SPACES; n++) {
      const slug = `bench-${n}`;
      const { id } = await createWorkspace(tx, { slug, name: slug, plan: 'business', actor: SYSTEM_ACTOR });
      const space = await createSpace(tx, { workspaceId: id, slug: 'main', name: 'Main', actor: SYSTEM_ACTOR });
      made.push({ workspaceId: id, spaceId: space.id });
    }
    return made;
  });
  // Every tenth refers to its neighbour.
  await pool.query(
    `insert into computations (id, workspace_id, space_id, kind, key, name, definition_type, definition_query, refers_to,
       schedule_interval_seconds, live_version, live_definition_version, next_slot_at, next_run_at, created_by, updated_by)
     select 'aud_' || n, spaces.workspace_id, spaces.space_id, 'audience', 'a' || n, 'Audience ' || n, 'USERS',
       'event(''Order Completed'').where(property(''total'') > ' || n || ').within(30 days).count() >= 1',
       case when n % 10 = 0 then array['a' || n - ${SPACES}] else '{}' end,
       3600, 1, 1, now() + interval '1 day', now() + interval '1 day', 'bench', 'bench'
     from generate_series(1, $3::integer) n
     join unnest($1::text[], $2::text[]) with ordinality as spaces (workspace_id, space_id, nth) on nth = 1 + n % ${SPACES}`,
    [spaces.map(({ workspaceId }) => workspaceId), spaces.map(({ spaceId }) => spaceId), COMPUTATIONS],
  );
  await pool.query('analyze');
  // One of every hundred: four in a space, and so that none refers to another that is due.
  return { due: Array.from({ length: DUE }, (_, n) => `aud_${1 + n * 101}`).slice(0, DUE) };
}
