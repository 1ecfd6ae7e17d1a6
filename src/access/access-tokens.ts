import { recordAuditEvent, type Actor } from '../audit/index.ts';
import { RequestError } from '../errors.ts';
import { hashToken, looksLikeToken, randomToken } from '../security/index.ts';
import { newId, type Queryable } from '../store/index.ts';
import { checkName } from './names.ts';
import type { Plan, Principal, Role } from './principal.ts';

export interface AccessTokenRow {
  id: string;
  workspace_id: string;
  name: string;
  role: Role;
  created_by: string;
  created_at: Date;
  last_used_at: Date | null;
  revoked_at: Date | null;
}

const COLUMNS = 'id, workspace_id, name, role, created_by, created_at, last_used_at, revoked_at';
export const TOKEN_PREFIX = 'tm_token_';

/** Creates an access token. Its secret is in this answer and nowhere else: only a hash of it is kept. Throws 'name_invalid'. */
export async function createAccessToken(
  tx: Queryable,
  input: { workspaceId: string; name: string; role: Role; actor: Actor },
): Promise<{ id: string; token: string }> {
  const name = checkName(input.name);
  const id = newId('accessToken');
  const token = randomToken(TOKEN_PREFIX);
  await tx.query(
    'insert into access_tokens (id, workspace_id, name, role, token_hash, created_by) values ($1, $2, $3, $4, $5, $6)',
    [id, input.workspaceId, name, input.role, hashToken(token), input.actor.id],
  );
  await recordAuditEvent(tx, {
    workspaceId: input.workspaceId,
    type: 'Access Token Created',
    actor: input.actor,
    resource: { type: 'access_token', id, name },
    after: { name, role: input.role },
  });
  return { id, token };
}

/** The access tokens of a workspace, newest first, the revoked ones too. */
export async function listAccessTokens(db: Queryable, workspaceId: string): Promise<AccessTokenRow[]> {
  const { rows } = await db.query<AccessTokenRow>(
    `select ${COLUMNS} from access_tokens where workspace_id = $1 order by created_at desc, id desc`,
    [workspaceId],
  );
  return rows;
}

/** Revokes an access token for good; once more changes nothing. Throws 'access_token_not_found'. */
export async function revokeAccessToken(
  tx: Queryable,
  input: { workspaceId: string; tokenId: string; actor: Actor },
): Promise<AccessTokenRow> {
  const { rows } = await tx.query<AccessTokenRow>(
    `select ${COLUMNS} from access_tokens where workspace_id = $1 and id = $2 for update`,
    [input.workspaceId, input.tokenId],
  );
  const [before] = rows;
  if (before === undefined) {
    throw new RequestError('not_found', 'access_token_not_found', 'There is no such access token in this workspace.');
  }
  if (before.revoked_at !== null) return before;
  const updated = await tx.query<AccessTokenRow>(
    `update access_tokens set revoked_at = now() where workspace_id = $1 and id = $2 returning ${COLUMNS}`,
    [input.workspaceId, input.tokenId],
  );
  await recordAuditEvent(tx, {
    workspaceId: input.workspaceId,
    type: 'Access Token Revoked',
    actor: input.actor,
    resource: { type: 'access_token', id: before.id, name: before.name },
    before: { revoked: false },
    after: { revoked: true },
  });
  return updated.rows[0] ?? before;
}

/** The principal of an access token; null where the token is unknown or revoked. */
export async function authenticateToken(db: Queryable, token: string): Promise<Principal | null> {
  if (!looksLikeToken(TOKEN_PREFIX, token)) return null;
  const { rows } = await db.query<{
    id: string;
    workspace_id: string;
    name: string;
    role: Role;
    plan: Plan;
    stale: boolean;
  }>(
    `select t.id, t.workspace_id, t.name, t.role, w.plan,
            t.last_used_at is null or t.last_used_at < now() - interval '1 minute' as stale
     from access_tokens t join workspaces w on w.id = t.workspace_id
     where t.token_hash = $1 and t.revoked_at is null`,
    [hashToken(token)],
  );
  const [row] = rows;
  if (row === undefined) return null;
  // At most one write a minute: a busy token must not make every request an update.
  if (row.stale) await db.query('update access_tokens set last_used_at = now() where id = $1', [row.id]);
  return {
    actor: { kind: 'token', id: row.id, name: row.name },
    workspaceId: row.workspace_id,
    role: row.role,
    plan: row.plan,
  };
}
