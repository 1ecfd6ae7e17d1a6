export { writeAutoDisableAfter, writeReducedNotifications } from './workspace-settings.ts';
export {
  authenticateToken,
  createAccessToken,
  listAccessTokens,
  revokeAccessToken,
  TOKEN_PREFIX,
  type AccessTokenRow,
} from './access-tokens.ts';
export { requireMayCreateToken, requireMember, requireOwner, requireSupport, requireTrailAccess } from './authorize.ts';
export { addMember, changeMemberRole, listMembers, removeMember } from './members.ts';
export { MEMBER_ROLES, PLANS, type Plan, type Principal, type Role } from './principal.ts';
export { KNOWN_DEVICE_DAYS, knownDevice, rememberDevice } from './sign-in/known-device.ts';
export { authenticateSession, SESSION_PREFIX, signIn, signOut } from './sign-in/sessions.ts';
export { sweepSignInLimits } from './sign-in/sign-in-limit.ts';
export { createSpace, getSpace, listSpaces, updateSpace, type SpaceRow } from './spaces.ts';
export { createUser, type UserRow } from './users.ts';
export { createWorkspace, findWorkspace, updateWorkspace, type WorkspaceRow } from './workspaces.ts';
export { checkName, checkSlug } from './names.ts';
