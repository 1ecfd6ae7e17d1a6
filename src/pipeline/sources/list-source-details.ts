import type { SecretBox } from '../../security/index.ts';
import type { Queryable } from '../../store/index.ts';

/** What hangs on a source. */
export interface SourceDetails {
  /** The keys that let events in, newest first. */
  writeKeys: string[];
  /** The ids of the spaces whose profiles its events go into. */
  spaceIds: string[];
}

/**
 * The details of sources of a workspace, by the source's id: two queries, however many sources. With a null secretBox no
 * write key is read, as for everybody who is not an owner. A source that is deleted, or another workspace's, is left out.
 */
export async function listSourceDetails(
  db: Queryable,
  secretBox: SecretBox | null,
  input: { workspaceId: string; sourceIds: string[] },
): Promise<Map<string, SourceDetails>> {
  const values = [input.workspaceId, input.sourceIds];
  const sources = await db.query<{ id: string; space_ids: string[] }>(
    `select id, array(select space_id from space_sources c where c.source_id = sources.id order by space_id) as space_ids
     from sources where workspace_id = $1 and id = any($2) and deleted_at is null`,
    values,
  );
  const details = new Map<string, SourceDetails>(
    sources.rows.map((row) => [row.id, { writeKeys: [], spaceIds: row.space_ids }]),
  );
  if (secretBox === null) return details;
  const keys = await db.query<{ id: string; source_id: string; key_box: Buffer }>(
    `select k.id, k.source_id, k.key_box from write_keys k join sources on sources.id = k.source_id
     where sources.workspace_id = $1 and k.source_id = any($2) and k.revoked_at is null
     order by k.created_at desc, k.id desc`,
    values,
  );
  for (const key of keys.rows) details.get(key.source_id)?.writeKeys.push(secretBox.open(key.key_box, key.id));
  return details;
}
