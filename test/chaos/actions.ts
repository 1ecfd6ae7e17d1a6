import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresPool } from '../../src/store/index.ts';
import { moveDestination, replaceDestination, switchDestination } from './destination-changes.ts';
import { anyDefinition, type Definition } from './people.ts';
import type { Size } from './plan.ts';
import type { Random } from './random.ts';
import { createComputation, pathOf, type Destination, type Workspace, type World } from './world.ts';

type Action =
  | 'run now'
  | 'edit'
  | 'switch off or on'
  | 'pause or resume'
  | 'backfill'
  | 'resync'
  | 'cancel'
  | 'retry'
  | 'redrive'
  | 'disconnect'
  | 'connect'
  | 'create'
  | 'delete'
  | 'switch destination off or on'
  | 'move destination'
  | 'delete destination';

const ALL: Readonly<Record<Action, number>> = {
  'run now': 34,
  edit: 10,
  'switch off or on': 5,
  'pause or resume': 10,
  backfill: 4,
  resync: 5,
  cancel: 8,
  retry: 6,
  redrive: 6,
  disconnect: 4,
  connect: 5,
  create: 3,
  delete: 3,
  'switch destination off or on': 10,
  'move destination': 6,
  'delete destination': 3,
};
const CALM = {
  'run now': 50,
  edit: 12,
  resync: 4,
  'switch destination off or on': 20,
  'move destination': 10,
  'delete destination': 4,
} as const satisfies Partial<Record<Action, number>>;

export function chooseAction(random: Random, size: Size): Action {
  return size.churn ? random.weighted(ALL) : random.weighted(CALM);
}

// How long a sync that was asked for may take to get to its tool, which is slow meanwhile: so its batches are not all gone at once.
const BUSY_MS = 15_000;

interface Chosen {
  id: string;
  kind: Definition['kind'];
  enabled: boolean;
  paused: boolean;
  connected: string[];
}

/** Someone asks for something that seems sensible just now. False where there is nothing to ask it for; throws as Api.call. */
export async function act(
  { world, pool, size }: { world: World; pool: PostgresPool; size: Size },
  workspace: Workspace,
  random: Random,
  action: Action,
): Promise<boolean> {
  const { owner } = workspace;
  if (action === 'cancel' || action === 'retry' || action === 'redrive') {
    const taskId = await taskFor(pool, workspace, random, action);
    if (taskId === null) return false;
    await owner.call('POST', `/tasks/${taskId}/${action}`);
    return true;
  }
  if (action === 'switch destination off or on') {
    // One that is off does not stay so for long: what goes on there is what is looked at.
    const off = workspace.destinations.find(({ enabled }) => !enabled);
    if (off === undefined) await switchDestination(world, workspace, await busyOne(pool, workspace, random), false);
    else await switchDestination(world, workspace, off, true);
    return true;
  }
  if (action === 'move destination') {
    await moveDestination(world, workspace, await busyOne(pool, workspace, random));
    return true;
  }
  if (action === 'delete destination') {
    const destination = await busyOne(pool, workspace, random);
    const connected = (await computationsOf(pool, workspace)).filter((one) => one.connected.includes(destination.id));
    const next = await replaceDestination(world, workspace, destination, random.fork('replacement'));
    for (const { id, kind } of connected) {
      const body = { destinationId: next.id };
      await workspace.owner.call('POST', `/spaces/${workspace.spaceId}/${pathOf(kind)}/${id}/destinations`, body);
    }
    return true;
  }
  const computations = await computationsOf(pool, workspace);
  if (action === 'create') {
    if (computations.length >= size.computations * 2) return false;
    await createComputation(world, workspace, random, {
      kind: random.chance(0.3) ? 'computed_trait' : 'audience',
      key: `${workspace.slug.replace('-', '_')}_made_${random.int(1_000_000_000)}`,
      destinations: random.shuffle(workspace.destinations).slice(0, 1 + random.int(2)),
    });
    return true;
  }
  const chosen = random.pick(computations);
  const path = `/spaces/${workspace.spaceId}/${pathOf(chosen.kind)}/${chosen.id}`;
  switch (action) {
    case 'run now':
      await owner.call('POST', `${path}/runs`);
      return true;
    case 'backfill':
    case 'resync':
      await owner.call('POST', `${path}/${action}`);
      return true;
    case 'edit': {
      const definition = anyDefinition(random, chosen.kind);
      world.definitions.set(definition.query, definition);
      await owner.call('PATCH', path, { definition: { type: 'USERS', query: definition.query } });
      return true;
    }
    case 'switch off or on':
      await owner.call('PATCH', path, { enabled: !chosen.enabled });
      return true;
    case 'pause or resume':
      await owner.call('POST', `${path}/${chosen.paused ? 'resume' : 'pause'}`);
      return true;
    case 'disconnect':
      if (chosen.connected.length < 2) return false;
      await owner.call('DELETE', `${path}/destinations/${random.pick(chosen.connected)}`);
      return true;
    case 'connect': {
      const free = workspace.destinations.filter(({ id }) => !chosen.connected.includes(id));
      if (free.length === 0) return false;
      await owner.call('POST', `${path}/destinations`, { destinationId: random.pick(free).id });
      return true;
    }
    case 'delete':
      if (computations.length <= size.computations) return false;
      await owner.call('DELETE', path);
      return true;
    default:
      return action satisfies never;
  }
}

