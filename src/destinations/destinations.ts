import { checkName } from '../access/index.ts';
import { recordAuditEvent, type Actor } from '../audit/index.ts';
import { RequestError } from '../errors.ts';
import { keepMasked } from '../security/index.ts';
import { newId, type Queryable, type Transaction } from '../store/index.ts';
import type { JsonObject } from './actions-core/actions-core.ts';
import { UNCHECKED } from './catalogue/catalogue.ts';
import { closeCircuit } from './circuit/circuit.ts';
import { getDefinition, type Definition } from './catalogue/definitions.ts';
import type { DestinationDeps } from './deps.ts';
import {
  findDestination,
  findDestinations,
  findSubscriptions,
  openSettings,
  sealSettings,
  toDestinationView,
  type DestinationView,
} from './rows.ts';
import { changedKeys } from './settings/changed-keys.ts';
import { requireSecrets } from './settings/address-change.ts';
import { mappingOf, settingsOf } from './settings/secrets.ts';
import { checkSettings, mergeSettings } from './settings/settings.ts';
import { checkSubscriptions, type SubscriptionInput } from './settings/subscriptions.ts';
import { draftSubscriptions, insertSubscriptions, replaceSubscriptions } from './settings/write-subscriptions.ts';

export interface CreateDestinationInput {
  workspaceId: string;
  spaceId: string;
  actor: Actor;
  /** `webhook`, or Segment's own `actions-webhook`. */
  slug: string;
  name?: string | undefined;
  enabled?: boolean | undefined;
  settings?: JsonObject | undefined;
  /** Left away: what the definition suggests for audiences and traits. */
  subscriptions?: readonly SubscriptionInput[] | undefined;
}

export interface UpdateDestinationInput {
  workspaceId: string;
  destinationId: string;
  actor: Actor;
  name?: string | undefined;
  enabled?: boolean | undefined;
  /** Laid over the settings that there are; `null` takes one away, a masked secret stays as it is. */
  settings?: JsonObject | undefined;
  /** Syncs that are under way at once. */
  maxSyncs?: number | undefined;
  /** All of them: takes the place of those that there are. With an `id` it changes that one. */
  subscriptions?: readonly (SubscriptionInput & { id?: string | undefined })[] | undefined;
}

/**
 * Makes a destination, with its settings encrypted, and its subscriptions. Throws a RequestError that names the field:
 * `slug`, `spaceId`, `name`, `settings.apiKey`, `subscriptions[0].trigger`, `subscriptions[0].mapping.url`.
 */
