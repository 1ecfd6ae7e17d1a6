import {
  actionsCore,
  requireDefinition,
  type CoreActionDefinition,
  type CoreBatch,
  type CoreEventResult,
  type JsonObject,
  type PerformBatch,
} from './actions-core.ts';

const WHOLE_EVENT = '$.';

/** How a batch is sent by an action that takes whole events. */
export interface WholeEvents {
  /** The action for actions-core: given one event of a batch, it sends them all. */
  action: CoreActionDefinition;
  /** Sends events by `call`, which hands one of them to actions-core; gives a result for each. */
  send(
    events: readonly object[],
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
  let answers: (CoreEventResult | undefined)[] | null = null;

  const performAll: PerformBatch = async (request, batch) => {
    const answer = await performBatch(request, putInPlace(batch, field, events));
    answers = answersOf(answer, events.length);
    return answer;
  };
  return {
    action: { ...action, performBatch: performAll },
    send: async (all, call) => {
      events = all;
      answers = null;
      const [result] = await call(all.slice(0, 1));
      return answers ?? all.map(() => result);
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
  const field = action.fields[key];
  // With any more rules than that, a check might come to something else for the next event, or leave out a part of it.
  const takesAnyObject =
    field?.type === 'object' &&
    field.multiple !== true &&
    field.properties === undefined &&
    field.additionalProperties === undefined;
  return takesAnyObject ? key : null;
}

function putInPlace(batch: CoreBatch, field: string, events: readonly object[]): CoreBatch {
  // Copied by hand: actions-core deleted from it, and to copy an object of that kind a million times takes a while.
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
    audienceMembership: events.map((event) => core.resolveAudienceMembership(event, batch.syncMode)),
  };
}

/** What an action said of each event, in actions-core's words; null where it has one answer for all. */
function answersOf(answer: unknown, count: number): (CoreEventResult | undefined)[] | null {
  if (!(answer instanceof actionsCore().MultiStatusResponse)) return null;
  const missing = { status: 500, errormessage: 'the action gave no answer for the event' };
  return Array.from({ length: count }, (_, index) => answer.getResponseAtIndex(index)?.value() ?? missing);
}
