import { RequestError } from '../errors.ts';
import type { SecretBox } from '../security/index.ts';
import { jsonText, type Queryable } from '../store/index.ts';
import type { JsonObject } from './actions-core/actions-core.ts';
import { getDefinition, type Definition } from './catalogue/definitions.ts';
import type { DestinationDeps } from './deps.ts';
import { audienceSettingsOf, mappingOf, showMarked } from './settings/secrets.ts';
import { maskSettings } from './settings/settings.ts';

export interface DestinationRow {
  id: string;
  workspace_id: string;
  space_id: string;
  slug: string;
  name: string;
  enabled: boolean;
  settings_box: Buffer;
  max_syncs: number;
  created_at: Date;
  updated_at: Date;
}

/** A subscription with its mapping opened: never shown, never logged. */
export interface Subscription {
  id: string;
  destinationId: string;
  name: string;
  action: string;
  trigger: string;
  mapping: JsonObject;
  enabled: boolean;
}

/** A subscription as people see it: the secrets in its mapping masked. */
export interface SubscriptionView {
  id: string;
  name: string;
  action: string;
  trigger: string;
  mapping: JsonObject;
  enabled: boolean;
}

/** A destination as people see it: secrets masked. */
export interface DestinationView {
  id: string;
  spaceId: string;
  slug: string;
  /** What kind it is, in words: `Webhook`. */
  definitionName: string;
  name: string;
  enabled: boolean;
  settings: JsonObject;
  /** Syncs that are under way at once; what is over it waits for its turn. */
  maxSyncs: number;
  subscriptions: SubscriptionView[];
  createdAt: string;
  updatedAt: string;
}

const DESTINATION_COLUMNS =
  'id, workspace_id, space_id, slug, name, enabled, settings_box, max_syncs, created_at, updated_at';

/** The row of a destination, locked until the transaction ends if asked for. Throws a RequestError: not_found. */
export async function findDestination(
  db: Queryable,
  workspaceId: string,
  destinationId: string,
  lock: '' | 'for no key update' = '',
): Promise<DestinationRow> {
  const { rows } = await db.query<DestinationRow>(
    `select ${DESTINATION_COLUMNS} from destinations where id = $1 and workspace_id = $2 and deleted_at is null ${lock}`,
    [destinationId, workspaceId],
  );
  const [row] = rows;
  if (row !== undefined) return row;
  throw new RequestError('not_found', 'destination_not_found', `There is no destination ${destinationId}.`, {
    field: 'destinationId',
  });
}

/** The rows of a workspace's destinations, or of one of its spaces, oldest first. */
export async function findDestinations(
  db: Queryable,
  workspaceId: string,
  spaceId: string | undefined,
): Promise<DestinationRow[]> {
  const { rows } = await db.query<DestinationRow>(
    `select ${DESTINATION_COLUMNS} from destinations
     where workspace_id = $1 and ($2::text is null or space_id = $2) and deleted_at is null order by id`,
    [workspaceId, spaceId ?? null],
  );
  return rows;
}

/** These destinations' subscriptions, in the order in which they were made. */
export async function findSubscriptions(
  db: Queryable,
  { secretBox }: Pick<DestinationDeps, 'secretBox'>,
  destinationIds: readonly string[],
): Promise<Subscription[]> {
  const { rows } = await db.query<
    SealedSubscription & Omit<Subscription, 'mapping' | 'destinationId'> & { destination_id: string }
  >(
    `select id, destination_id, name, action, trigger, mapping_box, enabled
     from subscriptions where destination_id = any($1) order by created_at, id`,
    [destinationIds],
  );
  return rows.map(({ destination_id: destinationId, mapping_box, ...row }) => ({
    ...row,
    destinationId,
    mapping: openMapping(secretBox, { id: row.id, mapping_box }),
  }));
}

/** A mapping as it is kept: in its box. */
export interface SealedSubscription {
  id: string;
  mapping_box: Buffer;
}

/** Mappings are one box each, bound to the subscription's id. */
export function sealMapping(secretBox: SecretBox, subscriptionId: string, mapping: JsonObject): Buffer {
  return secretBox.seal(jsonText(mapping), subscriptionId);
}

/** Throws where the box does not open. */
export function openMapping(secretBox: SecretBox, row: SealedSubscription): JsonObject {
  return JSON.parse(secretBox.open(row.mapping_box, row.id)) as JsonObject;
}

/** The settings of an audience at its destination, as they are kept: see SealedSubscription. */
export interface SealedAudienceSettings {
  /** The connection's. */
  id: string;
  audience_settings_box: Buffer;
}

export function sealAudienceSettings(secretBox: SecretBox, connectionId: string, settings: JsonObject): Buffer {
  return secretBox.seal(jsonText(settings), connectionId);
}

/** Throws where the box does not open. */
export function openAudienceSettings(secretBox: SecretBox, row: SealedAudienceSettings): JsonObject {
  return JSON.parse(secretBox.open(row.audience_settings_box, row.id)) as JsonObject;
}

/** The settings of an audience as people may see them. */
export function maskAudienceSettings(slug: string, settings: JsonObject): JsonObject {
  return showMarked(audienceSettingsOf(getDefinition(slug), settings));
}

/** Settings are one box, bound to the destination's id. */
export function sealSettings(secretBox: SecretBox, destinationId: string, settings: JsonObject): Buffer {
  return secretBox.seal(JSON.stringify(settings), destinationId);
}

export function openSettings(secretBox: SecretBox, row: Pick<DestinationRow, 'id' | 'settings_box'>): JsonObject {
  return JSON.parse(secretBox.open(row.settings_box, row.id)) as JsonObject;
}

export function toDestinationView(
  deps: DestinationDeps,
  row: DestinationRow,
  subscriptions: readonly Subscription[],
): DestinationView {
  const definition = getDefinition(row.slug);
  return {
    id: row.id,
    spaceId: row.space_id,
    slug: row.slug,
    definitionName: definition.name,
    name: row.name,
    enabled: row.enabled,
    settings: maskSettings(definition, openSettings(deps.secretBox, row)),
    maxSyncs: row.max_syncs,
    subscriptions: subscriptions.flatMap((one) =>
      one.destinationId === row.id ? [toSubscriptionView(definition, one)] : [],
    ),
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

export function toSubscriptionView(
  definition: Definition,
  subscription: Omit<Subscription, 'destinationId'>,
): SubscriptionView {
  const { id, name, action, trigger, enabled } = subscription;
  return { id, name, action, trigger, mapping: showMarked(mappingOf(definition, subscription)), enabled };
}
