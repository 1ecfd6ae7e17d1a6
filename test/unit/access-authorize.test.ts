import { describe, expect, test } from 'vitest';
import {
  PLANS,
  requireMayCreateToken,
  requireMember,
  requireOwner,
  requireSupport,
  requireTrailAccess,
  type Plan,
  type Principal,
  type Role,
} from '../../src/access/index.ts';

const ROLES: Role[] = ['workspace_owner', 'workspace_member', 'support'];

function principal(role: Role, plan: Plan = 'business', kind: 'user' | 'token' | 'support' = 'user'): Principal {
  return { actor: { kind, id: 'usr_1', name: 'Ann' }, workspaceId: 'wrk_1', role, plan };
}

/** The code of the refusal, or 'allowed'. */
function outcome(check: () => void): string {
  try {
    check();
    return 'allowed';
  } catch (error) {
    expect(error).toMatchObject({ kind: 'forbidden' });
    return (error as { code: string }).code;
  }
}

describe('who may do what', () => {
  test.each(ROLES.flatMap((role) => PLANS.map((plan) => ({ role, plan }))))(
    'the trail for $role on $plan',
    ({ role, plan }) => {
      const expected =
        role !== 'workspace_owner' ? 'not_workspace_owner' : plan === 'business' ? 'allowed' : 'plan_not_business';
      expect(outcome(() => requireTrailAccess(principal(role, plan)))).toBe(expected);
    },
  );

  test('the refusal says what is wrong and what would be right', () => {
    expect(() => requireTrailAccess(principal('workspace_member'))).toThrow(/needs the role Workspace Owner.+you are/);
    expect(() => requireTrailAccess(principal('workspace_member', 'business', 'token'))).toThrow(
      /this token is Workspace Member.+Use a token with the role workspace_owner/,
    );
    expect(() => requireTrailAccess(principal('workspace_owner', 'team'))).toThrow(
      /business plan.+on the plan "team".+change the plan/,
    );
  });

  test.each([
    { role: 'workspace_owner', owner: 'allowed', member: 'allowed', support: 'not_support' },
    { role: 'workspace_member', owner: 'not_workspace_owner', member: 'allowed', support: 'not_support' },
    { role: 'support', owner: 'not_workspace_owner', member: 'not_workspace_member', support: 'allowed' },
  ] as const)('$role', ({ role, owner, member, support }) => {
    expect(outcome(() => requireOwner(principal(role)))).toBe(owner);
    expect(outcome(() => requireMember(principal(role)))).toBe(member);
    expect(outcome(() => requireSupport(principal(role)))).toBe(support);
  });

  test("an owner makes no support token, and support makes no owner's", () => {
    expect(outcome(() => requireMayCreateToken(principal('workspace_owner'), 'workspace_owner'))).toBe('allowed');
    expect(outcome(() => requireMayCreateToken(principal('workspace_owner'), 'support'))).toBe('not_support');
    const signedIn = principal('support', 'business', 'support');
    expect(outcome(() => requireMayCreateToken(signedIn, 'support'))).toBe('allowed');
    const byToken = principal('support', 'business', 'token');
    expect(outcome(() => requireMayCreateToken(byToken, 'support'))).toBe('support_session_required');
    expect(outcome(() => requireMayCreateToken(principal('support'), 'workspace_owner'))).toBe('not_workspace_owner');
    expect(outcome(() => requireMayCreateToken(principal('workspace_member'), 'workspace_member'))).toBe(
      'not_workspace_owner',
    );
  });
});