export async function createDestination(
  tx: Transaction,
  deps: DestinationDeps,
  input: CreateDestinationInput,
): Promise<DestinationView> {
  const definition = getDefinition(input.slug);
  refuseUnchecked(deps, definition);
  const settings = checkSettings(definition, mergeSettings(definition, {}, input.settings ?? {}));
  const drafts = checkSubscriptions(definition, unmasked(input.subscriptions));
  const name = checkName(input.name ?? definition.name);
  const space = await tx.query('select from spaces where id = $1 and workspace_id = $2', [
    input.spaceId,
    input.workspaceId,
  ]);
  if (space.rowCount === 0) {
    throw new RequestError('not_found', 'space_not_found', `There is no space ${input.spaceId}.`, { field: 'spaceId' });
  }
  const id = newId('destination');
  await tx.query(
    `insert into destinations (id, workspace_id, space_id, slug, name, enabled, settings_box)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      id,
      input.workspaceId,
      input.spaceId,
      definition.slug,
      name,
      input.enabled ?? true,
      sealSettings(deps.secretBox, id, settings),
    ],
  );
  await insertSubscriptions(tx, deps, id, drafts);
  const after = await getDestination(tx, deps, input.workspaceId, id);
  await recordAuditEvent(tx, {
    workspaceId: input.workspaceId,
    spaceId: input.spaceId,
    type: 'Destination Created',
    actor: input.actor,
    resource: { type: 'destination', id, name },
    after,
  });
  return after;
}

/** A destination. Throws a RequestError: not_found, also where it belongs to another workspace. */
export async function getDestination(
  db: Queryable,
  deps: DestinationDeps,
  workspaceId: string,
  destinationId: string,
): Promise<DestinationView> {
  const row = await findDestination(db, workspaceId, destinationId);
  return toDestinationView(deps, row, await findSubscriptions(db, deps, [row.id]));
}

/** The destinations of a workspace, or of one of its spaces. */
export async function listDestinations(
  db: Queryable,
  deps: DestinationDeps,
  workspaceId: string,
  options: { spaceId?: string | undefined } = {},
): Promise<DestinationView[]> {
  const rows = await findDestinations(db, workspaceId, options.spaceId);
  const ids = rows.map((row) => row.id);
  const subscriptions = await findSubscriptions(db, deps, ids);
  return rows.map((row) => toDestinationView(deps, row, subscriptions));
}

/**
 * Changes a destination; what is left away stays. One audit event for each thing that really changed: modified (name, settings, cap),
 * enabled or disabled, and one for each of its subscriptions. Throws a RequestError that names the field.
 */
export async function updateDestination(
  tx: Transaction,
  deps: DestinationDeps,
  input: UpdateDestinationInput,
): Promise<DestinationView> {
  const row = await findDestination(tx, input.workspaceId, input.destinationId, 'for no key update');
  const definition = getDefinition(row.slug);
  const subscriptions = await findSubscriptions(tx, deps, [row.id]);
  const before = toDestinationView(deps, row, subscriptions);
  const current = openSettings(deps.secretBox, row);
  const settings =
    input.settings === undefined
      ? current
      : checkSettings(definition, mergeSettings(definition, current, input.settings));
  const drafts =
    input.subscriptions === undefined ? null : draftSubscriptions(definition, subscriptions, input.subscriptions);
  const changedMappings =
    drafts === null
      ? subscriptions.map((one, at) => {
          const mapping = mappingOf(definition, one);
          return { path: `subscriptions[${at}].mapping`, given: undefined, before: mapping, after: mapping };
        })
      : drafts.map((draft, at) => ({
          path: `subscriptions[${at}].mapping`,
          given: input.subscriptions?.[at]?.mapping,
          before: draft.before === null ? null : mappingOf(definition, draft.before),
          after: mappingOf(definition, draft),
          moved: draft.before !== null && draft.before.action !== draft.action,
        }));
  requireSecrets([
    {
      path: 'settings',
      given: input.settings,
      before: settingsOf(definition, current),
      after: settingsOf(definition, settings),
    },
    ...changedMappings,
  ]);
  const name = input.name === undefined ? row.name : checkName(input.name);
  const enabled = input.enabled ?? row.enabled;
  const maxSyncs = input.maxSyncs ?? row.max_syncs;
  if (enabled) refuseUnchecked(deps, definition);
  await tx.query(
    `update destinations set name = $2, enabled = $3, settings_box = $4, max_syncs = $5, updated_at = clock_timestamp()
     where id = $1`,
    [row.id, name, enabled, sealSettings(deps.secretBox, row.id, settings), maxSyncs],
  );
  const resource = { type: 'destination' as const, id: row.id, name };
  const event = { workspaceId: row.workspace_id, spaceId: row.space_id, actor: input.actor, resource };
  const resubscribed =
    drafts !== null && (await replaceSubscriptions(tx, deps, event, definition, { old: subscriptions, drafts }));
  const changedSettings = changedKeys(current, settings);
  // Syncs that are under way stop before their next request, and go on under what there is now.
  if (resubscribed || changedSettings.length > 0 || enabled !== row.enabled) {
    await tx.query('update destinations set revision = revision + 1 where id = $1', [row.id]);
  }
  const after = await getDestination(tx, deps, input.workspaceId, row.id);
  const views = { before, after };
  if (name !== row.name || maxSyncs !== row.max_syncs || changedSettings.length > 0) {
    await recordAuditEvent(tx, { ...event, type: 'Destination Modified', details: { changedSettings }, ...views });
  }
  if (enabled !== row.enabled) {
    await recordAuditEvent(tx, { ...event, type: enabled ? 'Destination Enabled' : 'Destination Disabled', ...views });
  }
  // Whoever has just corrected the address need not wait until it would be tried again.
  if (changedSettings.length > 0 || input.subscriptions !== undefined || (enabled && !row.enabled)) {
    const destination = { id: row.id, workspaceId: row.workspace_id, spaceId: row.space_id, name };
    await closeCircuit(tx, destination, input.actor, 'settings_changed');
  }
  return after;
}

/**
 * Deletes a destination: its secrets are gone at once, its connections end, and a sync of it that is under way ends as cancelled. Its row
 * stays for what tells of it. `endConnections` is connections' own, which know destinations and not the
 * other way round; it returns the computations that were connected. Throws a RequestError: not_found.
 */
export async function deleteDestination(
  tx: Transaction,
  deps: DestinationDeps,
  input: { workspaceId: string; destinationId: string; actor: Actor },
  endConnections: (tx: Transaction, destinationId: string) => Promise<string[]>,
): Promise<void> {
  const row = await findDestination(tx, input.workspaceId, input.destinationId, 'for no key update');
  const before = toDestinationView(deps, row, await findSubscriptions(tx, deps, [row.id]));
  const disconnectedComputations = await endConnections(tx, row.id);
  await tx.query(
    `update destinations set deleted_at = clock_timestamp(), enabled = false, settings_box = '' where id = $1`,
    [row.id],
  );
  await tx.query(`update subscriptions set mapping_box = '' where destination_id = $1`, [row.id]);
  await recordAuditEvent(tx, {
    workspaceId: row.workspace_id,
    spaceId: row.space_id,
    type: 'Destination Deleted',
    actor: input.actor,
    resource: { type: 'destination', id: row.id, name: row.name },
    details: { disconnectedComputations },
    before,
  });
}

/** Throws a RequestError where a mapping that is new has a mask in it, which stands for no secret. */
function unmasked(inputs: readonly SubscriptionInput[] | undefined): readonly SubscriptionInput[] | undefined {
  for (const [at, { mapping }] of (inputs ?? []).entries()) {
    keepMasked(mapping, undefined, undefined, `subscriptions[${at}].mapping`);
  }
  return inputs;
}

function refuseUnchecked(deps: DestinationDeps, definition: Definition): void {
  if (deps.allowPrivateAddresses || !UNCHECKED.has(definition.slug)) return;
  throw new RequestError(
    'invalid',
    'destination_unchecked',
    `${definition.name} connects by a client of its own, past the check of addresses. It is there where the installation allows private addresses: TRAILMARK_ALLOW_PRIVATE_ADDRESSES=on.`,
    { field: 'slug' },
  );
}
