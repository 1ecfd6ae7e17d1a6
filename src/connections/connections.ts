import { isDeepStrictEqual } from 'node:util';
import { recordAuditEvent, type Actor, type AuditEventType } from '../audit/index.ts';
import { RequestError } from '../errors.ts';
import {
  type JsonObject,
  getDefinition,
  type DestinationDeps,
  requireDestinationSecrets,
  requireSecrets,
  changedKeys,
  findDestination,
  findSubscriptions,
  maskAudienceSettings,
  openAudienceSettings,
  openSettings,
  sealAudienceSettings,
  type DestinationRow,
  type SealedAudienceSettings,
  audienceSettingsOf,
  mappingOf,
  settingsOf,
  checkAudienceSettings,
} from '../destinations/index.ts';
import { newId, type Queryable, type Transaction } from '../store/index.ts';
import { keepMasked } from '../security/index.ts';

/** One computation that is sent to one destination. */
export interface ConnectionView {
  id: string;
  computationId: string;
  destinationId: string;
  destinationName: string;
  slug: string;
  /** Secrets are masked. */
  audienceSettings: JsonObject;
  /** The id that the destination gave the audience, null before, and where it gives none. */
  externalAudienceId: string | null;
  /** The version that was synced last, null for none. */
  syncedVersion: number | null;
  syncedAt: string | null;
  createdAt: string;
}

interface ConnectionRow extends SealedAudienceSettings {
  computation_id: string;
  destination_id: string;
  destination_name: string;
  slug: string;
  enabled: boolean;
  external_audience_id: string | null;
  synced_version: number | null;
  synced_at: Date | null;
  created_at: Date;
}

interface ComputationRow {
  id: string;
  space_id: string;
  kind: 'audience' | 'computed_trait';
  name: string;
}

const EVENTS = {
  audience: {
    added: 'Destination Added into Audience',
    updated: 'Destination Updated for Audience',
    removed: 'Destination Removed from Audience',
  },
  computed_trait: {
    added: 'Destination Added into Computed Trait',
    updated: 'Destination Updated for Computed Trait',
    removed: 'Destination Removed from Computed Trait',
  },
} as const satisfies Record<ComputationRow['kind'], Record<'added' | 'updated' | 'removed', AuditEventType>>;

type SecretDeps = Pick<DestinationDeps, 'secretBox'>;

interface ConnectInput {
  workspaceId: string;
  computationId: string;
  destinationId: string;
  actor: Actor;
  /** Settings of the audience at a destination that keeps audiences of its own. */
  audienceSettings?: JsonObject | undefined;
  /** Secrets of the destination, entered again because these settings say where it sends, by their fields: `settings.apiKey`. */
  secrets?: Readonly<Record<string, string>> | undefined;
}

/**
 * Connects a computation to a destination of the same space. A connection that was taken away comes back as it was, baseline
 * included: what the destination acknowledged then it still has. Throws a RequestError: not_found, conflict where they are
 * connected, invalid with the field (`destinationId`, `audienceSettings.…`).
 */
export async function connectComputation(
  tx: Transaction,
  deps: SecretDeps,
  input: ConnectInput,
): Promise<ConnectionView> {
  const computation = await findComputation(tx, input.workspaceId, input.computationId);
  const destination = await findDestination(tx, input.workspaceId, input.destinationId, 'for no key update');
  if (destination.space_id !== computation.space_id) {
    throw new RequestError('invalid', 'other_space', 'destinationId: the destination belongs to another space.', {
      field: 'destinationId',
    });
  }
  const existing = await findConnection(tx, computation.id, destination.id);
  if (existing?.enabled === true) {
    throw new RequestError(
      'conflict',
      'already_connected',
      `${computation.name} is connected to ${destination.name}.`,
      {
        field: 'destinationId',
      },
    );
  }
  const settings = await mergeConnectionSettings(tx, deps, computation, destination, existing, input);
  const id = existing?.id ?? newId('connection');
  await tx.query(
    `insert into connections (id, computation_id, destination_id, audience_settings_box) values ($1, $2, $3, $4)
     on conflict (computation_id, destination_id)
     do update set enabled = true, audience_settings_box = excluded.audience_settings_box,
                   revision = connections.revision + 1`,
    [id, computation.id, destination.id, sealAudienceSettings(deps.secretBox, id, settings)],
  );
  const after = toView(deps, await requireConnection(tx, computation.id, destination.id));
  await record(tx, input, computation, 'added', null, after);
  return after;
}

/** Changes the settings of the audience at the destination. Throws a RequestError: not_found, or the field. */
export async function updateConnection(
  tx: Transaction,
  deps: SecretDeps,
  input: ConnectInput & { audienceSettings: JsonObject },
): Promise<ConnectionView> {
  const computation = await findComputation(tx, input.workspaceId, input.computationId);
  const destination = await findDestination(tx, input.workspaceId, input.destinationId);
  const row = await requireConnection(tx, computation.id, destination.id);
  const before = toView(deps, row);
  const current = openAudienceSettings(deps.secretBox, row);
  const settings = await mergeConnectionSettings(tx, deps, computation, destination, row, input);
  if (isDeepStrictEqual(settings, current)) return before;
  await tx.query('update connections set audience_settings_box = $2, revision = revision + 1 where id = $1', [
    before.id,
    sealAudienceSettings(deps.secretBox, before.id, settings),
  ]);
  const after = { ...before, audienceSettings: maskAudienceSettings(row.slug, settings) };
  await record(tx, input, computation, 'updated', before, after, changedKeys(current, settings));
  return after;
}

