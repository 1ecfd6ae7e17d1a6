/** Who did it: a user, an access token, a support user, or the system. */
export interface Actor {
  kind: 'user' | 'token' | 'support' | 'system';
  id: string;
  name: string;
  email?: string;
}

/** The id is the `userId` that Segment gives the system in forwarded audit events. */
export const SYSTEM_ACTOR: Actor = { kind: 'system', id: '__system__', name: 'Trailmark' };
