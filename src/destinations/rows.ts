import { RequestError } from '../errors.ts';
import type { SecretBox } from '../security/index.ts';
import type { Queryable } from '../store/index.ts';
import type { JsonObject } from './actions-core.ts';
import { getDefinition } from './definitions.ts';
import type { DestinationDeps } from './deps.ts';
import { MASK, maskSettings } from './settings.ts';

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

export interface SubscriptionRow {
  id: string;
  destination_id: string;
  name: string;
  action: string;
  trigger: string;
  mapping: JsonObject;
  enabled: boolean;
  created_at: Date;
}

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

/** The rows of these destinations' subscriptions, in the order in which they were made. */
export async function findSubscriptions(db: Queryable, destinationIds: readonly string[]): Promise<SubscriptionRow[]> {
  const { rows } = await db.query<SubscriptionRow>(
    `select id, destination_id, name, action, trigger, mapping, enabled, created_at
     from subscriptions where destination_id = any($1) order by created_at, id`,
    [destinationIds],
  );
  return rows;
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
  subscriptions: readonly SubscriptionRow[],
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
    subscriptions: subscriptions.filter((one) => one.destination_id === row.id).map(toSubscriptionView),
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

export function toSubscriptionView(row: SubscriptionRow): SubscriptionView {
  const { id, name, action, trigger, mapping, enabled } = row;
  return { id, name, action, trigger, mapping, enabled };
}

/** For the trail, which is read by more people than a destination's mapping is: headers may hold a token. */
export function toAuditView<View extends DestinationView | SubscriptionView>(view: View): View {
  const masked = (subscription: SubscriptionView): SubscriptionView => {
    const headers = subscription.mapping['headers'];
    if (typeof headers !== 'object' || headers === null) return subscription;
    const hidden = Object.fromEntries(Object.keys(headers).map((name) => [name, MASK]));
    return { ...subscription, mapping: { ...subscription.mapping, headers: hidden } };
  };
  if ('subscriptions' in view) return { ...view, subscriptions: view.subscriptions.map(masked) };
  return { ...view, ...masked(view) };
}
