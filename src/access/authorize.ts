import { RequestError } from '../errors.ts';
import type { Principal, Role } from './principal.ts';

const ROLE_NAMES: Record<Role, string> = {
  workspace_owner: 'Workspace Owner',
  workspace_member: 'Workspace Member',
  support: 'Support',
};

/** Throws 'not_workspace_owner' for anyone else. */
export function requireOwner(principal: Principal): void {
  if (principal.role !== 'workspace_owner') throw notOwner(principal, 'This');
}

/** For what any member may change, but support may not. Throws 'not_workspace_member'. */
export function requireMember(principal: Principal): void {
  if (principal.role === 'workspace_owner' || principal.role === 'workspace_member') return;
  throw new RequestError(
    'forbidden',
    'not_workspace_member',
    'Support can look at this workspace, but only its members can change it.',
    { data: { role: principal.role, neededRole: 'workspace_member' } },
  );
}

/** Throws 'not_support' for anyone else. */
export function requireSupport(principal: Principal): void {
  if (principal.role === 'support') return;
  throw new RequestError(
    'forbidden',
    'not_support',
    `Only support can do this, and you are ${ROLE_NAMES[principal.role]}. Ask support to do it.`,
    { data: { role: principal.role, neededRole: 'support' } },
  );
}

/**
 * The audit trail is for Workspace Owners of business plan workspaces (Segment's page: Free, Team and Add-on have it not).
 * Throws 'not_workspace_owner' or 'plan_not_business'; the message says which of the two it is.
 */
export function requireTrailAccess(principal: Principal): void {
  if (principal.role !== 'workspace_owner') throw notOwner(principal, 'The audit trail');
  if (principal.plan === 'business') return;
  throw new RequestError(
    'forbidden',
    'plan_not_business',
    `The audit trail needs a workspace on the business plan, and this one is on the plan "${principal.plan}". Your role is right: change the plan.`,
    { data: { plan: principal.plan, neededPlan: 'business' } },
  );
}

/**
 * Tokens of members' roles are an owner's to make. One of support is a support user's, who has signed in: a token that could make
 * its successor would never end. Throws a RequestError 'forbidden'.
 */
export function requireMayCreateToken(principal: Principal, role: Role): void {
  if (role !== 'support') {
    requireOwner(principal);
    return;
  }
  requireSupport(principal);
  if (principal.actor.kind === 'support') return;
  throw new RequestError(
    'forbidden',
    'support_session_required',
    'A token of support is made by a support user who has signed in, not by another token. Sign in, and make it there.',
    { data: { actorKind: principal.actor.kind, neededActorKind: 'support' } },
  );
}

function notOwner(principal: Principal, what: string): RequestError {
  const kind = principal.actor.kind === 'token' ? 'this token is' : 'you are';
  const remedy =
    principal.actor.kind === 'token'
      ? 'Use a token with the role workspace_owner.'
      : 'Ask an owner of the workspace for the role.';
  return new RequestError(
    'forbidden',
    'not_workspace_owner',
    `${what} needs the role Workspace Owner, and ${kind} ${ROLE_NAMES[principal.role]}. ${remedy}`,
    { data: { role: principal.role, neededRole: 'workspace_owner' } },
  );
}
