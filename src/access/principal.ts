import type { Actor } from '../audit/index.ts';

export const PLANS = ['free', 'team', 'business', 'add_on'] as const;
export type Plan = (typeof PLANS)[number];

export const MEMBER_ROLES = ['workspace_owner', 'workspace_member'] as const;
export type MemberRole = (typeof MEMBER_ROLES)[number];

/** What a principal is in its workspace. Support reads, and switches reduced notifications; it is no owner. */
export type Role = MemberRole | 'support';

/** Who asks, in which workspace, and as what. Every query of a request is scoped by its `workspaceId`. */
export interface Principal {
  actor: Actor;
  workspaceId: string;
  role: Role;
  plan: Plan;
  /** Of a support user's session: what support makes in it ends with it. */
  sessionHash?: Buffer;
}
