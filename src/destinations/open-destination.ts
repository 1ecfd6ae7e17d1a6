import { RequestError, TaskFailure } from '../errors.ts';
import type { Queryable, Transaction } from '../store/index.ts';
import type { JsonObject, OauthTokens } from './actions-core/actions-core.ts';
import { getDefinition } from './catalogue/definitions.ts';
import type { DestinationDeps } from './deps.ts';
import type { OpenDestination, OpenSubscription } from './opened-destination.ts';
import {
  openAudienceSettings,
  openMapping,
  openSettings,
  sealSettings,
  type SealedAudienceSettings,
  type SealedSubscription,
} from './rows.ts';
import { audienceSettingsOf, secretsIn } from './settings/secrets.ts';
import { checkSettings } from './settings/settings.ts';

/**
 * Opens a destination for sending. Throws a TaskFailure: destination_missing where it was deleted or switched off,
 * destination_settings_sealed where its settings don't open, destination_settings_invalid where they don't pass its definition's
 * check any more, or an action that a subscription names is gone.
 */
export async function openDestination(
  db: Queryable,
  deps: DestinationDeps,
  workspaceId: string,
  destinationId: string,
): Promise<OpenDestination> {
  const { rows } = await db.query<{ id: string; slug: string; name: string; settings_box: Buffer }>(
    `select id, slug, name, settings_box from destinations
     where id = $1 and workspace_id = $2 and enabled and deleted_at is null`,
    [destinationId, workspaceId],
  );
  const [row] = rows;
  if (row === undefined) throw new TaskFailure('destination_missing', `no destination ${destinationId} that is on`);
  const sealed = await db.query<Omit<OpenSubscription, 'mapping'> & SealedSubscription>(
    `select id, action, trigger, mapping_box
     from subscriptions where destination_id = $1 and enabled order by created_at, id`,
    [destinationId],
  );
  const settings = openChecked(deps, row);
  const subscriptions = sealed.rows.map(({ mapping_box, ...one }) => ({
    ...one,
    mapping: unseal(`the mapping of ${one.id}`, () => openMapping(deps.secretBox, { id: one.id, mapping_box })),
  }));
  refuseGoneActions(row.slug, subscriptions);
  return { id: row.id, workspaceId, slug: row.slug, name: row.name, settings, subscriptions };
}

/**
 * The settings of an audience at an opened destination, with the secrets among them. Throws a TaskFailure:
 * destination_settings_sealed.
 */
export function openSyncSettings(
  deps: Pick<DestinationDeps, 'secretBox'>,
  destination: Pick<OpenDestination, 'slug'>,
  row: SealedAudienceSettings,
): { audienceSettings: JsonObject; alsoSecret: string[] } {
  const audienceSettings = unseal(`the audience's settings of ${row.id}`, () =>
    openAudienceSettings(deps.secretBox, row),
  );
  const secrets = secretsIn(audienceSettingsOf(getDefinition(destination.slug), audienceSettings));
  return { audienceSettings, alsoSecret: secrets.map(({ value }) => value) };
}

/** An upgrade of Segment's destinations may take an action away, and actions-core says nothing of one that it does not know. */
function refuseGoneActions(slug: string, subscriptions: readonly OpenSubscription[]): void {
  const known = new Set(getDefinition(slug).actions.map(({ key }) => key));
  const gone = subscriptions.find(({ action }) => !known.has(action));
  if (gone === undefined) return;
  throw new TaskFailure('destination_settings_invalid', `${slug} has no action ${gone.action} any more`);
}

function openChecked(deps: DestinationDeps, row: { id: string; slug: string; settings_box: Buffer }): JsonObject {
  const settings = unseal(`the settings of ${row.id}`, () => openSettings(deps.secretBox, row));
  try {
    return checkSettings(getDefinition(row.slug), settings);
  } catch (error) {
    const detail = error instanceof RequestError ? (error.field ?? error.code) : 'the settings were not checked';
    throw new TaskFailure('destination_settings_invalid', detail, { cause: error });
  }
}

/** What opening gives. Throws a TaskFailure: destination_settings_sealed. */
function unseal<T>(what: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw new TaskFailure('destination_settings_sealed', `${what} do not open`, { cause: error });
  }
}

/**
 * Keeps the tokens that an OAuth destination gave in place of expired ones. A person's change that came in between keeps all
 * it said, the tokens alone are replaced. No audit event: nobody changed anything.
 */
export async function keepRefreshedTokens(
  tx: Transaction,
  deps: DestinationDeps,
  destination: Pick<OpenDestination, 'id' | 'workspaceId'>,
  tokens: OauthTokens,
): Promise<void> {
  const { rows } = await tx.query<{ id: string; settings_box: Buffer }>(
    'select id, settings_box from destinations where id = $1 and workspace_id = $2 and deleted_at is null for update',
    [destination.id, destination.workspaceId],
  );
  const [row] = rows;
  if (row === undefined) return;
  const settings = openSettings(deps.secretBox, row);
  const oauth = {
    ...(settings['oauth'] as JsonObject | undefined),
    access_token: tokens.accessToken,
    ...(tokens.refreshToken === undefined ? {} : { refresh_token: tokens.refreshToken }),
  };
  await tx.query('update destinations set settings_box = $2 where id = $1', [
    row.id,
    sealSettings(deps.secretBox, row.id, { ...settings, oauth }),
  ]);
}
