import { createAccessToken, createSpace, createWorkspace } from '../../src/access/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { inTransaction, type PostgresPool } from '../../src/store/index.ts';
import { Api } from './api.ts';
import { anyDefinition, People, type Definition } from './people.ts';
import type { Size } from './plan.ts';
import type { Random } from './random.ts';
import { AUDIENCES_PATH, Receiver } from './receivers.ts';

/** One workspace with its space, its source, its tools, and what is computed in it. */
export interface Workspace {
  id: string;
  slug: string;
  spaceId: string;
  writeKey: string;
  /** Reduced notifications are on. */
  reduced: boolean;
  owner: Api;
  people: People;
  destinations: Destination[];
  /** Destinations that were deleted. */
  deleted: Destination[];
}

export interface Destination {
  id: string;
  kind: DestinationKind;
  receiver: Receiver;
  subscriptionId: string;
  enabled: boolean;
  /** Counts the edits: each gives it another address at its receiver. */
  address: number;
  /** Which messages its subscription is for. */
  types: readonly ('track' | 'identify')[];
  /** Messages in one request. */
  batchSize: number;
}

type DestinationKind = 'tracks' | 'audiences' | 'both';

/**
 * What may come in at a receiver from the answer to someone's change on, until the next change was asked for: requests to one path,
 * and those that make an audience; or nothing.
 */
interface Rule {
  receiver: Receiver;
  /** What was changed, in words. */
  change: string;
  /** Null where nothing may come in. */
  path: string | null;
  /** Milliseconds since 1970. */
  from: number;
  until: number;
}

export interface World {
  workspaces: Workspace[];
  /** Also those of deleted destinations. */
  receivers: Receiver[];
  rules: Rule[];
  /** Every definition that was ever given to the API, by its text. */
  definitions: Map<string, Definition>;
}

/** How often a computation is run by its schedule; people ask for runs besides. */
const INTERVAL_SECONDS = 15;

/** Makes the world: workspaces in the database, as `trailmark token --create` does, and all else through the API. */
export async function createWorld(options: {
  pool: PostgresPool;
  apiUrl: string;
  size: Size;
  random: Random;
}): Promise<World> {
  const world: World = { workspaces: [], receivers: [], rules: [], definitions: new Map() };
  for (let number = 0; number < options.size.workspaces; number++) {
    const random = options.random.fork(`workspace ${number}`);
    // The first is quiet, and the others hear of every failure.
    world.workspaces.push(await createOne(world, { ...options, random }, `chaos-${number}`, number === 0));
  }
  return world;
}

async function createOne(
  world: World,
  options: { pool: PostgresPool; apiUrl: string; size: Size; random: Random },
  slug: string,
  reduced: boolean,
): Promise<Workspace> {
  const { pool, apiUrl, size, random } = options;
  const made = await inTransaction(pool, async (tx) => {
    const actor = SYSTEM_ACTOR;
    const { id } = await createWorkspace(tx, { slug, name: slug, plan: 'business', actor });
    const space = await createSpace(tx, { workspaceId: id, slug: 'main', name: 'Main', actor });
    const token = async (role: 'workspace_owner' | 'support'): Promise<string> =>
      (await createAccessToken(tx, { workspaceId: id, name: role, role, actor })).token;
    return { id, spaceId: space.id, owner: await token('workspace_owner'), support: await token('support') };
  });
  const owner = new Api(apiUrl, made.owner);
  if (reduced) {
    await new Api(apiUrl, made.support).call('PATCH', '/settings/notifications', {
      reducedNotifications: true,
      reason: 'They hear of what needs them.',
    });
  }
  const { source } = await owner.call<{ source: { writeKeys: string[] } }>('POST', '/sources', {
    slug: 'site',
    spaceIds: [made.spaceId],
  });
  const workspace: Workspace = {
    id: made.id,
    slug,
    spaceId: made.spaceId,
    writeKey: source.writeKeys[0] ?? '',
    reduced,
    owner,
    people: new People(random.fork('people'), slug, size.people),
    destinations: [],
    deleted: [],
  };
  const kinds = ['tracks', 'audiences', 'both'] as const;
  for (const kind of kinds) {
    workspace.destinations.push(await createDestination(world, workspace, random.fork(kind), kind, size.batchSize));
  }
  for (let number = 0; number < size.computations; number++) {
    const kind = number % 3 === 2 ? 'computed_trait' : 'audience';
    const destinations = random.shuffle(workspace.destinations).slice(0, 1 + random.int(2));
    await createComputation(world, workspace, random, {
      kind,
      key: `${slug.replace('-', '_')}_${number}`,
      destinations,
    });
  }
  return workspace;
}

/** A destination of the workspace, at a receiver of its own. */
export async function createDestination(
  world: World,
  workspace: Workspace,
  random: Random,
  kind: DestinationKind,
  batchSize: number,
): Promise<Destination> {
  const receiver = await Receiver.start(`${workspace.slug} ${kind}`, random);
  world.receivers.push(receiver);
  const types = kind === 'both' ? (['track', 'identify'] as const) : (['track'] as const);
  const { destination } = await workspace.owner.call<{
    destination: { id: string; subscriptions: { id: string }[] };
  }>('POST', '/destinations', {
    spaceId: workspace.spaceId,
    // Of Segment's tools that keep audiences of their own, the one whose address can be chosen.
    metadataId: kind === 'audiences' ? 'webhook-audiences' : 'webhook',
    name: receiver.name,
    ...(kind === 'audiences' ? { settings: { createAudienceUrl: `${receiver.url}${AUDIENCES_PATH}` } } : {}),
    subscriptions: [
      {
        action: 'send',
        trigger: types.map((type) => `type = "${type}"`).join(' or '),
        mapping: { url: `${receiver.url}${pathAt(0)}`, batch_size: batchSize },
      },
    ],
  });
  const subscriptionId = destination.subscriptions[0]?.id ?? '';
  return { id: destination.id, kind, receiver, subscriptionId, enabled: true, address: 0, types, batchSize };
}

/** The destinations of a workspace, also those that were deleted. */
export function everyDestination({ destinations, deleted }: Workspace): Destination[] {
  return [...destinations, ...deleted];
}

/** Where a receiver is sent batches, at its destination's address of this number. */
export function pathAt(address: number): string {
  return `/batches/${address}`;
}

export function pathOf(kind: Definition['kind']): 'audiences' | 'computed-traits' {
  return kind === 'audience' ? 'audiences' : 'computed-traits';
}

/** Creates a computation with some definition of its kind, connected to these destinations. */
export async function createComputation(
  world: World,
  workspace: Workspace,
  random: Random,
  input: { kind: Definition['kind']; key: string; destinations: readonly Destination[] },
): Promise<void> {
  const definition = anyDefinition(random, input.kind);
  world.definitions.set(definition.query, definition);
  await workspace.owner.call('POST', `/spaces/${workspace.spaceId}/${pathOf(input.kind)}`, {
    name: input.key,
    key: input.key,
    definition: { type: 'USERS', query: definition.query },
    schedule: { intervalSeconds: INTERVAL_SECONDS },
    destinations: input.destinations.map(({ id }) => ({ destinationId: id })),
  });
}
