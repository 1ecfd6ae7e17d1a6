import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  changeOutcomes,
  changesPerBatch,
  createDestinationDeps,
  deliverBatch,
  messageBuilder,
  prepareAudience,
  type JsonObject,
  type MessageComputation,
  type OpenDestination,
  type OutgoingMessage,
} from '../../src/destinations/index.ts';
import { checkSubscriptions } from '../../src/destinations/settings/subscriptions.ts';
import { getDefinition } from '../../src/destinations/catalogue/definitions.ts';
import { createSecretBox } from '../../src/security/index.ts';
import { failFirst, refuseUsers, startReceiver, type Receiver } from '../helpers/receiver.ts';

const REQUEST_TIMEOUT_MS = 300;
const secretBox = createSecretBox('a secret for tests only, 32 characters');
const deps = createDestinationDeps({ secretBox, allowPrivateAddresses: true, requestTimeoutMs: REQUEST_TIMEOUT_MS });
const audience: MessageComputation = {
  id: 'aud_1',
  key: 'big_spenders',
  name: 'Big spenders',
  kind: 'audience',
  definitionType: 'USERS',
  spaceId: 'spa_1',
  spaceSlug: 'shop',
};

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  await receiver.close();
});

function openWebhook(mapping: JsonObject = {}, settings: JsonObject = {}, trigger = 'type = "track"'): OpenDestination {
  return open('webhook', { url: receiver.url, ...mapping }, settings, trigger);
}

function open(slug: string, mapping: JsonObject, settings: JsonObject, trigger?: string): OpenDestination {
  const drafts = checkSubscriptions(getDefinition(slug), [{ mapping, trigger }]);
  return {
    id: 'dst_1',
    workspaceId: 'wrk_1',
    slug,
    name: slug,
    settings,
    subscriptions: drafts.map((draft, index) => ({ id: `sub_${index}`, ...draft })),
  };
}

/** The track and identify messages of users u0, u1, …: they enter the audience. */
function messages(count: number): OutgoingMessage[] {
  const build = messageBuilder(audience, {
    connectionId: 'con_1',
    extractId: 1,
    timestamp: new Date(0),
    externalAudienceId: null,
    audienceSettings: {},
  });
  return build(
    Array.from({ length: count }, (_, idx) => ({
      idx,
      value: 'true',
      userId: `u${idx}`,
      anonymousId: '',
      traits: { email: `u${idx}@example.com` },
    })),
  );
}

