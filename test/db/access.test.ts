import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  addMember,
  authenticateSession,
  authenticateToken,
  changeMemberRole,
  createAccessToken,
  createSpace,
  createUser,
  createWorkspace,
  findWorkspace,
  getSpace,
  listAccessTokens,
  listMembers,
  listSpaces,
  removeMember,
  revokeAccessToken,
  signIn,
  signOut,
  updateSpace,
  updateWorkspace,
  type UserRow,
  type WorkspaceRow,
} from '../../src/access/index.ts';
import { listAuditEvents, SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { inTransaction, type Transaction } from '../../src/store/index.ts';
import { createTestPool } from '../helpers/engines.ts';

const PASSWORD = 'correct horse battery';
const actor = SYSTEM_ACTOR;

let db: Awaited<ReturnType<typeof createTestPool>>;
let made = 0;
let workspace: WorkspaceRow;
let owner: UserRow;

beforeAll(async () => {
  db = await createTestPool();
});
afterAll(async () => {
  await db.close();
});
beforeEach(async () => {
  workspace = await newWorkspace();
  owner = await newUser();
  await change((tx) => addMember(tx, { workspaceId: workspace.id, userId: owner.id, role: 'workspace_owner', actor }));
});

function change<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
  return inTransaction(db.pool, work);
}

async function newWorkspace(): Promise<WorkspaceRow> {
  made += 1;
  return await change((tx) => createWorkspace(tx, { slug: `shop-${made}`, name: 'Shop', plan: 'business', actor }));
}

async function newUser(isSupport = false): Promise<UserRow> {
  made += 1;
  return await change((tx) =>
    createUser(tx, { email: `Person.${made}@Example.com`, name: 'Person', password: PASSWORD, isSupport }),
  );
}

async function trail(type: string) {
  const { events } = await listAuditEvents(db.pool, { workspaceId: workspace.id, type, count: 100 });
  return events.map(({ actor: by, actorKind, resourceId, before, after }) => ({
    by,
    actorKind,
    resourceId,
    before,
    after,
  }));
}

describe('workspaces and spaces', () => {
  test('a slug is taken once, and the transaction lives on', async () => {
    await change(async (tx) => {
      await expect(
        createWorkspace(tx, { slug: workspace.slug, name: 'Other', plan: 'free', actor }),
      ).rejects.toMatchObject({ kind: 'conflict', code: 'slug_taken', field: 'slug' });
      await tx.query('select 1');
    });
    expect(await findWorkspace(db.pool, workspace.slug)).toMatchObject({ id: workspace.id });
    expect(await findWorkspace(db.pool, workspace.id)).toMatchObject({ slug: workspace.slug });
  });

  test.each(['', 'Shop', 'a b', '-a', 'a-', 'a/b', 'x'.repeat(64)])('refuses the slug %j', async (slug) => {
    await expect(
      change((tx) => createWorkspace(tx, { slug, name: 'Other', plan: 'free', actor })),
    ).rejects.toMatchObject({ kind: 'invalid', code: 'slug_invalid', field: 'slug' });
  });

  test('a change of plan and one of name are in the trail, each with before and after; no change is not', async () => {
    const workspaceId = workspace.id;
    await change((tx) => updateWorkspace(tx, { workspaceId, plan: 'team', name: 'Shop', actor }));
    await change((tx) => updateWorkspace(tx, { workspaceId, name: 'Store', actor }));
    expect(await trail('Workspace Plan Modified')).toMatchObject([
      { before: { plan: 'business' }, after: { plan: 'team' } },
    ]);
    expect(await trail('Workspace Modified')).toMatchObject([{ before: { name: 'Shop' }, after: { name: 'Store' } }]);
  });

  test("a space is found in its own workspace only, also by someone who knows another's id", async () => {
    const other = await newWorkspace();
    const space = await change((tx) =>
      createSpace(tx, { workspaceId: workspace.id, slug: 'main', name: 'Main', actor }),
    );
    await change((tx) => updateSpace(tx, { workspaceId: workspace.id, spaceId: space.id, name: 'Main space', actor }));
    expect(await listSpaces(db.pool, workspace.id)).toMatchObject([{ id: space.id, name: 'Main space' }]);
    await expect(getSpace(db.pool, other.id, space.id)).rejects.toMatchObject({ kind: 'not_found' });
    expect(await trail('Space Modified')).toMatchObject([{ before: { name: 'Main' }, after: { name: 'Main space' } }]);
  });
});

