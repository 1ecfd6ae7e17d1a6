import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresPool } from '../../src/store/index.ts';
import { ApiRefusal } from './api.ts';
import { anyDefinition, type Definition, type SentEvent } from './people.ts';
import type { Size } from './plan.ts';
import type { Random } from './random.ts';
import { createComputation, pathOf, type Workspace, type World } from './world.ts';

const BATCH_EVENTS = 6;
const BATCH_EVERY_MS = 400;
const ACT_EVERY_MS = 1_500;
const RETRY_AFTER_MS = 150;

/** What goes on in the world meanwhile: events come in, and people ask for things. */
export interface Traffic {
  /** The message ids that were answered 200, by workspace. */
  acknowledged: Map<Workspace, Set<string>>;
  /** What people asked for, how often, and how often it came through. */
  actions: Map<string, { asked: number; done: number }>;
  /** Answers of 500, which are never right: an API without its engines says 503. */
  serverErrors: string[];
  /** Ends it. Resolves when every event that was begun is acknowledged. */
  stop(): Promise<void>;
}

export function startTraffic(options: {
  world: World;
  pool: PostgresPool;
  apiUrl: string;
  size: Size;
  random: Random;
}): Traffic {
  const { world, random } = options;
  const stopping = new AbortController();
  const traffic: Traffic = {
    acknowledged: new Map(world.workspaces.map((workspace) => [workspace, new Set()])),
    actions: new Map(),
    serverErrors: [],
    stop: async () => {
      stopping.abort();
      await Promise.all(running);
    },
  };
  const running = world.workspaces.map(async (workspace) => {
    const acknowledged = traffic.acknowledged.get(workspace);
    while (!stopping.signal.aborted) {
      const batch = Array.from({ length: BATCH_EVENTS }, () => workspace.people.next());
      await sendUntilTaken(options.apiUrl, workspace, batch);
      for (const { messageId } of batch) acknowledged?.add(messageId);
      await pause(BATCH_EVERY_MS, stopping.signal);
    }
  });
  running.push(actUntilStopped(options, traffic, random.fork('people'), stopping.signal));
  return traffic;
}

/** As a client of Segment's does it: again and again, the same messages under the same ids, until the answer is 200. */
async function sendUntilTaken(apiUrl: string, workspace: Workspace, batch: readonly SentEvent[]): Promise<void> {
  const body = JSON.stringify({ writeKey: workspace.writeKey, batch });
  for (;;) {
    const status = await fetch(`${apiUrl}/v1/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: AbortSignal.timeout(10_000),
    }).then(
      async (response) => {
        const answer = await response.text();
        // All of it, or it was in vain.
        return response.ok && !answer.includes('refused') ? 200 : response.status;
      },
      () => 0,
    );
    if (status === 200) return;
    if (status >= 400 && status < 500) throw new Error(`the API refused events with ${status}`);
    await sleep(RETRY_AFTER_MS);
  }
}

type Action = 'run now' | 'edit' | 'switch off and on' | 'disconnect' | 'connect' | 'create' | 'delete';

const ACTIONS: Readonly<Record<Action, number>> = {
  'run now': 60,
  edit: 12,
  'switch off and on': 6,
  disconnect: 6,
  connect: 8,
  create: 4,
  delete: 4,
};
const CALM: Readonly<Partial<Record<Action, number>>> = { 'run now': 80, edit: 20 };

interface Chosen {
  id: string;
  kind: Definition['kind'];
  enabled: boolean;
  connected: string[];
}

async function actUntilStopped(
  options: { world: World; pool: PostgresPool; size: Size },
  traffic: Traffic,
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  let made = 0;
  while (!signal.aborted) {
    await pause(ACT_EVERY_MS, signal);
    const workspace = random.pick(options.world.workspaces);
    const action = random.weighted(options.size.churn ? ACTIONS : (CALM as typeof ACTIONS));
    const count = traffic.actions.get(action) ?? { asked: 0, done: 0 };
    traffic.actions.set(action, count);
    count.asked += 1;
    try {
      await act(options, workspace, random, action, () => `made_${++made}`);
      count.done += 1;
    } catch (error) {
      // Refused because of how things stand, or the API is away: people try again.
      if (error instanceof ApiRefusal && error.status === 500) traffic.serverErrors.push(error.message);
    }
  }
}

async function act(
  { world, pool, size }: { world: World; pool: PostgresPool; size: Size },
  workspace: Workspace,
  random: Random,
  action: Action,
  newKey: () => string,
): Promise<void> {
  const computations = await computationsOf(pool, workspace);
  if (action === 'create') {
    if (computations.length >= size.computations * 2) return;
    await createComputation(world, workspace, random, {
      kind: random.chance(0.3) ? 'computed_trait' : 'audience',
      key: `${workspace.slug.replace('-', '_')}_${newKey()}`,
      destinations: random.shuffle(workspace.destinations).slice(0, 1 + random.int(2)),
    });
    return;
  }
  const chosen = random.pick(computations);
  const path = `/spaces/${workspace.spaceId}/${pathOf(chosen.kind)}/${chosen.id}`;
  const { owner } = workspace;
  switch (action) {
    case 'run now':
      await owner.call('POST', `${path}/runs`);
      return;
    case 'edit': {
      const definition = anyDefinition(random, chosen.kind);
      world.definitions.set(definition.query, definition);
      await owner.call('PATCH', path, { definition: { type: 'USERS', query: definition.query } });
      return;
    }
    case 'switch off and on':
      await owner.call('PATCH', path, { enabled: !chosen.enabled });
      return;
    case 'disconnect':
      if (chosen.connected.length > 1) {
        await owner.call('DELETE', `${path}/destinations/${random.pick(chosen.connected)}`);
      }
      return;
    case 'connect': {
      const free = workspace.destinations.filter(({ id }) => !chosen.connected.includes(id));
      if (free.length > 0) {
        await owner.call('POST', `${path}/destinations`, { destinationId: random.pick(free).id });
      }
      return;
    }
    case 'delete':
      if (computations.length > size.computations) await owner.call('DELETE', path);
      return;
    default:
      action satisfies never;
  }
}

async function computationsOf(pool: PostgresPool, workspace: Workspace): Promise<Chosen[]> {
  const { rows } = await pool.query<Chosen>(
    `select c.id, c.kind, c.enabled,
            coalesce(array_agg(n.destination_id) filter (where n.enabled), '{}') as connected
     from computations c left join connections n on n.computation_id = c.id
     where c.workspace_id = $1 and c.deleted_at is null group by c.id order by c.id`,
    [workspace.id],
  );
  return rows;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
