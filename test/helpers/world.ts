import { createSpace, createWorkspace } from '../../src/access/index.ts';
import { SYSTEM_ACTOR, type Actor } from '../../src/audit/index.ts';
import { createComputation } from '../../src/computations/index.ts';
import { connectComputation } from '../../src/connections/index.ts';
import { createDestination, createDestinationDeps } from '../../src/destinations/index.ts';
import { createSecretBox } from '../../src/security/index.ts';
import { inTransaction, type ClickHouseClient, type PostgresPool } from '../../src/store/index.ts';
import { createTask } from '../../src/tasks/index.ts';

export interface World {
  workspaceId: string;
  spaceId: string;
  actor: Actor;
}

export const SECRET = 'a secret for tests, of more than 32 characters';
export const secretBox = createSecretBox(SECRET);
export const destinationDeps = createDestinationDeps({ secretBox, allowPrivateAddresses: true });

let worlds = 0;

/** A business workspace with one space. */
export async function createWorld(pool: PostgresPool): Promise<World> {
  const slug = `world-${++worlds}-${Date.now().toString(36)}`;
  return await inTransaction(pool, async (tx) => {
    const workspace = await createWorkspace(tx, { slug, name: slug, plan: 'business', actor: SYSTEM_ACTOR });
    const space = await createSpace(tx, { workspaceId: workspace.id, slug: 'main', name: 'Main', actor: SYSTEM_ACTOR });
    return { workspaceId: workspace.id, spaceId: space.id, actor: SYSTEM_ACTOR };
  });
}

/** Profiles 1…count, each with a user id and one `Visited` event an hour ago whose property `n` is its number. */
export async function addPeople(clickhouse: ClickHouseClient, world: World, count: number): Promise<void> {
  await clickhouse.command({
    query: `INSERT INTO profiles (space_id, profile, user_id, anonymous_id, merged_into, version)
            SELECT {space:String}, number + 1, concat('user-', toString(number + 1)), '', 0, 1 FROM numbers({count:UInt32})`,
    query_params: { space: world.spaceId, count },
  });
  await clickhouse.command({
    query: `INSERT INTO events (space_id, type, event, profile, timestamp, received_at, source_id, message_id, properties, context)
            SELECT {space:String}, 'track', 'Visited', number + 1, now64(3) - INTERVAL 1 HOUR, now64(3), 'src_test',
                   concat('m-', toString(number)), concat('{"n":', toString(number + 1), '}'), '{}'
            FROM numbers({count:UInt32})`,
    query_params: { space: world.spaceId, count },
  });
}

export async function addAudience(
  pool: PostgresPool,
  world: World,
  query: string,
  options: { key?: string; kind?: 'audience' | 'computed_trait' } = {},
): Promise<string> {
  return await inTransaction(pool, async (tx) => {
    const row = await createComputation(
      tx,
      {
        workspaceId: world.workspaceId,
        spaceId: world.spaceId,
        kind: options.kind ?? 'audience',
        name: options.key ?? 'everybody',
        key: options.key ?? 'everybody',
        definition: { type: 'USERS', query },
        schedule: { intervalSeconds: 3600 },
      },
      world.actor,
    );
    return row.id;
  });
}

/** Connects a computation to a webhook destination at `url`; batches of `batchSize` messages, track calls only. */
export async function connectWebhook(
  pool: PostgresPool,
  world: World,
  computationId: string,
  url: string,
  batchSize = 10,
): Promise<{ destinationId: string; connectionId: string }> {
  return await inTransaction(pool, async (tx) => {
    const destination = await createDestination(tx, destinationDeps, {
      workspaceId: world.workspaceId,
      spaceId: world.spaceId,
      actor: world.actor,
      slug: 'webhook',
      name: 'Receiver',
      subscriptions: [{ trigger: 'type = "track"', mapping: { url, batch_size: batchSize } }],
    });
    const connection = await connectComputation(tx, destinationDeps, {
      workspaceId: world.workspaceId,
      computationId,
      destinationId: destination.id,
      actor: world.actor,
    });
    return { destinationId: destination.id, connectionId: connection.id };
  });
}

/** Writes a run's task, as the scheduler does. */
export async function addRun(pool: PostgresPool, world: World, computationId: string): Promise<string> {
  const taskId = await inTransaction(pool, async (tx) =>
    createTask(tx, { ...world, computationId, kind: 'run', reason: 'scheduled' }),
  );
  if (taskId === null) throw new Error('a run is open already');
  return taskId;
}

/** The task's state with its attempts and steps, read straight from the tables. */
export async function readTaskRows(pool: PostgresPool, taskId: string) {
  const task = await pool.query<{ status: string; attempt: number; result: Record<string, unknown> | null }>(
    'select status, attempt, result from tasks where id = $1',
    [taskId],
  );
  const attempts = await pool.query<{
    attempt: number;
    outcome: string | null;
    step: string | null;
    code: string | null;
    failure_class: string | null;
  }>('select attempt, outcome, step, code, failure_class from attempts where task_id = $1 order by attempt', [taskId]);
  const steps = await pool.query<{ name: string; completed_at: Date | null; executions: number; cursor: unknown }>(
    'select name, completed_at, executions, cursor from steps where task_id = $1 order by position',
    [taskId],
  );
  const row = task.rows[0];
  if (row === undefined) throw new Error(`no task ${taskId}`);
  return { ...row, attempts: attempts.rows, steps: steps.rows };
}

/** Waits until `check` gives something other than null or undefined; polls, because what it waits for is another process. */
export async function eventually<T>(
  check: () => Promise<T | null | undefined>,
  options: { timeoutMs?: number; what: string },
): Promise<T> {
  const deadline = Date.now() + (options.timeoutMs ?? 30_000);
  for (;;) {
    const value = await check();
    if (value !== null && value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`${options.what} did not happen in time`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