describe('members', () => {
  test('come, change and go, in the trail with before and after', async () => {
    const user = await newUser();
    const member = { workspaceId: workspace.id, userId: user.id, actor };
    await change((tx) => addMember(tx, { ...member, role: 'workspace_member' }));
    await expect(change((tx) => addMember(tx, { ...member, role: 'workspace_owner' }))).rejects.toMatchObject({
      code: 'already_member',
    });
    await change((tx) => changeMemberRole(tx, { ...member, role: 'workspace_owner' }));
    expect(await listMembers(db.pool, workspace.id)).toMatchObject([
      { user_id: owner.id },
      { user_id: user.id, role: 'workspace_owner' },
    ]);
    await change((tx) => removeMember(tx, member));
    expect(await trail('User Policy Updated')).toMatchObject([
      { resourceId: user.id, before: { role: 'workspace_member' }, after: { role: 'workspace_owner' } },
    ]);
    expect(await trail('User Removed')).toMatchObject([{ before: { role: 'workspace_owner' }, after: null }]);
  });

  test('a workspace keeps an owner, also when two leave at the same moment', async () => {
    await expect(
      change((tx) => removeMember(tx, { workspaceId: workspace.id, userId: owner.id, actor })),
    ).rejects.toMatchObject({ kind: 'conflict', code: 'last_owner' });
    const second = await newUser();
    await change((tx) =>
      addMember(tx, { workspaceId: workspace.id, userId: second.id, role: 'workspace_owner', actor }),
    );
    const demote = (tx: Transaction, user: UserRow) =>
      changeMemberRole(tx, { workspaceId: workspace.id, userId: user.id, role: 'workspace_member', actor });
    let other: Promise<string> = Promise.resolve('');
    await change(async (tx) => {
      await demote(tx, owner);
      other = change((concurrent) => demote(concurrent, second)).then(
        () => 'demoted',
        (error: unknown) => (error as { code: string }).code,
      );
      await new Promise((resolve) => setTimeout(resolve, 200));
    });
    expect(await other).toBe('last_owner');
    const roles = (await listMembers(db.pool, workspace.id)).map((member) => member.role);
    expect(roles.sort()).toEqual(['workspace_member', 'workspace_owner']);
  });
});

describe('users', () => {
  test('an email is one, whatever its case', async () => {
    await expect(
      change((tx) => createUser(tx, { email: owner.email.toUpperCase(), name: 'Twin', password: PASSWORD })),
    ).rejects.toMatchObject({ kind: 'conflict', code: 'email_taken', field: 'email' });
  });

  test.each([
    [{ email: 'nobody' }, 'email'],
    [{ password: 'short' }, 'password'],
    [{ password: 'x'.repeat(201) }, 'password'],
    [{ name: ' ' }, 'name'],
  ])('refuses %j', async (wrong, field) => {
    const input = { email: 'new@example.com', name: 'New', password: PASSWORD, ...wrong };
    await expect(change((tx) => createUser(tx, input))).rejects.toMatchObject({ kind: 'invalid', field });
  });
});

