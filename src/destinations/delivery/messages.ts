import { MATCHED_TRAIT } from '../../profiles/index.ts';
import { parseJson, stringifyJson, toPlain } from '../../exact-json.ts';
import type { JsonObject } from '../actions-core/actions-core.ts';
import { WrittenEvents, type Written } from './written-events.ts';

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

/** A message, also written as JSON.stringify would write it: made of parts that many share, which takes half of its time. */
export interface OutgoingMessage extends Written {
  /** The idx of the change that it tells of. */
  idx: number;
  event: SegmentMessage;
}

/**
 * Makes the messages of changes, as Segment Engage sends them. Both kinds are made of each; a destination's subscriptions say which
 * of them it gets. What all have in common is made once: messages share it, and nobody may change it.
 *
 * - Audience: `track` "Audience Entered" or "Audience Exited" with `audience_key` and the key itself as true or false, and
 *   `identify` with the key as a trait (but for a key of a trait that people are matched by: theirs goes out). Computed trait: `track` "Trait Computed" with `trait_key`, and `identify` with the value;
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
export function messageBuilder(
  computation: MessageComputation,
  extract: MessageContext,
): (changes: readonly MessageChange[]) => OutgoingMessage[] {
  const write = messageWriter(computation, extract);
  return (changes) => {
    const written = new WrittenEvents();
    const messages: OutgoingMessage[] = [];
    for (const change of changes) {
      write(change, (event, json) => {
        messages.push({ idx: change.idx, event, written, place: written.add(json) });
      });
    }
    written.seal();
    return messages;
  };
}

/** Makes the messages of one change, and gives each to `add`, also as JSON. No spread: with one it takes many times as long. */
function messageWriter(
  computation: MessageComputation,
  extract: MessageContext,
): (change: MessageChange, add: (event: SegmentMessage, json: string) => void) => void {
  const { key, kind } = computation;
  const timestamp = extract.timestamp.toISOString();
  const aboutAll = personas(computation, extract);
  const idStart = `${extract.connectionId}-ext${extract.extractId}-`;
  const startText = `{"messageId":${JSON.stringify(idStart).slice(0, -1)}`;
  const tailText = `,"timestamp":${JSON.stringify(timestamp)},"context":{"personas":${JSON.stringify(aboutAll)}`;
  const keyText = `${JSON.stringify(key)}:`;
  // A number's place in an object is before all names, and one name is no property at all.
  const comesLast = !/^\d/.test(key) && key !== '__proto__';
  const tracks = kind === 'audience' ? { true: trackOf(computation, true), false: trackOf(computation, false) } : null;
  return ({ idx, value, userId, anonymousId, traits: exactTraits }, add) => {
    // Nearly every value of an audience is this one, and a parser takes longer than the rest.
    const parsed = value === 'true' ? true : value === '' ? null : parseJson(value);
    // In the JSON numbers have all of their digits; in the event are JavaScript's own values, for actions to work with.
    const exact = kind === 'audience' ? parsed === true : parsed;
    const shown = toPlain(exact);
    const known = hasKeys(exactTraits);
    const traits = toPlain(exactTraits);
    const context: JsonObject = known ? { personas: aboutAll, traits } : { personas: aboutAll };
    const traitsText = known ? stringifyJson(exactTraits) : '{}';
    const tail = known ? `${tailText},"traits":${traitsText}}}` : `${tailText}}}`;
    if (computation.definitionType === 'ACCOUNTS') {
      const own = { [key]: shown };
      add(
        { messageId: `${idStart}${idx}-group`, type: 'group', groupId: userId, traits: own, timestamp, context },
        `${startText}${idx}-group","type":"group","groupId":${JSON.stringify(userId)},"traits":${stringifyJson({ [key]: exact })}${tail}`,
      );
      return;
    }
    const { event, properties, text } = tracks?.[shown === true ? 'true' : 'false'] ?? trackOf(computation, exact);
    // A computation's key is never a trait that people are matched by: the one of their own goes out, or none.
    const shadows = key === MATCHED_TRAIT || Object.hasOwn(traits, key);
    const own: JsonObject = Object.assign({}, traits);
    let ownText = traitsText;
    if (!shadows) {
      own[key] = shown;
      if (comesLast) {
        const shownText = shown === true ? 'true' : stringifyJson(exact);
        ownText = `${traitsText.slice(0, -1)}${known ? ',' : ''}${keyText}${shownText}}`;
      } else if (shown === exact && traits === exactTraits) ownText = JSON.stringify(own);
      else ownText = stringifyJson({ ...exactTraits, [key]: exact });
    }
    const track = `${idStart}${idx}-track`;
    const identify = `${idStart}${idx}-identify`;
    const anonymous = userId === '';
    const who = anonymous ? `"anonymousId":${JSON.stringify(anonymousId)}` : `"userId":${JSON.stringify(userId)}`;
    add(
      anonymous
        ? { messageId: track, type: 'track', anonymousId, event, properties, timestamp, context }
        : { messageId: track, type: 'track', userId, event, properties, timestamp, context },
      `${startText}${idx}-track","type":"track",${who}${text}${tail}`,
    );
    add(
      anonymous
        ? { messageId: identify, type: 'identify', anonymousId, traits: own, timestamp, context }
        : { messageId: identify, type: 'identify', userId, traits: own, timestamp, context },
      `${startText}${idx}-identify","type":"identify",${who},"traits":${ownText}${tail}`,
    );
  };
}

/** What the `track` messages of one value have in common, and its JSON. */
function trackOf(
  { key, name, kind }: MessageComputation,
  exact: unknown,
): { event: string; properties: JsonObject; text: string } {
  const event = kind === 'computed_trait' ? 'Trait Computed' : exact === true ? 'Audience Entered' : 'Audience Exited';
  const properties: JsonObject =
    kind === 'computed_trait' ? { trait_key: key } : { audience_key: key, audience_name: name };
  const shown = toPlain(exact);
  // A key of another time may be one of these: what a mapping reads the key by stays what it is.
  const shadows = Object.hasOwn(properties, key);
  if (!shadows) properties[key] = shown;
  const isPlain = shadows || shown === exact;
  const written = isPlain ? JSON.stringify(properties) : stringifyJson({ ...properties, [key]: exact });
  return { event, properties, text: `,"event":"${event}","properties":${written}` };
}

function hasKeys(object: JsonObject): boolean {
  for (const key in object) if (Object.hasOwn(object, key)) return true;
  return false;
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
