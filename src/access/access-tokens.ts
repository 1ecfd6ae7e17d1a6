import { recordAuditEvent, type Actor } from '../audit/index.ts';
import { RequestError } from '../errors.ts';
import { hashToken, looksLikeToken, randomToken } from '../security/index.ts';
import { newId, type PostgresPool, type Queryable } from '../store/index.ts';
import { checkName } from './names.ts';
import type { Plan, Principal, Role } from './principal.ts';
import { recordSupportEntry } from './support-entry.ts';

export interface AccessTokenRow {
  id: string;
  workspace_id: string;
  name: string;
  role: Role;
  created_by: string;
  created_at: Date;
  last_used_at: Date | null;
  revoked_at: Date | null;
  /** When it ends by itself; null for never. */
  expires_at: Date | null;
}

const COLUMNS = 'id, workspace_id, name, role, created_by, created_at, last_used_at, revoked_at, expires_at';
/** So long lives a token of support at most: for a tool that is used now, and not for one that stays. */
const SUPPORT_TOKEN_HOURS = 12;
export const TOKEN_PREFIX = 'tm_token_';

/**
 * Creates an access token. Its secret is in this answer and nowhere else: only a hash of it is kept. It is worth as much as whoever
 * made it may still do, and one of support ends after twelve hours, or with the session it was made in. Throws 'name_invalid'.
 */
export async function createAccessToken(
  tx: Queryable,
  input: { workspaceId: string; name: string; role: Role; actor: Actor; sessionHash?: Buffer | undefined },
): Promise<{ id: string; token: string; expiresAt: Date | null }> {
  const name = checkName(input.name);
  const id = newId('accessToken');
  const token = randomToken(TOKEN_PREFIX);
  const { rows } = await tx.query<{ expires_at: Date | null }>(
    `insert into access_tokens (id, workspace_id, name, role, token_hash, created_by, issuer_user_id, session_hash, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9 * interval '1 hour')
     returning expires_at`,
    [
      id,
      input.workspaceId,
      name,
      input.role,
      hashToken(token),
      input.actor.id,
      await issuerOf(tx, input.actor),
      input.sessionHash ?? null,
      input.role === 'support' ? SUPPORT_TOKEN_HOURS : null,
    ],
  );
  const expiresAt = rows[0]?.expires_at ?? null;
  await recordAuditEvent(tx, {
    workspaceId: input.workspaceId,
    type: 'Access Token Created',
    actor: input.actor,
    resource: { type: 'access_token', id, name },
    after: { name, role: input.role, ...(expiresAt === null ? {} : { expiresAt: expiresAt.toISOString() }) },
  });
  return { id, token, expiresAt };
}

/** The person behind an actor; of a token the one who made it. Null for the server itself. */
async function issuerOf(tx: Queryable, actor: Actor): Promise<string | null> {
  if (actor.kind === 'user' || actor.kind === 'support') return actor.id;
  if (actor.kind !== 'token') return null;
  const { rows } = await tx.query<{ issuer_user_id: string | null }>(
    'select issuer_user_id from access_tokens where id = $1',
    [actor.id],
  );
  return rows[0]?.issuer_user_id ?? null;
}

/** Revokes what someone made in a workspace who may not make it any more, each with its event. */
export async function revokeTokensOf(
  tx: Queryable,
  input: { workspaceId: string; userId: string; actor: Actor },
): Promise<void> {
  const { rows } = await tx.query<{ id: string }>(
    `select id from access_tokens where workspace_id = $1 and issuer_user_id = $2 and role <> 'support' and revoked_at is null
     order by id`,
    [input.workspaceId, input.userId],
  );
  for (const { id } of rows) {
    await revokeAccessToken(tx, { workspaceId: input.workspaceId, tokenId: id, actor: input.actor });
  }
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

/**
 * The principal of an access token; null where the token is unknown, revoked or expired, where whoever made it is no owner of the
 * workspace any more (of a token of support: no support user any more, or not signed in any more). That a token of support is
 * used is in the trail before anything is done with it.
 */
export async function authenticateToken(pool: PostgresPool, token: string): Promise<Principal | null> {
  if (!looksLikeToken(TOKEN_PREFIX, token)) return null;
  const { rows } = await pool.query<{
    id: string;
    workspace_id: string;
    workspace_name: string;
    name: string;
    role: Role;
    plan: Plan;
    created_by: string;
    issuer_email: string | null;
    stale: boolean;
  }>(
    `select t.id, t.workspace_id, w.name as workspace_name, t.name, t.role, w.plan, t.created_by, u.email as issuer_email,
            t.last_used_at is null or t.last_used_at < now() - interval '1 minute' as stale
     from access_tokens t
     join workspaces w on w.id = t.workspace_id
     left join users u on u.id = t.issuer_user_id
     left join workspace_members m on m.workspace_id = t.workspace_id and m.user_id = t.issuer_user_id
     where t.token_hash = $1 and t.revoked_at is null and (t.expires_at is null or t.expires_at > now())
       and (t.issuer_user_id is null
            or case when t.role = 'support' then u.is_support else m.role = 'workspace_owner' end)
       and (t.session_hash is null
            or exists (select from sessions s where s.token_hash = t.session_hash and s.expires_at > now()))`,
    [hashToken(token)],
  );
  const [row] = rows;
  if (row === undefined) return null;
  const actor: Actor = { kind: 'token', id: row.id, name: row.name };
  if (row.role === 'support') {
    await recordSupportEntry(pool, {
      entry: row.id,
      actor,
      workspaceId: row.workspace_id,
      workspaceName: row.workspace_name,
      details: { madeBy: row.created_by, ...(row.issuer_email === null ? {} : { madeByEmail: row.issuer_email }) },
    });
  }
  // At most one write a minute: a busy token must not make every request an update.
  if (row.stale) await pool.query('update access_tokens set last_used_at = now() where id = $1', [row.id]);
  return { actor, workspaceId: row.workspace_id, role: row.role, plan: row.plan };
}
