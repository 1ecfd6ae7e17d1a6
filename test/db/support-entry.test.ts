import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  addMember,
  authenticateSession,
  authenticateToken,
  changeMemberRole,
  createAccessToken,
  createUser,
  createWorkspace,
  listAccessTokens,
  removeMember,
  requireMayCreateToken,
  signIn,
  signOut,
  type Principal,
  type Role,
  type UserRow,
  type WorkspaceRow,
} from '../../src/access/index.ts';
import { listAuditEvents, SYSTEM_ACTOR, type Actor } from '../../src/audit/index.ts';
import { inTransaction, type Transaction } from '../../src/store/index.ts';
import { createTestPool } from '../helpers/engines.ts';

const PASSWORD = 'correct horse battery';

let db: Awaited<ReturnType<typeof createTestPool>>;
let made = 0;
let workspace: WorkspaceRow;

beforeAll(async () => {
  db = await createTestPool();
});
afterAll(async () => await db.close());
beforeEach(async () => {
  made += 1;
  const input = { slug: `shop-${made}`, name: 'Shop', plan: 'business' as const, actor: SYSTEM_ACTOR };
  workspace = await change((tx) => createWorkspace(tx, input));
});

async function change<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
  return await inTransaction(db.pool, work);
}

async function newUser(isSupport = false): Promise<UserRow> {
  made += 1;
  const input = { email: `person.${made}@example.com`, name: `Person ${made}`, password: PASSWORD, isSupport };
  return await change((tx) => createUser(tx, input));
}

async function newOwner(): Promise<UserRow> {
  const user = await newUser();
  const member = { workspaceId: workspace.id, userId: user.id, role: 'workspace_owner' as const, actor: SYSTEM_ACTOR };
  await change((tx) => addMember(tx, member));
  return user;
}

async function entry(email: string): Promise<{ sessionToken: string; principal: Principal }> {
  const { sessionToken } = await signIn(db.pool, email, PASSWORD);
  const principal = await authenticateSession(db.pool, sessionToken, workspace.id);
  if (principal === null) throw new Error('not let in');
  return { sessionToken, principal };
}

async function newToken(role: Role, actor: Actor, sessionHash?: Buffer): Promise<string> {
  const input = { workspaceId: workspace.id, name: 'A tool', role, actor, sessionHash };
  return (await change((tx) => createAccessToken(tx, input))).token;
}

async function entries() {
  const { events } = await listAuditEvents(db.pool, { workspaceId: workspace.id, type: 'Support Login', count: 100 });
  return events.toReversed().map(({ actor, actorKind, details }) => ({ actor, actorKind, details }));
}

const userActor = ({ id, name, email }: UserRow): Actor => ({ kind: 'user', id, name, email });

