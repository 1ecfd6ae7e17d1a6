import { createSpace } from '../../src/access/index.ts';
import { connectComputation } from '../../src/connections/index.ts';
import { createDestination } from '../../src/destinations/index.ts';
import { inTransaction, newId, type PostgresPool } from '../../src/store/index.ts';
import { createTask } from '../../src/tasks/index.ts';
import { createWorld, destinationDeps, type World } from '../helpers/world.ts';
import { addScheduled } from './schedule-world.ts';

export interface AdmissionSpace extends World {
  computationIds: string[];
  destinationIds: string[];
  /** Of each computation with each destination. */
  connections: { id: string; computationId: string; destinationId: string }[];
}

/** A workspace with spaces of computations, each connected to each destination of its space; nothing of it is due. */
export async function addWorkspace(
  pool: PostgresPool,
  size: { spaces: number; computations: number; destinations: number },
): Promise<AdmissionSpace[]> {
  const world = await createWorld(pool);
  const spaces: AdmissionSpace[] = [];
  for (let n = 0; n < size.spaces; n++) {
    const space: AdmissionSpace = {
      ...world,
      spaceId: n === 0 ? world.spaceId : await addSpace(pool, world, `space-${n}`),
      computationIds: [],
      destinationIds: [],
      connections: [],
    };
    for (let c = 0; c < size.computations; c++) {
      space.computationIds.push(await addScheduled(pool, space, { overdueSeconds: -86_400 }));
    }
    for (let d = 0; d < size.destinations; d++) await addDestination(pool, space);
    spaces.push(space);
  }
  return spaces;
}

async function addSpace(pool: PostgresPool, world: World, slug: string): Promise<string> {
  return await inTransaction(pool, async (tx) => {
    const { workspaceId, actor } = world;
    return (await createSpace(tx, { workspaceId, slug, name: slug, actor })).id;
  });
}

async function addDestination(pool: PostgresPool, space: AdmissionSpace): Promise<void> {
  await inTransaction(pool, async (tx) => {
    const { id: destinationId } = await createDestination(tx, destinationDeps, {
      workspaceId: space.workspaceId,
      spaceId: space.spaceId,
      actor: space.actor,
      slug: 'webhook',
      name: 'Receiver',
      subscriptions: [{ trigger: 'type = "track"', mapping: { url: 'http://127.0.0.1:9/' } }],
    });
    space.destinationIds.push(destinationId);
    for (const computationId of space.computationIds) {
      const { workspaceId, actor } = space;
      const { id } = await connectComputation(tx, destinationDeps, {
        workspaceId,
        actor,
        computationId,
        destinationId,
      });
      space.connections.push({ id, computationId, destinationId });
    }
  });
}

type TaskToAdd = { reason?: 'scheduled' | 'created' | 'backfill' } & (
  | { computationId: string }
  | { computationId: string; connectionId: string }
);

/** A run, or a sync where a connection is given; null where one is open. */
export async function addTask(pool: PostgresPool, space: World, task: TaskToAdd): Promise<string | null> {
  const { workspaceId, spaceId } = space;
  const kind = 'connectionId' in task ? 'sync' : 'run';
  return await createTask(pool, {
    workspaceId,
    spaceId,
    ...task,
    kind,
    reason: kind === 'sync' ? 'fan_out' : (task.reason ?? 'scheduled'),
  });
}

/** So many runs that wait, each of a computation of its own: written straight into the tables, for there are many. */
export async function addWaitingRuns(pool: PostgresPool, space: World, count: number): Promise<void> {
  const computations = Array.from({ length: count }, () => newId('audience'));
  await pool.query(
    `insert into computations (id, workspace_id, space_id, kind, key, name, definition_type, definition_query,
       schedule_interval_seconds, next_run_at, next_slot_at, created_by, updated_by)
     select id, $2, $3, 'audience', id, id, 'USERS', 'event(''A'').count() >= 1', 3600,
       now() + interval '1 hour', now() + interval '1 hour', 'test', 'test'
     from unnest($1::text[]) as id`,
    [computations, space.workspaceId, space.spaceId],
  );
  await pool.query(
    `insert into tasks (id, workspace_id, space_id, computation_id, kind, reason)
     select id, $3, $4, computation_id, 'run', 'scheduled' from unnest($1::text[], $2::text[]) as new (id, computation_id)`,
    [computations.map(() => newId('task')), computations, space.workspaceId, space.spaceId],
  );
}
