import { recordAuditEvent, type Actor } from '../audit/index.ts';
import { RequestError } from '../errors.ts';
import type { Queryable } from '../store/index.ts';
import { revokeTokensOf } from './access-tokens.ts';
import type { MemberRole } from './principal.ts';

export interface MemberRow {
  workspace_id: string;
  user_id: string;
  email: string;
  name: string;
  role: MemberRole;
  created_at: Date;
}

interface MemberInput {
  workspaceId: string;
  userId: string;
  actor: Actor;
}

/** Makes a user a member. Throws 'user_not_found' or 'already_member'. */
export async function addMember(tx: Queryable, input: MemberInput & { role: MemberRole }): Promise<MemberRow> {
  const { rows } = await tx.query<{ name: string }>('select name from users where id = $1', [input.userId]);
  if (rows[0] === undefined) {
    throw new RequestError('not_found', 'user_not_found', 'There is no such user.', { field: 'userId' });
  }
  const inserted = await tx.query(
    'insert into workspace_members (workspace_id, user_id, role) values ($1, $2, $3) on conflict do nothing',
    [input.workspaceId, input.userId, input.role],
  );
  if (inserted.rowCount === 0) {
    throw new RequestError('conflict', 'already_member', `${rows[0].name} is a member of this workspace already.`, {
      field: 'userId',
    });
  }
  const member = await lockMember(tx, input);
  await recordAuditEvent(tx, {
    workspaceId: input.workspaceId,
    type: 'User Added',
    actor: input.actor,
    resource: { type: 'user', id: member.user_id, name: member.name },
    after: { email: member.email, name: member.name, role: member.role },
  });
  return member;
}

/** Gives a member another role; the tokens of one who was an owner end. Throws 'member_not_found', or 'last_owner': a workspace is never without an owner. */
export async function changeMemberRole(tx: Queryable, input: MemberInput & { role: MemberRole }): Promise<MemberRow> {
  await lockMembers(tx, input.workspaceId);
  const before = await lockMember(tx, input);
  if (before.role === input.role) return before;
  if (before.role === 'workspace_owner') await refuseLastOwner(tx, before);
  await tx.query('update workspace_members set role = $3 where workspace_id = $1 and user_id = $2', [
    input.workspaceId,
    input.userId,
    input.role,
  ]);
  if (before.role === 'workspace_owner') await revokeTokensOf(tx, input);
  await recordAuditEvent(tx, {
    workspaceId: input.workspaceId,
    type: 'User Policy Updated',
    actor: input.actor,
    resource: { type: 'user', id: before.user_id, name: before.name },
    before: { role: before.role },
    after: { role: input.role },
  });
  return { ...before, role: input.role };
}

/** Ends a membership; the user's sessions cannot enter the workspace any more, and the tokens they made end. Throws 'member_not_found' or 'last_owner'. */
export async function removeMember(tx: Queryable, input: MemberInput): Promise<void> {
  await lockMembers(tx, input.workspaceId);
  const before = await lockMember(tx, input);
  if (before.role === 'workspace_owner') await refuseLastOwner(tx, before);
  await tx.query('delete from workspace_members where workspace_id = $1 and user_id = $2', [
    input.workspaceId,
    input.userId,
  ]);
  await revokeTokensOf(tx, input);
  await recordAuditEvent(tx, {
    workspaceId: input.workspaceId,
    type: 'User Removed',
    actor: input.actor,
    resource: { type: 'user', id: before.user_id, name: before.name },
    before: { email: before.email, name: before.name, role: before.role },
  });
}

/** The members of a workspace, in the order in which they came. */
export async function listMembers(db: Queryable, workspaceId: string): Promise<MemberRow[]> {
  const { rows } = await db.query<MemberRow>(
    `select m.workspace_id, m.user_id, u.email, u.name, m.role, m.created_at
     from workspace_members m join users u on u.id = m.user_id
     where m.workspace_id = $1 order by m.created_at, m.user_id`,
    [workspaceId],
  );
  return rows;
}

// Two owners who demote each other at the same moment: the second waits here, and is then the last one.
async function lockMembers(tx: Queryable, workspaceId: string): Promise<void> {
  await tx.query('select from workspaces where id = $1 for no key update', [workspaceId]);
}

async function lockMember(tx: Queryable, input: MemberInput): Promise<MemberRow> {
  const { rows } = await tx.query<MemberRow>(
    `select m.workspace_id, m.user_id, u.email, u.name, m.role, m.created_at
     from workspace_members m join users u on u.id = m.user_id
     where m.workspace_id = $1 and m.user_id = $2 for update of m`,
    [input.workspaceId, input.userId],
  );
  const [row] = rows;
  if (row !== undefined) return row;
  throw new RequestError('not_found', 'member_not_found', 'There is no such member in this workspace.', {
    field: 'userId',
  });
}

async function refuseLastOwner(tx: Queryable, member: MemberRow): Promise<void> {
  const { rows } = await tx.query(
    `select from workspace_members where workspace_id = $1 and role = 'workspace_owner' and user_id <> $2 limit 1`,
    [member.workspace_id, member.user_id],
  );
  if (rows.length > 0) return;
  throw new RequestError(
    'conflict',
    'last_owner',
    `${member.name} is the workspace's only owner: make another member an owner first.`,
    { field: 'userId' },
  );
}