/** One of the destinations, just as everything of a computation is being sent to it, where that can be had. */
async function busyOne(pool: PostgresPool, workspace: Workspace, random: Random): Promise<Destination> {
  const destination = random.pick(workspace.destinations);
  const computations = await computationsOf(pool, workspace);
  const connected = computations.filter((one) => one.enabled && one.connected.includes(destination.id));
  if (connected.length === 0 || !destination.enabled) return destination;
  const { id, kind } = random.pick(connected);
  const body = { destinationIds: [destination.id] };
  const before = destination.receiver.received.length;
  destination.receiver.beSlow(BUSY_MS);
  await workspace.owner.call('POST', `/spaces/${workspace.spaceId}/${pathOf(kind)}/${id}/resync`, body);
  const deadline = Date.now() + BUSY_MS;
  while (destination.receiver.received.length === before && Date.now() < deadline) await sleep(5);
  return destination;
}

async function computationsOf(pool: PostgresPool, workspace: Workspace): Promise<Chosen[]> {
  const { rows } = await pool.query<Chosen>(
    `select c.id, c.kind, c.enabled, c.paused_at is not null as paused,
            coalesce(array_agg(n.destination_id) filter (where n.enabled), '{}') as connected
     from computations c left join connections n on n.computation_id = c.id
     where c.workspace_id = $1 and c.deleted_at is null group by c.id order by c.id`,
    [workspace.id],
  );
  return rows;
}

const FITTING = {
  cancel: 'ended_at is null',
  retry: `status in ('failed', 'cancelled') and not exists (
    select from tasks later where later.computation_id = tasks.computation_id and later.kind = tasks.kind
      and later.connection_id is not distinct from tasks.connection_id and later.created_at > tasks.created_at)`,
  redrive: `ended_at is not null and exists (
    select from rejected_rows r where r.task_id = tasks.id and r.redriven_by is null)`,
} as const;

/** One of the latest tasks that this can be asked of. */
async function taskFor(
  pool: PostgresPool,
  workspace: Workspace,
  random: Random,
  action: keyof typeof FITTING,
): Promise<string | null> {
  const { rows } = await pool.query<{ id: string }>(
    `select id from tasks where workspace_id = $1 and ${FITTING[action]} order by id desc limit 10`,
    [workspace.id],
  );
  return rows.length === 0 ? null : random.pick(rows).id;
}
