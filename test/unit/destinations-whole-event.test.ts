import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDestinationDeps, type JsonObject } from '../../src/destinations/index.ts';
import {
  actionsCore,
  createCoreDestination,
  requireDefinition,
  type CoreEventResult,
  type PerformBatch,
} from '../../src/destinations/actions-core/actions-core.ts';
import { callCore } from '../../src/destinations/actions-core/call-core.ts';
import { getDefinition } from '../../src/destinations/catalogue/definitions.ts';
import { checkSubscriptions } from '../../src/destinations/settings/subscriptions.ts';
import { wholeEvents } from '../../src/destinations/delivery/whole-event.ts';
import { createSecretBox } from '../../src/security/index.ts';
import { outgoing } from '../helpers/outgoing.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';

const deps = createDestinationDeps({
  secretBox: createSecretBox('a secret for tests only, 32 characters'),
  allowPrivateAddresses: true,
});
const TRIGGER = 'type = "track"';

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  await receiver.close();
});

/** What became of events at a webhook, by actions-core alone or by one event that stands for all. `mapping` is not checked. */
async function send(
  events: readonly object[],
  options: { mapping?: JsonObject; settings?: JsonObject; whole: boolean },
): Promise<(CoreEventResult | undefined)[]> {
  const [completed] = checkSubscriptions(getDefinition('webhook'), [{ mapping: { url: receiver.url } }]);
  const mapping = { ...completed?.mapping, ...options.mapping };
  const whole = options.whole ? wholeEvents('webhook', 'send', mapping) : null;
  if (options.whole) expect(whole).not.toBeNull();
  const core = createCoreDestination('webhook', 5_000, whole === null ? {} : { send: whole.action });
  const settings = { ...options.settings, subscriptions: [{ partnerAction: 'send', subscribe: TRIGGER, mapping }] };
  const call = async (some: readonly object[]): Promise<(CoreEventResult | undefined)[]> => {
    const [result] = await callCore(deps, undefined, async (signal) => await core.onBatch(some, settings, { signal }), {
      workspaceId: 'wrk_1',
    });
    return result?.multistatus ?? [];
  };
  if (whole === null) return await call(events);
  return await whole.send(outgoing(events), call);
}

function track(index: number, properties: JsonObject): object {
  return { type: 'track', event: 'Audience Entered', messageId: `m${index}`, userId: `u${index}`, properties };
}

// Where actions-core copies, it loses a key of this name; what hands an event on as it is keeps it.
const properties = fc
  .dictionary(fc.string(), fc.jsonValue())
  .filter((value) => !JSON.stringify(value).includes('__proto__'));

describe('one event stands for a batch', () => {
  it('sends what actions-core would send of each, whatever is in them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(properties, { minLength: 1, maxLength: 8 }),
        fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.stringMatching(/^[a-z0-9]{1,8}$/)),
        fc.constantFrom('POST', 'PUT', 'PATCH'),
        async (several, headers, method) => {
          receiver.requests.length = 0;
          const events = several.map((own, index) => track(index, own as JsonObject));
          const mapping = { method, headers: { ...headers, authorization: 'Bearer x', 'Content-Type': 'text/plain' } };
          const settings = { sharedSecret: 'shared' };
          const each = await send(events, { mapping, settings, whole: false });
          const all = await send(events, { mapping, settings, whole: true });
          expect(all.map((result) => result?.status)).toEqual(each.map((result) => result?.status));
          const [one, other] = receiver.requests;
          expect(other?.body).toEqual(one?.body);
          expect(other?.method).toBe(method);
          expect({ ...other?.headers, 'content-length': null }).toEqual({ ...one?.headers, 'content-length': null });
          expect(other?.headers['content-length']).toBe(one?.headers['content-length']);
        },
      ),
      { numRuns: 40 },
    );
  });

  it.each([400, 413, 429, 500])('tells of all what it was answered: %i', async (status) => {
    receiver.behave(() => ({ status, body: { said: 'no' } }));
    const events = [1, 2, 3].map((index) => track(index, {}));
    const failures: unknown[] = [];
    for (const whole of [false, true]) {
      await send(events, { whole }).catch((error: unknown) => failures.push((error as { response: object }).response));
    }
    expect(failures).toMatchObject([{ status }, { status }]);
  });

  it('tells of all what the check of one came to', async () => {
    const options = { mapping: { method: 'DELETE' }, whole: true };
    const events = [1, 2].map((index) => track(index, {}));
    const refused = { status: 400, errormessage: expect.stringContaining('Method') as string };
    await expect(send(events, options)).resolves.toMatchObject([refused, refused]);
    expect(receiver.requests).toEqual([]);
  });

  it('gives each event its own answer where the action has one for each', async () => {
    const MultiStatusResponse = actionsCore().MultiStatusResponse as unknown as new () => {
      pushSuccessResponse(one: object): void;
      pushErrorResponse(one: object): void;
    };
    const events = [0, 1, 2].map((index) => track(index, {}));
    const definition = requireDefinition('webhook');
    const perform = definition.actions['send']?.performBatch;
    const answering: PerformBatch = async (_request, batch) => {
      const answer = new MultiStatusResponse();
      for (const [index, payload] of batch.payload.entries()) {
        expect(payload['data']).toBe(events[index]);
        if (index === 1) answer.pushErrorResponse({ status: 422, errormessage: 'not you' });
        else answer.pushSuccessResponse({ status: 200, body: {}, sent: {} });
      }
      return await Promise.resolve(answer);
    };
    try {
      Object.assign(definition.actions['send'] ?? {}, { performBatch: answering });
      const results = await send(events, { whole: true });
      expect(results.map((result) => result?.status)).toEqual([200, 422, 200]);
    } finally {
      Object.assign(definition.actions['send'] ?? {}, { performBatch: perform });
    }
  });
});

describe('where no event can stand for others', () => {
  const base = { url: 'https://example.com/', method: 'POST', data: { '@path': '$.' } };

  it.each<[string, JsonObject]>([
    ['another field looks into the event', { ...base, headers: { user: { '@path': '$.userId' } } }],
    ['a part of the event is sent', { ...base, data: { '@path': '$.properties' } }],
    ['the event is put into something', { ...base, data: { event: { '@path': '$.' } } }],
    ['nothing of the event is sent', { ...base, data: { fixed: true } }],
    ['the mapping as a whole is a directive', { __segment_internal_directive: { '@transform': {} }, ...base }],
  ])('%s', (_, mapping) => {
    expect(wholeEvents('webhook', 'send', mapping)).toBeNull();
  });

  it('an action that is not there, or takes no batches', () => {
    expect(wholeEvents('webhook', 'nothing', base)).toBeNull();
    expect(wholeEvents('slack', 'postToChannel', base)).toBeNull();
  });

  it('a field whose parts are checked', () => {
    const mapping = { user_data: { '@path': '$.' }, event_name: 'x' };
    expect(wholeEvents('facebook-conversions-api', 'purchase', mapping)).toBeNull();
  });
});
