import {
  actionsCore,
  requireDefinition,
  type CoreActionDefinition,
  type CoreBatch,
  type CoreEventResult,
  type CoreRequest,
  type JsonObject,
  type PerformBatch,
} from '../actions-core/actions-core.ts';
import { whenInTurn } from '../actions-core/guard-fetch.ts';
import type { OutgoingMessage } from './messages.ts';
import { jsonArray, type Written } from './written-events.ts';

const WHOLE_EVENT = '$.';

/** How a batch is sent by an action that takes whole events. */
export interface WholeEvents {
  /** The action for actions-core: given one event of a batch, it sends them all. */
  action: CoreActionDefinition;
  /** Sends messages by `call`, which hands the event of one of them to actions-core; gives a result for each. */
  send(
    messages: readonly OutgoingMessage[],
    call: (standIn: readonly object[]) => Promise<(CoreEventResult | undefined)[]>,
  ): Promise<(CoreEventResult | undefined)[]>;
}

/**
 * For an action that hands events on as they are (webhooks, Kafka, queues): one of its fields is the whole event, the others are
 * the same for all events. So what actions-core does with each event of a batch (match it, resolve the mapping, leave out what is
 * empty, check the rest against a schema), which is four fifths of the time of sending to a webhook, need be done for one only: it
 * stands for the others, and what it came to goes out with each event in its place. Null where the mapping is of another kind.
 *
 * The events of one `send` have to match the subscription's trigger, all of them.
 */
export function wholeEvents(slug: string, actionKey: string, mapping: JsonObject): WholeEvents | null {
  const definition = requireDefinition(slug);
  const action = definition.actions[actionKey];
  // There actions-core looks for a 401 in every event's answer, to renew the tokens.
  if (definition.authentication?.scheme.startsWith('oauth') === true) return null;
  const field = action === undefined ? null : wholeEventField(action, mapping);
  if (action?.performBatch === undefined || field === null) return null;
  const { performBatch } = action;
  let events: readonly object[] = [];
  let sent: readonly OutgoingMessage[] = [];
  let answers: (CoreEventResult | undefined)[] | null = null;

  const performAll: PerformBatch = async (request, batch) => {
    const answer = await performBatch(writtenAlready(request, events, sent), putInPlace(batch, field, events));
    answers = answersOf(answer, events.length);
    return answer;
  };
  return {
    action: { ...action, performBatch: performAll },
    send: async (messages, call) => {
      events = messages.map(({ event }) => event);
      sent = messages;
      answers = null;
      try {
        const [result] = await call(events.slice(0, 1));
        return answers ?? events.map(() => result);
      } finally {
        // What actions-core made for the call refers to the action, and lives on in old space until the next full collection.
        // With a batch in each of these, the collector copied whole batches over and over.
        events = [];
        sent = [];
        answers = null;
      }
    },
  };
}

/** The field that is the whole event, where nothing else of the mapping looks into the event; else null. */
function wholeEventField(action: CoreActionDefinition, mapping: JsonObject): string | null {
  const looking = Object.entries(mapping).filter(([, value]) => JSON.stringify([value]).includes('"@'));
  const [only] = looking;
  if (only === undefined || looking.length > 1) return null;
  const [key, value] = only;
  if (JSON.stringify(value) !== JSON.stringify({ '@path': WHOLE_EVENT })) return null;
  const field = Object.hasOwn(action.fields, key) ? action.fields[key] : undefined;
  // With any more rules than that, a check might come to something else for the next event, or leave out a part of it.
  const takesAnyObject =
    field?.type === 'object' &&
    field.multiple !== true &&
    field.properties === undefined &&
    field.additionalProperties === undefined;
  return takesAnyObject ? key : null;
}

function putInPlace(batch: CoreBatch, field: string, events: readonly object[]): CoreBatch {
  // Made anew once: actions-core has deleted from it, and what is spread from such an object takes ten times as long.
  const common: JsonObject = Object.fromEntries(Object.entries(batch.payload[0] ?? {}));
  const core = actionsCore();
  return {
    ...batch,
    payload: events.map((event) => {
      const payload = { ...common };
      payload[field] = event;
      return payload;
    }),
    rawData: events,
    // Segment's own statistics, of which actions-core makes an empty one: with any, a webhook writes the headers of every event down.
    statsContext: undefined,
    audienceMembership: events.map((event) => core.resolveAudienceMembership(event, batch.syncMode)),
  };
}

/** A request client for actions whose body is all of these events, one after the other: it sends the JSON that there is of them. */
function writtenAlready(request: CoreRequest, events: readonly object[], written: readonly Written[]): CoreRequest {
  const send: CoreRequest = (url, options = {}) => {
    const { json: value, ...others } = options;
    if (!isThese(value, events)) return request(url, options);
    // As the client of actions-core does it: whatever type the action's own headers say.
    const headers = new (actionsCore().Headers)(others.headers);
    headers.set('content-type', 'application/json');
    return whenInTurn(url, async () => await request(url, { ...others, headers, body: jsonArray(written) }));
  };
  return Object.assign(send, request);
}

function isThese(value: unknown, events: readonly object[]): boolean {
  return (
    Array.isArray(value) && value.length === events.length && events.every((event, index) => value[index] === event)
  );
}

/** What an action said of each event, in actions-core's words; null where it has one answer for all. */
function answersOf(answer: unknown, count: number): (CoreEventResult | undefined)[] | null {
  if (!(answer instanceof actionsCore().MultiStatusResponse)) return null;
  const missing = { status: 500, errormessage: 'the action gave no answer for the event' };
  return Array.from({ length: count }, (_, index) => answer.getResponseAtIndex(index)?.value() ?? missing);
}
