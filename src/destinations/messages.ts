import type { JsonObject } from './actions-core.ts';

/** The computation that a sync is of. */
export interface MessageComputation {
  id: string;
  key: string;
  name: string;
  kind: 'audience' | 'computed_trait';
  /** ACCOUNTS: the changes are of companies, and go out as `group` calls. */
  definitionType: 'USERS' | 'ACCOUNTS';
  spaceId: string;
  spaceSlug: string;
}

/** One change of one profile (or account), as a sync's extract froze it. */
export interface MessageChange {
  idx: number;
  /** JSON: 'true' for a member of an audience, a computed trait's value; '' where there is none any more. */
  value: string;
  /** Empty where it has none. For an account: its group id. */
  userId: string;
  anonymousId: string;
  /** Traits that destinations match people by. */
  traits: JsonObject;
}

/** What the messages of one extract have in common. All of it is fixed with it, so that a redelivery sends the same bytes. */
export interface MessageContext {
  connectionId: string;
  /** The extract that froze the changes. A task that is retried from `deliver` goes on with the extract of the one before it. */
  extractId: number;
  /** When what is sent was true: the version's as-of time. */
  timestamp: Date;
  externalAudienceId: string | null;
  audienceSettings: JsonObject;
}

/** A message of Segment's spec. */
export interface SegmentMessage {
  messageId: string;
  type: 'track' | 'identify' | 'group';
  userId?: string;
  anonymousId?: string;
  groupId?: string;
  event?: string;
  properties?: JsonObject;
  traits?: JsonObject;
  context: JsonObject;
  timestamp: string;
}

export interface OutgoingMessage {
  /** The idx of the change that it tells of. */
  idx: number;
  event: SegmentMessage;
}

/**
 * The messages of one change, as Segment Engage sends them. Both kinds are made; a destination's subscriptions say which of them
 * it gets.
 *
 * - Audience: `track` "Audience Entered" or "Audience Exited" with `audience_key` and the key itself as true or false, and
 *   `identify` with the key as a trait. Computed trait: `track` "Trait Computed" with `trait_key`, and `identify` with the value;
 *   null where there is none any more. Accounts: `group` in the place of both. (Segment's docs, "Using Engage Data", payloads.)
 * - `context.personas` has `computation_class`, `computation_id`, `computation_key`, `namespace`, `space_id`, and for an audience
 *   made at the destination `external_audience_id` and `audience_settings`: what the mappings of `@segment/action-destinations`
 *   read, and actions-core's own `resolveAudienceMembership`. `audience_name` is what a customer would look for.
 * - `userId`, or `anonymousId` where the profile has no user id. The traits that people are matched by are in `context.traits`
 *   and, in an `identify`, in `traits`: the two places where default mappings look for `email`.
 * - `messageId` is made of connection, extract, change and kind, so a message that is delivered twice can be told from two
 *   messages, also where another task goes on with the extract. The number of an extract alone is not unique between two
 *   installations that send to the same tool; with the connection's id it is.
 */
export function buildMessages(
  computation: MessageComputation,
  change: MessageChange,
  context: MessageContext,
): OutgoingMessage[] {
  const value = change.value === '' ? null : (JSON.parse(change.value) as unknown);
  const shown = computation.kind === 'audience' ? value === true : value;
  const common = {
    timestamp: context.timestamp.toISOString(),
    context: {
      personas: personas(computation, context),
      ...(Object.keys(change.traits).length === 0 ? {} : { traits: change.traits }),
    },
  };
  const message = (type: SegmentMessage['type'], own: Partial<SegmentMessage>): OutgoingMessage => ({
    idx: change.idx,
    event: {
      messageId: `${context.connectionId}-ext${context.extractId}-${change.idx}-${type}`,
      type,
      ...own,
      ...common,
    },
  });
  if (computation.definitionType === 'ACCOUNTS') {
    return [message('group', { groupId: change.userId, traits: { [computation.key]: shown } })];
  }
  const who = change.userId === '' ? { anonymousId: change.anonymousId } : { userId: change.userId };
  const track =
    computation.kind === 'audience'
      ? {
          event: shown === true ? 'Audience Entered' : 'Audience Exited',
          properties: { audience_key: computation.key, audience_name: computation.name, [computation.key]: shown },
        }
      : { event: 'Trait Computed', properties: { trait_key: computation.key, [computation.key]: shown } };
  return [
    message('track', { ...who, ...track }),
    message('identify', { ...who, traits: { ...change.traits, [computation.key]: shown } }),
  ];
}

/** `context.personas`, also what createAudience is told of the audience. */
export function personas(
  computation: MessageComputation,
  context: Pick<MessageContext, 'externalAudienceId' | 'audienceSettings'>,
): JsonObject {
  return {
    computation_class: computation.kind,
    computation_id: computation.id,
    computation_key: computation.key,
    namespace: computation.spaceSlug,
    space_id: computation.spaceId,
    ...(context.externalAudienceId === null ? {} : { external_audience_id: context.externalAudienceId }),
    ...(Object.keys(context.audienceSettings).length === 0 ? {} : { audience_settings: context.audienceSettings }),
  };
}