function statuses(outcomes: readonly { status: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of outcomes) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

function failureCode(result: Awaited<ReturnType<typeof deliverBatch>>): string {
  const { stopped } = result;
  return stopped === null ? 'none' : 'failure' in stopped ? stopped.failure.code : stopped.kind;
}

describe('deliverBatch', () => {
  it('sends a batch in one request, and skips what no subscription is for', async () => {
    const batch = messages(3);
    const result = await deliverBatch(deps, { destination: openWebhook(), messages: batch });
    expect(result.stopped).toBeNull();
    expect(statuses(result.outcomes)).toEqual({ delivered: 3, skipped: 3 });
    expect([...changeOutcomes(batch, result.outcomes).values()].map((outcome) => outcome.status)).toEqual([
      'delivered',
      'delivered',
      'delivered',
    ]);
    expect(receiver.counts()).toEqual({ requests: 1, messages: 3, distinctMessages: 3 });
    expect(receiver.accepted[0]).toEqual({
      messageId: 'con_1-ext1-0-track',
      type: 'track',
      event: 'Audience Entered',
      userId: 'u0',
      properties: { audience_key: 'big_spenders', audience_name: 'Big spenders', big_spenders: true },
      context: {
        personas: {
          computation_class: 'audience',
          computation_id: 'aud_1',
          computation_key: 'big_spenders',
          namespace: 'shop',
          space_id: 'spa_1',
        },
        traits: { email: 'u0@example.com' },
      },
      timestamp: '1970-01-01T00:00:00.000Z',
    });
  });

  it('keeps to the batch size of the mapping, and of the action', async () => {
    const result = await deliverBatch(deps, { destination: openWebhook({ batch_size: 2 }), messages: messages(5) });
    expect(statuses(result.outcomes)['delivered']).toBe(5);
    expect(receiver.requests.map((request) => request.messages.length)).toEqual([2, 2, 1]);
    expect(changesPerBatch(openWebhook({ batch_size: 200 }))).toBe(100);
    expect(changesPerBatch(openWebhook())).toBe(500);
    expect(changesPerBatch(openWebhook({ batch_size: 50_000 }))).toBe(500);
  });

  it('puts only events with the same batch keys into one request', async () => {
    const destination = openWebhook({ headers: { 'x-user': { '@path': '$.userId' } } });
    const result = await deliverBatch(deps, { destination, messages: messages(3) });
    expect(statuses(result.outcomes)['delivered']).toBe(3);
    expect(receiver.requests.map(({ headers, messages: [message] }) => [headers['x-user'], message?.userId])).toEqual([
      ['u0', 'u0'],
      ['u1', 'u1'],
      ['u2', 'u2'],
    ]);
  });

  it('finds the events that a batch was refused for, and delivers the others once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.integer({ min: 0, max: 39 }), { maxLength: 6 }),
        async (count, picked) => {
          const target = await startReceiver();
          try {
            const bad = [...new Set(picked.filter((index) => index < count))].map((index) => `u${index}`);
            target.behave(refuseUsers(bad));
            const batch = messages(count).filter(({ event }) => event.type === 'track');
            const result = await deliverBatch(deps, { destination: openWebhook({ url: target.url }), messages: batch });
            expect(result.stopped).toBeNull();
            const rejected = batch.filter((_, position) => result.outcomes[position]?.status === 'rejected');
            expect(new Set(rejected.map(({ event }) => event.userId))).toEqual(new Set(bad));
            expect(target.counts()).toMatchObject({
              messages: count - bad.length,
              distinctMessages: count - bad.length,
            });
          } finally {
            await target.close();
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it('gives up splitting a batch that is refused whatever is in it', async () => {
    receiver.behave(() => ({ status: 400, body: { error: 'no list with this id' } }));
    const batch = messages(500).filter(({ event }) => event.type === 'track');
    const result = await deliverBatch(deps, { destination: openWebhook(), messages: batch });
    expect(result.stopped).toBeNull();
    expect(statuses(result.outcomes)).toEqual({ rejected: 500 });
    expect(result.outcomes[0]).toEqual({
      status: 'rejected',
      httpStatus: 400,
      reason: '400 Bad Request: {"error":"no list with this id"}',
    });
    expect(receiver.requests.length).toBeLessThan(120);
  });

  it.each([
    ['destination_unavailable', { status: 503 }],
    ['destination_unavailable', { status: 500 }],
    ['destination_unreachable', { reset: 'request' }],
    ['destination_timeout', { hang: 'request' }],
    ['destination_timeout', { hang: 'body' }],
    ['destination_credentials_rejected', { status: 401 }],
    ['destination_credentials_rejected', { status: 403 }],
    ['destination_rate_limited', { status: 429 }],
  ] as const)('leaves the batch to be retried on %s (%j), with one request', async (code, reaction) => {
    receiver.behave(() => reaction);
    const result = await deliverBatch(deps, { destination: openWebhook(), messages: messages(4) });
    expect(failureCode(result)).toBe(code);
    expect(statuses(result.outcomes)).toEqual({ retry: 4, skipped: 4 });
    expect(receiver.counts()).toEqual({ requests: 1, messages: 0, distinctMessages: 0 });
  });

  it('does not take a destination that resets while it answers for one that took the batch', async () => {
    receiver.behave(() => ({ reset: 'body' }));
    const result = await deliverBatch(deps, { destination: openWebhook(), messages: messages(1) });
    expect(statuses(result.outcomes)).toEqual({ retry: 1, skipped: 1 });
    expect(failureCode(result)).toBe('destination_unreachable');
  });

  it('keeps what was acknowledged before a failure, and sends the rest under the same message ids', async () => {
    receiver.behave(({ number }) => (number === 2 ? { status: 503 } : undefined));
    const destination = openWebhook({ batch_size: 2 });
    const batch = messages(6).filter(({ event }) => event.type === 'track');
    const first = await deliverBatch(deps, { destination, messages: batch });
    expect(first.outcomes.map(({ status }) => status)).toEqual([
      'delivered',
      'delivered',
      'retry',
      'retry',
      'retry',
      'retry',
    ]);
    const rest = batch.filter((_, position) => first.outcomes[position]?.status === 'retry');
    expect((await deliverBatch(deps, { destination, messages: rest })).stopped).toBeNull();
    expect(receiver.counts()).toMatchObject({ messages: 6, distinctMessages: 6 });
  });

  it('says how long to wait: Retry-After of a 429, and of a 503', async () => {
    receiver.behave(failFirst(1, { status: 429, headers: { 'retry-after': '2' } }));
    const limited = await deliverBatch(deps, { destination: openWebhook(), messages: messages(1) });
    expect(limited.stopped).toMatchObject({ kind: 'rate_limited', retryAfterMs: 2_000 });
    receiver.behave(() => ({ status: 503, headers: { 'retry-after': '1' } }));
    const busy = await deliverBatch(deps, { destination: openWebhook(), messages: messages(1) });
    expect(busy.stopped).toMatchObject({ kind: 'rate_limited', retryAfterMs: 1_000 });
  });

  it('aborts the request that is under way', async () => {
    receiver.behave(() => ({ hang: 'request' }));
    const controller = new AbortController();
    const slow = createDestinationDeps({ secretBox, allowPrivateAddresses: true });
    const delivery = deliverBatch(slow, {
      destination: openWebhook(),
      messages: messages(1),
      signal: controller.signal,
    });
    await receiver.received(() => true);
    const abortedAt = performance.now();
    controller.abort(new Error('shutting down'));
    const result = await delivery;
    expect(result.stopped).toEqual({ kind: 'aborted' });
    expect(performance.now() - abortedAt).toBeLessThan(500);
    expect(statuses(result.outcomes)).toEqual({ retry: 1, skipped: 1 });
  });

  it('follows no redirect, and keeps what it was to send: the address is to blame', async () => {
    receiver.behave(({ path }) => (path === '/' ? { status: 302, headers: { location: '/elsewhere' } } : undefined));
    const result = await deliverBatch(deps, { destination: openWebhook(), messages: messages(3) });
    expect(failureCode(result)).toBe('destination_redirected');
    expect(statuses(result.outcomes)).toEqual({ retry: 3, skipped: 3 });
    expect(receiver.requests.map(({ path }) => path)).toEqual(['/']);
  });

  it('refuses private addresses where the installation does not allow them', async () => {
    const guarded = createDestinationDeps({ secretBox, allowPrivateAddresses: false });
    for (const url of [receiver.url, `http://localhost:${receiver.port}`, 'http://[::1]:1/', 'http://10.0.0.1/']) {
      const result = await deliverBatch(guarded, { destination: openWebhook({ url }), messages: messages(1) });
      expect(failureCode(result), url).toBe('destination_address_refused');
    }
    expect(receiver.requests).toHaveLength(0);
  });

  it('does not open a connection that nobody checks', async () => {
    const guarded = createDestinationDeps({ secretBox, allowPrivateAddresses: false });
    const destination = { ...openWebhook(), slug: 'kafka' };
    const result = await deliverBatch(guarded, { destination, messages: messages(1) });
    expect(failureCode(result)).toBe('destination_address_refused');
    expect(statuses(result.outcomes)).toEqual({ retry: 2 });
  });

  it('signs with the shared secret, and shows neither it nor the address in what it says', async () => {
    const sharedSecret = 'quite-a-secret-indeed';
    receiver.behave(() => ({ status: 418, body: `signed with ${sharedSecret}` }));
    const result = await deliverBatch(deps, {
      destination: openWebhook({}, { sharedSecret }),
      messages: messages(1),
    });
    expect(receiver.requests[0]?.headers['x-signature']).toMatch(/^[0-9a-f]{40}$/);
    expect(result.outcomes[0]).toMatchObject({ status: 'rejected', httpStatus: 418 });
    expect(JSON.stringify(result)).not.toContain(sharedSecret);
    receiver.behave(() => ({ reset: 'request' }));
    const failed = await deliverBatch(deps, { destination: openWebhook(), messages: messages(1) });
    expect(failed.stopped?.kind === 'failed' && failed.stopped.failure.detail).not.toContain('127.0.0.1');
  });

  it('rejects an event that the action’s own check refuses, and delivers the others', async () => {
    const destination = openWebhook({ url: { '@path': '$.properties.address' }, batch_keys: [] });
    const [one, two] = messages(2).filter(({ event }) => event.type === 'track');
    if (one === undefined || two === undefined) throw new Error('two messages');
    one.event.properties = { address: receiver.url };
    two.event.properties = {};
    const result = await deliverBatch(deps, { destination, messages: [one, two] });
    expect(result.outcomes).toEqual([
      { status: 'delivered' },
      { status: 'rejected', httpStatus: 400, reason: expect.stringContaining("missing the required field 'url'") },
    ]);
  });

  it('sends each event alone where batching is off', async () => {
    receiver.behave(refuseUsers(['u1'], { status: 422 }));
    const destination = openWebhook();
    for (const subscription of destination.subscriptions) subscription.mapping['enable_batching'] = false;
    const result = await deliverBatch(deps, { destination, messages: messages(7) });
    expect(statuses(result.outcomes)).toEqual({ delivered: 6, rejected: 1, skipped: 7 });
    expect(receiver.requests.every(({ body }) => !Array.isArray(body))).toBe(true);
  });
});

describe('an audience destination', () => {
  const settings = () => ({ createAudienceUrl: `${receiver.url}/audiences`, sharedSecret: 'quite-a-secret-indeed' });
  const destination = () => open('webhook-audiences', { url: `${receiver.url}/members` }, settings());
  const prepare = (externalAudienceId: string | null = null) =>
    prepareAudience(deps, {
      destination: destination(),
      computation: audience,
      audienceSettings: { extras: '{"list":"vip"}' },
      externalAudienceId,
    });

  it('gets its audience made by its key, and the id that it gave it in every message', async () => {
    receiver.behave(({ path }) => (path === '/audiences' ? { body: { externalId: 'ext-7' } } : undefined));
    expect(await prepare()).toBe('ext-7');
    expect(receiver.requests[0]?.body).toEqual({ audienceName: 'big_spenders', list: 'vip' });
    expect(await prepare('ext-7')).toBe('ext-7');
    expect(receiver.requests).toHaveLength(1);

    const batch = messageBuilder(audience, {
      connectionId: 'con_1',
      extractId: 2,
      timestamp: new Date(0),
      externalAudienceId: 'ext-7',
      audienceSettings: { extras: '{"list":"vip"}' },
    })([{ idx: 0, value: '', userId: '', anonymousId: 'a1', traits: {} }]);
    const result = await deliverBatch(deps, { destination: destination(), messages: batch });
    expect(statuses(result.outcomes)).toEqual({ delivered: 2 });
    expect(receiver.accepted[0]).toMatchObject({
      event: 'Audience Exited',
      anonymousId: 'a1',
      properties: { big_spenders: false },
      context: { personas: { external_audience_id: 'ext-7' } },
      list: 'vip',
    });
  });

  it.each([
    ['destination_settings_invalid', { body: { nothing: true } }],
    ['destination_settings_invalid', { status: 400 }],
    ['destination_credentials_rejected', { status: 401 }],
    ['destination_unavailable', { status: 502 }],
    ['destination_rate_limited', { status: 429 }],
    ['destination_timeout', { hang: 'body' }],
  ] as const)('fails with %s where it answers %j', async (code, reaction) => {
    receiver.behave(() => reaction);
    await expect(prepare()).rejects.toMatchObject({ name: 'TaskFailure', code });
    expect(receiver.requests).toHaveLength(1);
  });

  it('is not asked for a computed trait, nor is one that keeps no audiences', async () => {
    const trait = { ...audience, kind: 'computed_trait' as const };
    const input = { audienceSettings: {}, externalAudienceId: null };
    expect(await prepareAudience(deps, { ...input, destination: destination(), computation: trait })).toBeNull();
    expect(await prepareAudience(deps, { ...input, destination: openWebhook(), computation: audience })).toBeNull();
    expect(receiver.requests).toHaveLength(0);
  });
});