/** Ends a connection. What was sent stays at the destination. Throws a RequestError: not_found. */
export async function disconnectComputation(
  tx: Transaction,
  deps: SecretDeps,
  input: { workspaceId: string; computationId: string; destinationId: string; actor: Actor },
): Promise<void> {
  const computation = await findComputation(tx, input.workspaceId, input.computationId);
  const before = toView(deps, await requireConnection(tx, computation.id, input.destinationId));
  await tx.query('update connections set enabled = false where id = $1', [before.id]);
  await record(tx, input, computation, 'removed', before, null);
}

/** The connections of a computation. Throws a RequestError: not_found. */
export async function listConnections(
  db: Queryable,
  deps: SecretDeps,
  workspaceId: string,
  computationId: string,
): Promise<ConnectionView[]> {
  const computation = await findComputation(db, workspaceId, computationId);
  const { rows } = await db.query<ConnectionRow>(
    `${SELECT_CONNECTIONS} where n.computation_id = $1 and n.enabled order by n.id`,
    [computation.id],
  );
  return rows.map((row) => toView(deps, row));
}

const SELECT_CONNECTIONS = `
  select n.id, n.computation_id, n.destination_id, d.name as destination_name, d.slug, n.enabled, n.audience_settings_box,
         n.external_audience_id, n.synced_version, n.synced_at, n.created_at
  from connections n join destinations d on d.id = n.destination_id`;

async function findConnection(
  db: Queryable,
  computationId: string,
  destinationId: string,
): Promise<ConnectionRow | undefined> {
  const { rows } = await db.query<ConnectionRow>(
    `${SELECT_CONNECTIONS} where n.computation_id = $1 and n.destination_id = $2 for update of n`,
    [computationId, destinationId],
  );
  return rows[0];
}

async function requireConnection(db: Queryable, computationId: string, destinationId: string): Promise<ConnectionRow> {
  const row = await findConnection(db, computationId, destinationId);
  if (row?.enabled === true) return row;
  throw new RequestError('not_found', 'connection_not_found', 'They are not connected.', { field: 'destinationId' });
}

async function findComputation(db: Queryable, workspaceId: string, computationId: string): Promise<ComputationRow> {
  const { rows } = await db.query<ComputationRow>(
    'select id, space_id, kind, name from computations where id = $1 and workspace_id = $2 and deleted_at is null',
    [computationId, workspaceId],
  );
  const [row] = rows;
  if (row !== undefined) return row;
  throw new RequestError('not_found', 'computation_not_found', `There is no audience or trait ${computationId}.`, {
    field: 'computationId',
  });
}

/**
 * An audience's settings after a change: what is given, with the masks in it put back to the secrets there were; left away, those
 * of the connection that comes back.
 */
async function mergeConnectionSettings(
  tx: Transaction,
  deps: SecretDeps,
  computation: ComputationRow,
  destination: DestinationRow,
  existing: ConnectionRow | undefined,
  { audienceSettings: given, secrets }: ConnectInput,
): Promise<JsonObject> {
  const { slug } = destination;
  const current = existing === undefined ? {} : openAudienceSettings(deps.secretBox, existing);
  if (given === undefined) return checkConnectionSettings(slug, computation, current);
  const shown = maskAudienceSettings(slug, current);
  const settings = checkConnectionSettings(
    slug,
    computation,
    keepMasked(given, current, shown, 'audienceSettings') as JsonObject,
  );
  const definition = getDefinition(slug);
  const change = {
    path: 'audienceSettings',
    given,
    before: audienceSettingsOf(definition, current),
    after: audienceSettingsOf(definition, settings),
  };
  requireSecrets([change]);
  const own = settingsOf(definition, openSettings(deps.secretBox, destination));
  const subscriptions = await findSubscriptions(tx, deps, [destination.id]);
  requireDestinationSecrets(change, [
    { path: 'settings', given: secrets, before: own, after: own },
    ...subscriptions.map((subscription, at) => {
      const mapping = mappingOf(definition, subscription);
      return { path: `subscriptions[${at}].mapping`, given: secrets, before: mapping, after: mapping };
    }),
  ]);
  return settings;
}

function checkConnectionSettings(slug: string, computation: ComputationRow, settings: JsonObject): JsonObject {
  if (computation.kind === 'audience') return checkAudienceSettings(getDefinition(slug), settings);
  if (Object.keys(settings).length === 0) return settings;
  throw new RequestError(
    'invalid',
    'settings_invalid',
    'audienceSettings are for audiences; this is a computed trait.',
    {
      field: 'audienceSettings',
    },
  );
}

function toView({ secretBox }: SecretDeps, row: ConnectionRow): ConnectionView {
  return {
    id: row.id,
    computationId: row.computation_id,
    destinationId: row.destination_id,
    destinationName: row.destination_name,
    slug: row.slug,
    audienceSettings: maskAudienceSettings(row.slug, openAudienceSettings(secretBox, row)),
    externalAudienceId: row.external_audience_id,
    syncedVersion: row.synced_version,
    syncedAt: row.synced_at?.toISOString() ?? null,
    createdAt: row.created_at.toISOString(),
  };
}

async function record(
  tx: Transaction,
  input: { workspaceId: string; actor: Actor },
  computation: ComputationRow,
  change: 'added' | 'updated' | 'removed',
  before: ConnectionView | null,
  after: ConnectionView | null,
  changedSettings?: string[],
): Promise<void> {
  const shown = after ?? before;
  await recordAuditEvent(tx, {
    workspaceId: input.workspaceId,
    spaceId: computation.space_id,
    type: EVENTS[computation.kind][change],
    actor: input.actor,
    resource: { type: computation.kind, id: computation.id, name: computation.name },
    details: {
      connectionId: shown?.id,
      destinationId: shown?.destinationId,
      destinationName: shown?.destinationName,
      ...(changedSettings === undefined ? {} : { changedSettings }),
    },
    before,
    after,
  });
}
