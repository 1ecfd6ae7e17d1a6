import { checkName, checkSlug } from '../../access/index.ts';
import { recordAuditEvent, type Actor, type AuditEventType } from '../../audit/index.ts';
import { RequestError } from '../../errors.ts';
import type { SecretBox } from '../../security/index.ts';
import { newId, type Queryable } from '../../store/index.ts';
import { getSource, shownSource, SOURCE_COLUMNS, type SourceRow } from './source-row.ts';
import { insertWriteKey, type WriteKeyView } from './write-keys.ts';

/** Creates a source with its first write key. Throws 'slug_invalid', 'slug_taken' or 'name_invalid'. */
export async function createSource(
  tx: Queryable,
  secretBox: SecretBox,
  input: { workspaceId: string; slug: string; name: string; actor: Actor },
): Promise<{ source: SourceRow; writeKey: WriteKeyView }> {
  const slug = checkSlug(input.slug);
  const name = checkName(input.name);
  const { rows } = await tx.query<SourceRow>(
    `insert into sources (id, workspace_id, slug, name) values ($1, $2, $3, $4)
     on conflict (workspace_id, slug) where deleted_at is null do nothing returning ${SOURCE_COLUMNS}`,
    [newId('source'), input.workspaceId, slug, name],
  );
  const [source] = rows;
  if (source === undefined) {
    throw new RequestError('conflict', 'slug_taken', `The slug "${slug}" is taken: choose another one.`, {
      field: 'slug',
    });
  }
  await recordChange(tx, 'Source Created', source, input.actor, { after: shownSource(source) });
  return { source, writeKey: await insertWriteKey(tx, secretBox, source, input.actor) };
}

/** The sources of a workspace that are not deleted, oldest first. */
export async function listSources(db: Queryable, workspaceId: string): Promise<SourceRow[]> {
  const { rows } = await db.query<SourceRow>(
    `select ${SOURCE_COLUMNS} from sources where workspace_id = $1 and deleted_at is null order by created_at, id`,
    [workspaceId],
  );
  return rows;
}

/**
 * Renames, enables or disables a source; a disabled one refuses events (see outlastAppends). What is already as asked is no change and leaves no
 * record. Throws 'source_not_found' or 'name_invalid'.
 */
export async function updateSource(
  tx: Queryable,
  input: { workspaceId: string; sourceId: string; name?: string; enabled?: boolean; actor: Actor },
): Promise<SourceRow> {
  const before = await getSource(tx, input.workspaceId, input.sourceId, { lock: true });
  const after: SourceRow = {
    ...before,
    name: input.name === undefined ? before.name : checkName(input.name),
    enabled: input.enabled ?? before.enabled,
  };
  if (after.name === before.name && after.enabled === before.enabled) return before;
  await tx.query('update sources set name = $3, enabled = $4 where workspace_id = $1 and id = $2', [
    after.workspace_id,
    after.id,
    after.name,
    after.enabled,
  ]);
  if (after.name !== before.name) {
    await recordChange(tx, 'Source Modified', after, input.actor, {
      before: { name: before.name },
      after: { name: after.name },
    });
  }
  if (after.enabled !== before.enabled) {
    await recordChange(tx, after.enabled ? 'Source Enabled' : 'Source Disabled', after, input.actor, {
      before: { enabled: before.enabled },
      after: { enabled: after.enabled },
    });
  }
  return after;
}

/**
 * Deletes a source and revokes its write keys. What it has sent so far stays, and what is still in the event log is loaded:
 * it was acknowledged. See outlastAppends. Throws 'source_not_found'.
 */
export async function deleteSource(
  tx: Queryable,
  input: { workspaceId: string; sourceId: string; actor: Actor },
): Promise<void> {
  const before = await getSource(tx, input.workspaceId, input.sourceId, { lock: true });
  await tx.query('update sources set deleted_at = now() where workspace_id = $1 and id = $2', [
    before.workspace_id,
    before.id,
  ]);
  await tx.query('update write_keys set revoked_at = now() where source_id = $1 and revoked_at is null', [before.id]);
  await recordChange(tx, 'Source Deleted', before, input.actor, { before: shownSource(before) });
}

async function recordChange(
  tx: Queryable,
  type: AuditEventType,
  source: SourceRow,
  actor: Actor,
  change: { before?: Record<string, unknown>; after?: Record<string, unknown> },
): Promise<void> {
  await recordAuditEvent(tx, {
    workspaceId: source.workspace_id,
    type,
    actor,
    resource: { type: 'source', id: source.id, name: source.name },
    ...change,
  });
}
