import { recordAuditEvent, type Actor } from '../../audit/index.ts';
import { RequestError } from '../../errors.ts';
import { hashToken, looksLikeToken, randomToken, type SecretBox } from '../../security/index.ts';
import { newId, type Queryable } from '../../store/index.ts';
import { getSource, type SourceRow } from './source-row.ts';

/** A write key as an owner sees it. The key itself is null once it is revoked. */
export interface WriteKeyView {
  id: string;
  sourceId: string;
  writeKey: string | null;
  createdAt: Date;
  revokedAt: Date | null;
}

interface WriteKeyRow {
  id: string;
  source_id: string;
  key_box: Buffer;
  created_at: Date;
  revoked_at: Date | null;
}

const COLUMNS = 'id, source_id, key_box, created_at, revoked_at';
const PREFIX = 'tm_write_';

/** Whether a text can be a write key at all: nothing else is worth a look-up, or a place in memory. */
export function isWriteKey(text: string): boolean {
  return looksLikeToken(PREFIX, text);
}

/** Creates a further write key for a source, say to replace one without a gap. Throws 'source_not_found'. */
export async function createWriteKey(
  tx: Queryable,
  secretBox: SecretBox,
  input: { workspaceId: string; sourceId: string; actor: Actor },
): Promise<WriteKeyView> {
  const source = await getSource(tx, input.workspaceId, input.sourceId, { lock: true });
  return await insertWriteKey(tx, secretBox, source, input.actor);
}

/** The second half of createWriteKey: for a source that the caller has read, or just made. */
export async function insertWriteKey(
  tx: Queryable,
  secretBox: SecretBox,
  source: SourceRow,
  actor: Actor,
): Promise<WriteKeyView> {
  const id = newId('writeKey');
  const key = randomToken(PREFIX);
  const { rows } = await tx.query<WriteKeyRow>(
    `insert into write_keys (id, source_id, key_hash, key_box) values ($1, $2, $3, $4) returning ${COLUMNS}`,
    [id, source.id, hashToken(key), secretBox.seal(key, id)],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('insert … returning gave no row');
  await recordAuditEvent(tx, {
    workspaceId: source.workspace_id,
    type: 'Source Write Key Created',
    actor,
    resource: { type: 'write_key', id, name: `Write key of ${source.name}` },
    details: { sourceId: source.id },
    after: { writeKey: masked(key), revoked: false },
  });
  return toView(row, secretBox);
}

/** The write keys of a source with what they are, newest first, the revoked ones too. For owners only. Throws 'source_not_found'. */
export async function listWriteKeys(
  db: Queryable,
  secretBox: SecretBox,
  input: { workspaceId: string; sourceId: string },
): Promise<WriteKeyView[]> {
  const source = await getSource(db, input.workspaceId, input.sourceId);
  const { rows } = await db.query<WriteKeyRow>(
    `select ${COLUMNS} from write_keys where source_id = $1 order by created_at desc, id desc`,
    [source.id],
  );
  return rows.map((row) => toView(row, secretBox));
}

/** Revokes a write key for good; once more changes nothing. See outlastAppends. Throws 'source_not_found' or 'write_key_not_found'. */
export async function revokeWriteKey(
  tx: Queryable,
  secretBox: SecretBox,
  input: { workspaceId: string; sourceId: string; writeKeyId: string; actor: Actor },
): Promise<WriteKeyView> {
  const source = await getSource(tx, input.workspaceId, input.sourceId);
  const { rows } = await tx.query<WriteKeyRow>(
    `select ${COLUMNS} from write_keys where source_id = $1 and id = $2 for update`,
    [source.id, input.writeKeyId],
  );
  const [before] = rows;
  if (before === undefined) {
    throw new RequestError('not_found', 'write_key_not_found', 'There is no such write key of this source.', {
      field: 'writeKeyId',
    });
  }
  if (before.revoked_at !== null) return toView(before, secretBox);
  const updated = await tx.query<WriteKeyRow>(
    `update write_keys set revoked_at = now() where id = $1 returning ${COLUMNS}`,
    [before.id],
  );
  const shown = masked(secretBox.open(before.key_box, before.id));
  await recordAuditEvent(tx, {
    workspaceId: source.workspace_id,
    type: 'Source Write Key Revoked',
    actor: input.actor,
    resource: { type: 'write_key', id: before.id, name: `Write key of ${source.name}` },
    details: { sourceId: source.id },
    before: { writeKey: shown, revoked: false },
    after: { writeKey: shown, revoked: true },
  });
  return toView(updated.rows[0] ?? before, secretBox);
}

function toView(row: WriteKeyRow, secretBox: SecretBox): WriteKeyView {
  return {
    id: row.id,
    sourceId: row.source_id,
    writeKey: row.revoked_at === null ? secretBox.open(row.key_box, row.id) : null,
    createdAt: row.created_at,
    revokedAt: row.revoked_at,
  };
}

// Enough to tell two keys apart, too little to use one.
function masked(key: string): string {
  return `${PREFIX}…${key.slice(-4)}`;
}
