import type { EventTypes } from './definition.ts';

export const USERS = {
  'User Created': { when: 'A user was created.', emitted: true },
  'User Added': {
    when: 'A user became a member of the workspace.',
    emitted: true,
    aliases: ['User Added To Workspace'],
  },
  'User Role Modified': { when: "A member's role in the workspace was changed.", emitted: true },
  'User Removed': { when: 'A member was removed from the workspace.', emitted: true },
} as const satisfies EventTypes;

export const WORKSPACE = {
  'Workspace Created': { when: 'The workspace was created.', emitted: true },
  'Workspace Modified': { when: "The workspace's name or slug was changed.", emitted: true },
  'Workspace Plan Modified': { when: "The workspace's plan was changed.", emitted: true },
  'Access Token Created': { when: 'An access token was created.', emitted: true },
  'Access Token Revoked': { when: 'An access token was revoked: it is refused from now on.', emitted: true },
  'Support Login': { when: 'A support user began to act in the workspace.', emitted: true },
  'Audit Trail Viewed': {
    when: 'Someone read the audit trail; at most once for an actor and a filter within five minutes.',
    emitted: true,
  },
  'Notification Settings Modified': {
    when: 'Reduced notifications were switched on or off, or their reason or expiry was changed.',
    emitted: true,
  },
  'Alert Channel Created': { when: 'A channel for alerts was created.', emitted: true },
  'Alert Channel Modified': { when: "A channel's name, address or state was changed.", emitted: true },
  'Alert Channel Deleted': { when: 'A channel for alerts was deleted.', emitted: true },
  'Alert Delivery Failed': {
    when: 'An alert could not be delivered to a channel: its retries are spent.',
    emitted: true,
  },
} as const satisfies EventTypes;
