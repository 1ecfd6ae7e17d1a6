import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntilLoaded } from '../../src/pipeline/index.ts';
import type { PostgresPool } from '../../src/store/index.ts';
import { ApiRefusal } from './api.ts';
import { switchDestination } from './destination-changes.ts';
import { pathOf, type World } from './world.ts';

/** Seconds in a year: no run is due by itself any more. */
const NEVER_SECONDS = 31_536_000;
const POLL_MS = 200;
const ROUNDS = 4;

/** How the world came to rest. */
export interface Settled {
  /** Events that were acknowledged were loaded in time. */
  loaded: boolean;
  /** Tasks that had no outcome in time: before the last runs were asked for, and after. */
  openTasks: string[];
  /** Connections of enabled computations that are not in step with the live version after the last runs. */
  notInStep: string[];
  settleMs: number;
}

/**
 * Lets everything come to rest: the receivers are good and all is up. Ends the schedules, waits until every task has its outcome,
 * switches on what the system had switched off, and runs each computation until its connections are in step. In the end everything
 * is sent once more: what a tool then has of someone's traits is what they are now, and not when they were told of.
 */
export async function settle(options: {
  world: World;
  pool: PostgresPool;
  timeoutMs: number;
  say: (line: string) => void;
}): Promise<Settled> {
  const { world, pool, timeoutMs, say } = options;
  const since = Date.now();
  const loaded = await waitUntilLoaded(pool, timeoutMs);
  for (const workspace of world.workspaces) {
    for (const destination of workspace.destinations) await switchDestination(world, workspace, destination, true);
  }
  await resumePaused(world, pool);
  await patchAll(world, pool, { schedule: { intervalSeconds: NEVER_SECONDS } });
  let openTasks = await waitForOutcomes(pool, timeoutMs);
  say(`schedules ended; ${openTasks.length} tasks are open`);
  let notInStep: string[] = [];
  for (let round = 1; round <= ROUNDS && openTasks.length === 0; round++) {
    await patchAll(world, pool, { enabled: true });
    await resumeConnections(world, pool);
    await runAll(world, pool);
    openTasks = await waitForOutcomes(pool, timeoutMs);
    notInStep = await connectionsBehind(pool);
    say(`last runs, round ${round}: ${openTasks.length} tasks are open, ${notInStep.length} connections are behind`);
    if (notInStep.length === 0) break;
  }
  if (openTasks.length === 0 && notInStep.length === 0) {
    await resyncAll(world, pool);
    openTasks = await waitForOutcomes(pool, timeoutMs);
    notInStep = await connectionsBehind(pool);
    say(`everything sent once more: ${openTasks.length} tasks are open`);
  }
  return { loaded, openTasks, notInStep, settleMs: Date.now() - since };
}

interface Row {
  id: string;
  kind: 'audience' | 'computed_trait';
  workspace_id: string;
  space_id: string;
}

async function computations(pool: PostgresPool): Promise<Row[]> {
  const { rows } = await pool.query<Row>(
    'select id, kind, workspace_id, space_id from computations where deleted_at is null order by id',
  );
  return rows;
}

async function patchAll(world: World, pool: PostgresPool, patch: unknown): Promise<void> {
  for (const row of await computations(pool)) {
    await call(world, row, 'PATCH', `/spaces/${row.space_id}/${pathOf(row.kind)}/${row.id}`, patch);
  }
}

/** A run of each computation that has none open. */
async function runAll(world: World, pool: PostgresPool): Promise<void> {
  for (const row of await computations(pool)) {
    const open = await pool.query(`select from tasks where computation_id = $1 and kind = 'run' and ended_at is null`, [
      row.id,
    ]);
    if (open.rowCount === 0) {
      // The schedule may have been faster.
      await call(world, row, 'POST', `/spaces/${row.space_id}/${pathOf(row.kind)}/${row.id}/runs`).catch(
        (error: unknown) => {
          if (!(error instanceof ApiRefusal && error.status === 409)) throw error;
        },
      );
    }
  }
}

async function resyncAll(world: World, pool: PostgresPool): Promise<void> {
  for (const row of await computations(pool)) {
    const { rowCount } = await pool.query('select from connections where computation_id = $1 and enabled', [row.id]);
    if (rowCount === 0) continue;
    await call(world, row, 'POST', `/spaces/${row.space_id}/${pathOf(row.kind)}/${row.id}/resync`);
  }
}

async function resumePaused(world: World, pool: PostgresPool): Promise<void> {
  const { rows } = await pool.query<Row>(
    'select id, kind, workspace_id, space_id from computations where paused_at is not null and deleted_at is null',
  );
  for (const row of rows) {
    await call(world, row, 'POST', `/spaces/${row.space_id}/${pathOf(row.kind)}/${row.id}/resume`);
  }
}

/** What the system has given up after several hard failures, a person switches on again. */
async function resumeConnections(world: World, pool: PostgresPool): Promise<void> {
  const { rows } = await pool.query<Row & { destination_id: string }>(
    `select c.id, c.kind, c.workspace_id, c.space_id, n.destination_id
     from connections n join computations c on c.id = n.computation_id
     where n.suspended_at is not null and n.enabled and c.deleted_at is null`,
  );
  for (const row of rows) {
    const path = `/spaces/${row.space_id}/${pathOf(row.kind)}/${row.id}/destinations/${row.destination_id}/resume`;
    await call(world, row, 'POST', path);
  }
}

async function call(world: World, row: Row, method: 'POST' | 'PATCH', path: string, body?: unknown): Promise<void> {
  const workspace = world.workspaces.find(({ id }) => id === row.workspace_id);
  await workspace?.owner.call(method, path, body);
}

/** The tasks that are open still after `timeoutMs`; none is what should be. */
async function waitForOutcomes(pool: PostgresPool, timeoutMs: number): Promise<string[]> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const { rows } = await pool.query<{ id: string; state: string }>(
      // What is due by its schedule is open too, only not written yet.
      `select id, concat_ws(' ', kind, status, 'attempt', attempt, waiting_for) as state from tasks where ended_at is null
       union all
       select id, 'due' from computations
       where enabled and deleted_at is null and paused_at is null and next_run_at < now() + interval '1 day'
       order by id`,
    );
    if (rows.length === 0) return [];
    if (Date.now() > deadline) return rows.map(({ id, state }) => `${id}: ${state}`);
    await sleep(POLL_MS);
  }
}

async function connectionsBehind(pool: PostgresPool): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(
    `select n.id from connections n join computations c on c.id = n.computation_id
     where n.enabled and c.enabled and c.deleted_at is null and n.synced_version is distinct from c.live_version
     order by n.id`,
  );
  return rows.map(({ id }) => id);
}
