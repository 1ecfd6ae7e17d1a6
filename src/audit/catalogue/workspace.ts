import type { EventTypes } from './definition.ts';

export const USERS = {
  'User Added': { when: 'A user became a member of the workspace.', emitted: true },
  'User Removed': { when: 'A member was removed from the workspace.', emitted: true },
  'User Policy Updated': {
    when: "A member's role or permissions were changed.",
    emitted: true,
    aliases: ['User Role Modified'],
  },
  'User Invite Sent': {
    when: 'Someone was invited to the workspace.',
    emitted: false,
    aliases: ['Users Invited', 'New Segment User Invited to Workspace', 'Non-Segment User Invited to Workspace'],
  },
  'User Invite Accepted': { when: 'An invitation to the workspace was accepted.', emitted: false },
  'User Invite Deleted': {
    when: 'An invitation to the workspace was withdrawn.',
    emitted: false,
    aliases: ['Invite Deleted'],
  },
  'User Added via SSO': {
    when: 'A user became a member of the workspace by signing in through single sign-on.',
    emitted: false,
  },
  'User Sign-In Refused': {
    when: 'Tries to sign in as a member were refused because there were too many; at most once for a member within 15 minutes.',
    emitted: true,
  },
  'Policy Created': { when: 'A user or a group was given a role.', emitted: false },
  'Policy Deleted': { when: 'A role was taken from a user or a group.', emitted: false },
  'User Group Created': { when: 'A group of users was created.', emitted: false },
  'User Group Updated': { when: "A group's name was changed.", emitted: false, aliases: ['User Group Modified'] },
  'User Group Deleted': { when: 'A group of users was deleted.', emitted: false },
  'User Group Policy Updated': { when: "A group's permissions were changed.", emitted: false },
  'Subjects Added to Group': { when: 'Users were added to a group.', emitted: false },
  'User Added To User Group': { when: 'A user was added to a group.', emitted: false },
  'User Removed From User Group': { when: 'A user was removed from a group.', emitted: false },
  'Group Memberships Deleted': { when: 'Memberships of a group were deleted.', emitted: false },
  'Access Request Created': { when: 'A member asked for access to a resource.', emitted: false },
} as const satisfies EventTypes;

export const WORKSPACE = {
  'Workspace Created': { when: 'The workspace was created.', emitted: true },
  'Workspace Modified': { when: "The workspace's name, slug or settings were changed.", emitted: true },
  'Workspace Plan Modified': { when: "The workspace's plan was changed.", emitted: true },
  'Access Token Created': { when: 'An access token was created.', emitted: true },
  'Access Token Revoked': { when: 'An access token was revoked: it is refused from now on.', emitted: true },
  'Public API Tokens Without Owners Detected': {
    when: 'Access tokens were found whose creator is not a member any more.',
    emitted: false,
  },
  'Audit Trail Viewed': {
    when: 'Someone read the audit trail; at most once for an actor and a filter within 15 minutes.',
    emitted: true,
  },
  'Notification Settings Modified': {
    when: 'Reduced notifications were switched on or off, or their reason or expiry was changed.',
    emitted: true,
  },
  'Alert Channel Created': { when: 'A channel for alerts was created.', emitted: true },
  'Alert Channel Modified': { when: "A channel's name, address or state was changed.", emitted: true },
  'Alert Channel Disabled': {
    when: 'A channel was switched off by the system, because its messages could not be delivered any more.',
    emitted: true,
  },
  'Alert Channel Deleted': { when: 'A channel for alerts was deleted.', emitted: true },
  'Alert Delivery Failed': {
    when: 'An alert could not be delivered to a channel: its retries are spent.',
    emitted: true,
  },
  'Support Access Granted': { when: 'Support was given access to the workspace.', emitted: false },
  'Support Login': { when: 'A support user began to act in the workspace.', emitted: true },
  'Support Access Revoked': { when: "Support's access to the workspace was taken back.", emitted: false },
  'Permission Check': { when: 'The permissions of a user or token were checked.', emitted: false },
  'Label Created': { when: 'A label was created.', emitted: false },
  'Label Deleted': { when: 'A label was deleted.', emitted: false },
  'Source Regulation Created': { when: 'A deletion or suppression was ordered for a source.', emitted: false },
  'Workspace Regulation Created': { when: 'A deletion or suppression was ordered for the workspace.', emitted: false },
  'Regulation Deleted': { when: 'A deletion or suppression was withdrawn.', emitted: false },
} as const satisfies EventTypes;