describe('access tokens', () => {
  test('are shown once, kept hashed, and are refused once they are revoked', async () => {
    const workspaceId = workspace.id;
    const { id, token } = await change((tx) =>
      createAccessToken(tx, { workspaceId, name: 'CI', role: 'workspace_member', actor }),
    );
    expect(await authenticateToken(db.pool, token)).toEqual({
      actor: { kind: 'token', id, name: 'CI' },
      workspaceId,
      role: 'workspace_member',
      plan: 'business',
    });
    const stored = await db.pool.query('select t::text as everything from access_tokens t where id = $1', [id]);
    expect(JSON.stringify(stored.rows)).not.toContain(token);
    const [listed] = await listAccessTokens(db.pool, workspaceId);
    expect(listed?.last_used_at).toBeInstanceOf(Date);
    expect(Object.keys(listed ?? {})).not.toContain('token_hash');

    const stranger = await newWorkspace();
    await expect(
      change((tx) => revokeAccessToken(tx, { workspaceId: stranger.id, tokenId: id, actor })),
    ).rejects.toMatchObject({ kind: 'not_found' });
    await change((tx) => revokeAccessToken(tx, { workspaceId, tokenId: id, actor }));
    await change((tx) => revokeAccessToken(tx, { workspaceId, tokenId: id, actor }));
    expect(await authenticateToken(db.pool, token)).toBeNull();
    expect(await trail('Access Token Created')).toMatchObject([
      { resourceId: id, after: { name: 'CI', role: 'workspace_member' } },
    ]);
    expect(await trail('Access Token Revoked')).toHaveLength(1);
  });

  test.each(['', 'tm_token_', 'tm_token_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'x'.repeat(10_000)])(
    'an unknown token is nobody',
    async (token) => {
      expect(await authenticateToken(db.pool, token)).toBeNull();
    },
  );
});

describe('sessions', () => {
  test('a member signs in, is an actor in the workspace, and signs out', async () => {
    const { sessionToken, expiresAt } = await signIn(db.pool, ` ${owner.email.toUpperCase()} `, PASSWORD);
    expect(expiresAt.getTime() - Date.now()).toBeGreaterThan(13.9 * 86_400_000);
    const expected = {
      actor: { kind: 'user', id: owner.id, name: 'Person', email: owner.email },
      workspaceId: workspace.id,
      role: 'workspace_owner',
      plan: 'business',
    };
    expect(await authenticateSession(db.pool, sessionToken)).toEqual(expected);
    expect(await authenticateSession(db.pool, sessionToken, workspace.slug)).toEqual(expected);
    await signOut(db.pool, sessionToken);
    expect(await authenticateSession(db.pool, sessionToken)).toBeNull();
  });

  test('an expired session is none', async () => {
    const { sessionToken, userId } = await signIn(db.pool, owner.email, PASSWORD);
    await db.pool.query('update sessions set expires_at = now() where user_id = $1', [userId]);
    expect(await authenticateSession(db.pool, sessionToken)).toBeNull();
  });

  test('a stranger enters no workspace, and cannot tell which there are', async () => {
    const stranger = await newUser();
    const { sessionToken } = await signIn(db.pool, stranger.email, PASSWORD);
    const refused = (which?: string) =>
      authenticateSession(db.pool, sessionToken, which).then(
        () => 'entered',
        (error: unknown) => String(error),
      );
    expect(await refused(workspace.id)).toBe(await refused('no-such-workspace'));
    await expect(authenticateSession(db.pool, sessionToken, workspace.id)).rejects.toMatchObject({
      kind: 'forbidden',
      code: 'not_a_member',
    });
    await expect(authenticateSession(db.pool, sessionToken)).rejects.toMatchObject({ code: 'workspace_required' });
  });

  test('support enters any workspace as support, and the trail says so once a session', async () => {
    const support = await newUser(true);
    const { sessionToken } = await signIn(db.pool, support.email, PASSWORD);
    const entered = await Promise.all([1, 2, 3].map(() => authenticateSession(db.pool, sessionToken, workspace.id)));
    expect(entered[0]).toMatchObject({ actor: { kind: 'support', id: support.id }, role: 'support' });
    expect(await trail('Support Login')).toMatchObject([{ by: support.id, actorKind: 'support' }]);
    const again = await signIn(db.pool, support.email, PASSWORD);
    await authenticateSession(db.pool, again.sessionToken, workspace.id);
    expect(await trail('Support Login')).toHaveLength(2);
  });

  test('a wrong password and an unknown email are told apart by nothing', async () => {
    const failure = async (email: string) => {
      const startedAt = performance.now();
      const error = await signIn(db.pool, email, 'wrong password').then(
        () => 'signed in',
        (caught: unknown) => String(caught),
      );
      return { error, ms: performance.now() - startedAt };
    };
    await failure('warm-up@example.com');
    // The fastest of some, because a busy machine makes any one slow.
    let [known, unknown] = [Infinity, Infinity];
    for (let n = 0; n < 5; n++) {
      const [ofKnown, ofUnknown] = [await failure(owner.email), await failure('nobody@example.com')];
      expect(ofUnknown.error).toBe(ofKnown.error);
      known = Math.min(known, ofKnown.ms);
      unknown = Math.min(unknown, ofUnknown.ms);
    }
    // One argon2id hash takes some 20 ms: without the decoy, the unknown email would answer in one or two.
    expect(unknown).toBeGreaterThan(known / 3);
  });

  test('guessing is stopped, also for the right password, but from that address only', async () => {
    const tries = await Promise.allSettled(
      Array.from({ length: 14 }, () =>
        signIn(db.pool, owner.email, 'guess guess guess', { clientAddress: '192.0.2.1' }),
      ),
    );
    const codes = tries.map((outcome) =>
      outcome.status === 'rejected' ? (outcome.reason as { code: string }).code : '',
    );
    expect(codes.filter((code) => code === 'sign_in_failed')).toHaveLength(10);
    expect(codes.filter((code) => code === 'sign_in_rate_limited')).toHaveLength(4);
    await expect(signIn(db.pool, owner.email, PASSWORD, { clientAddress: '192.0.2.1' })).rejects.toMatchObject({
      kind: 'rate_limited',
      data: { retryAfterSeconds: expect.any(Number) as number },
    });
    await signIn(db.pool, owner.email, PASSWORD, { clientAddress: '192.0.2.2' });
    await db.pool.query(`update sign_in_limits set window_started_at = now() - interval '16 minutes'`);
    await signIn(db.pool, owner.email, PASSWORD, { clientAddress: '192.0.2.1' });
  });
});
