import type { SecretBox } from '../security/index.ts';
import { inTransaction, type PostgresPool, type Queryable } from '../store/index.ts';
import type { JsonObject } from './actions-core.ts';
import { getDefinition } from './definitions.ts';
import {
  maskAudienceSettings,
  openSettings,
  sealAudienceSettings,
  sealMapping,
  openMapping,
  type SealedSubscription,
} from './rows.ts';
import { mappingOf, secretsOf, showMarked } from './secrets.ts';

const CHUNK = 200;

/**
 * Encrypts mappings and audience settings that an older version left in plain. Cheap where there are none. Returns how many rows
 * it sealed.
 */
export async function sealStoredSettings(pool: PostgresPool, secretBox: SecretBox): Promise<number> {
  const mappings = await inChunks(pool, async (tx) => {
    const { rows } = await tx.query<{ id: string; mapping: JsonObject }>(
      'select id, mapping from subscriptions where mapping_box is null limit $1 for update',
      [CHUNK],
    );
    for (const { id, mapping } of rows) {
      await tx.query('update subscriptions set mapping = null, mapping_box = $2 where id = $1', [
        id,
        sealMapping(secretBox, id, mapping),
      ]);
    }
    return rows.length;
  });
  const audiences = await inChunks(pool, async (tx) => {
    const { rows } = await tx.query<{ id: string; audience_settings: JsonObject }>(
      'select id, audience_settings from connections where audience_settings_box is null limit $1 for update',
      [CHUNK],
    );
    for (const { id, audience_settings: settings } of rows) {
      await tx.query('update connections set audience_settings = null, audience_settings_box = $2 where id = $1', [
        id,
        sealAudienceSettings(secretBox, id, settings),
      ]);
    }
    return rows.length;
  });
  return mappings + audiences;
}

async function inChunks(pool: PostgresPool, seal: (tx: Queryable) => Promise<number>): Promise<number> {
  for (let sealed = 0; ;) {
    const rows = await inTransaction(pool, seal);
    sealed += rows;
    if (rows < CHUNK) return sealed;
  }
}

/**
 * The secrets of every destination there is or was, as far as they open; of a deleted one only what an older version kept of its
 * mappings. For looking whether they stand somewhere else too.
 */
export async function* readStoredSecrets(
  db: Queryable,
  secretBox: SecretBox,
): AsyncGenerator<{ destinationId: string; secrets: string[] }> {
  const { rows } = await db.query<{ id: string; slug: string; settings_box: Buffer }>(
    'select id, slug, settings_box from destinations order by id',
  );
  for (const row of rows) {
    try {
      const settings = row.settings_box.length === 0 ? {} : openSettings(secretBox, row);
      const sealed = await db.query<SealedSubscription & { action: string }>(
        `select id, action, mapping, mapping_box from subscriptions
         where destination_id = $1 and mapping_box is distinct from ''`,
        [row.id],
      );
      const subscriptions = sealed.rows.map((one) => ({ action: one.action, mapping: openMapping(secretBox, one) }));
      yield { destinationId: row.id, secrets: secretsOf({ slug: row.slug, settings, subscriptions }) };
    } catch {
      // It does not open, or its definition is gone: then nobody here knows its secrets.
    }
  }
}

/** Takes away what an older version kept of the mappings of destinations that were deleted. */
export async function dropDeletedMappings(db: Queryable): Promise<void> {
  await db.query(
    `update subscriptions s set mapping = null, mapping_box = ''
     from destinations d where d.id = s.destination_id and d.deleted_at is not null and s.mapping_box is distinct from ''`,
  );
}

/**
 * What an audit event told of a destination, a subscription or a connection (its `before` or `after`), with the secrets masked
 * that an older version left in it. `slug` is that of the destination.
 */
export function maskStoredView(slug: string, view: JsonObject): JsonObject {
  const definition = getDefinition(slug);
  const masked = { ...view };
  const { subscriptions, mapping, action, audienceSettings } = view;
  if (Array.isArray(subscriptions)) {
    masked['subscriptions'] = subscriptions.map((one) => maskStoredView(slug, one as JsonObject));
  }
  if (isObject(mapping) && typeof action === 'string') {
    masked['mapping'] = showMarked(mappingOf(definition, { action, mapping }));
  }
  if (isObject(audienceSettings)) masked['audienceSettings'] = maskAudienceSettings(slug, audienceSettings);
  return masked;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