describe('support', () => {
  test('is in the trail once for each session and each token that it enters with, however many requests come at once', async () => {
    const support = await newUser(true);
    // Both sessions are open before either enters: the second is an entry of its own.
    const [one, other] = [
      await signIn(db.pool, support.email, PASSWORD),
      await signIn(db.pool, support.email, PASSWORD),
    ];
    for (const { sessionToken } of [one, one, other, one, other]) {
      await Promise.all([1, 2, 3].map(async () => await authenticateSession(db.pool, sessionToken, workspace.id)));
    }
    expect(await entries()).toMatchObject([{ actor: support.id }, { actor: support.id }]);
    const { principal } = await entry(support.email);
    const tokens = [
      await newToken('support', principal.actor, principal.sessionHash),
      await newToken('support', SYSTEM_ACTOR),
    ];
    const before = (await entries()).length;
    for (const token of [...tokens, ...tokens]) {
      const entered = await Promise.all([1, 2, 3].map(async () => await authenticateToken(db.pool, token)));
      expect(entered.map((entrant) => entrant?.role)).toEqual(['support', 'support', 'support']);
    }
    expect((await entries()).slice(before)).toMatchObject([
      { actorKind: 'token', details: { madeBy: support.id, madeByEmail: support.email } },
      { actorKind: 'token', details: { madeBy: SYSTEM_ACTOR.id } },
    ]);
  });

  test('gets in nowhere where its entry can not be written', async () => {
    const support = await newUser(true);
    const { sessionToken } = await signIn(db.pool, support.email, PASSWORD);
    const token = await newToken('support', SYSTEM_ACTOR);
    await db.pool.query(`alter table audit_events add constraint no_entries check (type <> 'Support Login') not valid`);
    try {
      await expect(authenticateToken(db.pool, token)).rejects.toThrow('no_entries');
      await expect(authenticateSession(db.pool, sessionToken, workspace.id)).rejects.toThrow('no_entries');
    } finally {
      await db.pool.query('alter table audit_events drop constraint no_entries');
    }
    expect(await authenticateToken(db.pool, token)).toMatchObject({ role: 'support' });
    expect(await entries()).toHaveLength(1);
  });

  test('makes a token only while signed in, which ends after twelve hours', async () => {
    const support = await newUser(true);
    const { principal } = await entry(support.email);
    expect(() => requireMayCreateToken(principal, 'support')).not.toThrow();
    expect(() => requireMayCreateToken(principal, 'workspace_member')).toThrow(
      expect.objectContaining({ code: 'not_workspace_owner' }),
    );
    const token = await newToken('support', principal.actor, principal.sessionHash);
    const byToken = await authenticateToken(db.pool, token);
    expect(() => requireMayCreateToken(byToken as Principal, 'support')).toThrow(
      expect.objectContaining({ kind: 'forbidden', code: 'support_session_required' }),
    );
    const [row] = await listAccessTokens(db.pool, workspace.id);
    const hours = ((row?.expires_at?.getTime() ?? Infinity) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(11);
    expect(hours).toBeLessThanOrEqual(12);
    await db.pool.query('update access_tokens set expires_at = now()');
    expect(await authenticateToken(db.pool, token)).toBeNull();
    await expect(db.pool.query('update access_tokens set expires_at = null')).rejects.toThrow('access_tokens_support');
  });

  test('has tokens that end with the session, and with the role', async () => {
    const support = await newUser(true);
    const first = await entry(support.email);
    const second = await entry(support.email);
    const ofFirst = await newToken('support', first.principal.actor, first.principal.sessionHash);
    const ofSecond = await newToken('support', second.principal.actor, second.principal.sessionHash);
    await signOut(db.pool, first.sessionToken);
    expect(await authenticateToken(db.pool, ofFirst)).toBeNull();
    expect(await authenticateToken(db.pool, ofSecond)).toMatchObject({ role: 'support' });
    await db.pool.query('update users set is_support = false where id = $1', [support.id]);
    expect(await authenticateToken(db.pool, ofSecond)).toBeNull();
    await expect(authenticateSession(db.pool, second.sessionToken, workspace.id)).rejects.toMatchObject({
      code: 'not_a_member',
    });
  });
});

describe('a token', () => {
  test.each([
    ['is removed', removeMember],
    ['is no owner any more', changeMemberRole],
  ] as const)('ends when the owner who made it %s, and so do those that it made, each in the trail', async (_, end) => {
    const owner = await newOwner();
    const remaining = await newOwner();
    const theirs = await newToken('workspace_owner', userActor(owner));
    const principal = await authenticateToken(db.pool, theirs);
    const madeByIt = await newToken('workspace_member', principal?.actor ?? SYSTEM_ACTOR);
    const others = await newToken('workspace_member', userActor(remaining));
    const member = { workspaceId: workspace.id, userId: owner.id, role: 'workspace_member' as const };
    await change((tx) => end(tx, { ...member, actor: userActor(remaining) }).then(() => undefined));
    expect(await authenticateToken(db.pool, theirs)).toBeNull();
    expect(await authenticateToken(db.pool, madeByIt)).toBeNull();
    expect(await authenticateToken(db.pool, others)).toMatchObject({ role: 'workspace_member' });
    const { events } = await listAuditEvents(db.pool, {
      workspaceId: workspace.id,
      type: 'Access Token Revoked',
      count: 10,
    });
    expect(events.map(({ actor }) => actor)).toEqual([remaining.id, remaining.id]);
  });

  test('made by somebody whose role was taken away past the program ends too', async () => {
    const owner = await newOwner();
    const token = await newToken('workspace_member', userActor(owner));
    await db.pool.query('delete from workspace_members where user_id = $1', [owner.id]);
    expect(await authenticateToken(db.pool, token)).toBeNull();
  });
});
