import { availableParallelism } from 'node:os';
import type { Actor } from '../../audit/index.ts';
import { RequestError } from '../../errors.ts';
import { hashToken, looksLikeToken, randomToken } from '../../security/index.ts';
import { inTransaction, type PostgresPool, type Queryable } from '../../store/index.ts';
import { FairQueue } from './fair-queue.ts';
import { verifyPassword } from './passwords.ts';
import type { MemberRole, Plan, Principal } from '../principal.ts';
import { recordRefusedSignIn } from './refused-sign-in.ts';
import { countSignIn, forgetSignIns, originOf, type SignInTry } from './sign-in-limit.ts';
import { forgetSupportEntries, recordSupportEntry } from '../support-entry.ts';
import { normalizeEmail } from '../users.ts';

export const SESSION_PREFIX = 'tm_session_';
const SESSION_DAYS = 14;

// What an installation does of it at once leaves the other cores, and the threads that everything else shares with it, alone.
const hashing = new FairQueue({
  atOnce: Math.min(4, Math.max(1, Math.floor(availableParallelism() / 2))),
  waitingPerKey: 20,
  waiting: 100,
  waitingFirst: 20,
});

/**
 * Signs a user in. The session's secret is in this answer only; a hash of it is kept. `deviceId` is what `knownDevice` says of the
 * browser for this email. Throws 'sign_in_failed' for a wrong email and for a wrong password, after the same time,
 * 'sign_in_rate_limited', or 'sign_in_busy'.
 */
export async function signIn(
  pool: PostgresPool,
  email: string,
  password: string,
  from: { clientAddress?: string | undefined; deviceId?: string | null } = {},
): Promise<{ sessionToken: string; expiresAt: Date; userId: string }> {
  const asked: SignInTry = { ...from, email: normalizeEmail(email) };
  const first = from.deviceId !== undefined && from.deviceId !== null;
  return await hashing.run(originOf(asked), { first }, async () => await trySignIn(pool, asked, password));
}

async function trySignIn(
  pool: PostgresPool,
  asked: SignInTry,
  password: string,
): Promise<{ sessionToken: string; expiresAt: Date; userId: string }> {
  const refusal = await countSignIn(pool, asked);
  if (refusal !== null) {
    if (refusal.first) await recordRefusedSignIn(pool, asked);
    throw refusal.error;
  }
  const { rows } = await pool.query<{ id: string; password_hash: string }>(
    'select id, password_hash from users where email = $1',
    [asked.email],
  );
  const [user] = rows;
  const matches = await verifyPassword(user?.password_hash, password);
  if (user === undefined || !matches) {
    throw new RequestError('unauthenticated', 'sign_in_failed', 'The email or the password is not right.');
  }
  const sessionToken = randomToken(SESSION_PREFIX);
  const expiresAt = await inTransaction(pool, async (tx) => {
    await forgetSignIns(tx, asked);
    const over = await tx.query<{ token_hash: Buffer }>(
      'delete from sessions where user_id = $1 and expires_at < now() returning token_hash',
      [user.id],
    );
    await forgetSupportEntries(
      tx,
      over.rows.map((session) => session.token_hash),
    );
    const inserted = await tx.query<{ expires_at: Date }>(
      `insert into sessions (token_hash, user_id, expires_at) values ($1, $2, now() + $3 * interval '1 day')
       returning expires_at`,
      [hashToken(sessionToken), user.id, SESSION_DAYS],
    );
    return inserted.rows[0]?.expires_at;
  });
  if (expiresAt === undefined) throw new Error('insert … returning gave no row');
  return { sessionToken, expiresAt, userId: user.id };
}

/** Ends a session; an unknown one is none any more either. */
export async function signOut(db: Queryable, sessionToken: string): Promise<void> {
  const hash = hashToken(sessionToken);
  await db.query('delete from sessions where token_hash = $1', [hash]);
  await forgetSupportEntries(db, [hash]);
}

interface SessionRow {
  user_id: string;
  email: string;
  name: string;
  is_support: boolean;
  workspace_id: string | null;
  workspace_name: string | null;
  plan: Plan | null;
  role: MemberRole | null;
}

/**
 * The principal of a session in a workspace (by id or slug; without one, in the user's first); null where the session is
 * unknown or over. A support user enters any workspace, with the role 'support', and that they did is audited, once a session.
 * Throws 'not_a_member', the same for a workspace that does not exist, or 'workspace_required'.
 */
export async function authenticateSession(
  pool: PostgresPool,
  sessionToken: string,
  workspace?: string,
): Promise<Principal | null> {
  if (!looksLikeToken(SESSION_PREFIX, sessionToken)) return null;
  const sessionHash = hashToken(sessionToken);
  const { rows } = await pool.query<SessionRow>(
    `select u.id as user_id, u.email, u.name, u.is_support,
            w.id as workspace_id, w.name as workspace_name, w.plan, m.role
     from sessions s
     join users u on u.id = s.user_id
     left join workspaces w on case
       when $2::text is not null then w.id = $2 or w.slug = $2
       else w.id = (select workspace_id from workspace_members where user_id = u.id order by created_at, workspace_id limit 1)
     end
     left join workspace_members m on m.workspace_id = w.id and m.user_id = u.id
     where s.token_hash = $1 and s.expires_at > now()`,
    [sessionHash, workspace ?? null],
  );
  const [row] = rows;
  if (row === undefined) return null;
  const { workspace_id: workspaceId, plan, role } = row;
  const identity = { id: row.user_id, name: row.name, email: row.email };
  if (workspaceId !== null && plan !== null) {
    if (role !== null) return { actor: { kind: 'user', ...identity }, workspaceId, role, plan };
    if (row.is_support) {
      const actor: Actor = { kind: 'support', ...identity };
      await recordSupportEntry(pool, {
        entry: sessionHash.toString('hex'),
        actor,
        workspaceId,
        workspaceName: row.workspace_name ?? workspaceId,
      });
      return { actor, workspaceId, role: 'support', plan, sessionHash };
    }
  }
  if (workspace === undefined) {
    throw new RequestError(
      'forbidden',
      'workspace_required',
      row.is_support ? 'Say which workspace: support has none of its own.' : 'You are not a member of any workspace.',
    );
  }
  throw new RequestError('forbidden', 'not_a_member', 'You are not a member of this workspace.');
}
