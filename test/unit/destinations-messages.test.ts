import { canonicalJson, parseJson } from '../../src/exact-json.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRetryAfter } from '../../src/destinations/actions-core/classify.ts';
import { jsonArray } from '../../src/destinations/delivery/written-events.ts';
import { changeOutcomes, messageBuilder, type MessageComputation } from '../../src/destinations/index.ts';

const trait: MessageComputation = {
  id: 'trt_1',
  key: 'revenue',
  name: 'Revenue',
  kind: 'computed_trait',
  definitionType: 'USERS',
  spaceId: 'spa_1',
  spaceSlug: 'shop',
};
const context = {
  connectionId: 'con_1',
  extractId: 7,
  timestamp: new Date(1_000),
  externalAudienceId: null,
  audienceSettings: {},
};
const change = { idx: 4, value: '12.5', userId: 'u1', anonymousId: 'a1', traits: { email: 'a@b.c' } };

describe('messageBuilder', () => {
  it('sends a computed trait as "Trait Computed" and as an identify', () => {
    const common = {
      userId: 'u1',
      timestamp: '1970-01-01T00:00:01.000Z',
      context: {
        personas: {
          computation_class: 'computed_trait',
          computation_id: 'trt_1',
          computation_key: 'revenue',
          namespace: 'shop',
          space_id: 'spa_1',
        },
        traits: { email: 'a@b.c' },
      },
    };
    expect(messageBuilder(trait, context)([change]).map(({ idx, event }) => ({ idx, event }))).toEqual([
      {
        idx: 4,
        event: {
          messageId: 'con_1-ext7-4-track',
          type: 'track',
          event: 'Trait Computed',
          properties: { trait_key: 'revenue', revenue: 12.5 },
          ...common,
        },
      },
      {
        idx: 4,
        event: {
          messageId: 'con_1-ext7-4-identify',
          type: 'identify',
          traits: { email: 'a@b.c', revenue: 12.5 },
          ...common,
        },
      },
    ]);
  });

  it('sends null where there is no value any more', () => {
    const [, identify] = messageBuilder(trait, context)([{ ...change, value: '', traits: {} }]);
    expect(identify?.event.traits).toEqual({ revenue: null });
    expect(identify?.event.context).not.toHaveProperty('traits');
  });

  it('sends an account as a group call', () => {
    const messages = messageBuilder({ ...trait, definitionType: 'ACCOUNTS' }, context)([{ ...change, userId: 'acme' }]);
    expect(messages.map(({ event }) => event)).toMatchObject([
      { type: 'group', groupId: 'acme', traits: { revenue: 12.5 }, messageId: 'con_1-ext7-4-group' },
    ]);
  });

  it('keeps the digits of a value in the JSON, and gives actions what JavaScript has', () => {
    const value = '[9007199254740993,1e400,0.12345678901234567890,12345678901234567890.5,1.5]';
    const [track] = messageBuilder(
      trait,
      context,
    )([{ ...change, value, traits: parseJson('{"email":9007199254740993}') as never }]);
    const text = track === undefined ? '' : jsonArray([track]).toString();
    expect(text).toContain('"revenue":[9007199254740993,1e400,0.1234567890123456789,12345678901234567890.5,1.5]');
    expect(text).toContain('"traits":{"email":9007199254740993}');
    expect(track?.event.properties?.['revenue']).toEqual([
      '9007199254740993',
      '1e400',
      0.12345678901234568,
      12345678901234567000,
      1.5,
    ]);
    expect(track?.event.context['traits']).toEqual({ email: '9007199254740993' });
  });

  it('writes messages as JSON.stringify does, whatever is in them and whichever of them are wanted', () => {
    const kinds = fc.constantFrom(
      ['computed_trait', 'USERS'] as const,
      ['computed_trait', 'ACCOUNTS'] as const,
      ['audience', 'USERS'] as const,
      ['audience', 'ACCOUNTS'] as const,
    );
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(
        kinds,
        fc.record({ id: text, key: text, name: text, spaceId: text, spaceSlug: text }),
        fc.record({
          connectionId: text,
          externalAudienceId: fc.option(text),
          audienceSettings: fc.dictionary(text, fc.jsonValue()),
        }),
        fc.array(
          fc.record({
            idx: fc.nat(),
            value: fc.oneof(fc.constantFrom('', 'true', 'false'), fc.json()),
            userId: fc.oneof(fc.constant(''), text),
            anonymousId: text,
            traits: fc.dictionary(text, fc.jsonValue(), { noNullPrototype: true }),
          }),
          { maxLength: 6 },
        ),
        fc.func(fc.boolean()),
        fc.boolean(),
        ([kind, definitionType], of, about, changes, isWanted, backwards) => {
          const build = messageBuilder(
            { ...trait, ...of, kind, definitionType },
            { ...context, ...about, audienceSettings: about.audienceSettings },
          );
          const made = build(changes).filter(({ place }) => isWanted(place));
          if (backwards) made.reverse();
          const json = JSON.stringify(made.map(({ event }) => event));
          // As fast-check spells them; a number that only JSON holds is in the text alone.
          const spelt = canonicalJson(json);
          expect(canonicalJson(jsonArray(made).toString())).toBe(spelt);
        },
      ),
    );
  });

  it.each(['u', 'ü'])('writes hundreds of them, in whichever letters: %s', (letter) => {
    const changes = Array.from({ length: 300 }, (_, idx) => ({
      ...change,
      idx,
      userId: idx % 100 === 99 ? `${letter}${idx}` : `u${idx}`,
    }));
    const made = messageBuilder(trait, context)(changes);
    for (const some of [made, made.slice(100, 500), made.filter(({ place }) => place % 3 === 0), made.slice(0, 0)]) {
      expect(jsonArray(some).toString()).toBe(JSON.stringify(some.map(({ event }) => event)));
    }
  });

  it('gives every message an id of its own, the same one each time', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(), { maxLength: 50 }), fc.jsonValue(), (indexes, value) => {
        const changes = indexes.map((idx) => ({ ...change, idx, value: JSON.stringify(value) }));
        const build = () => messageBuilder(trait, context)(changes).map(({ event }) => event);
        expect(build()).toEqual(build());
        expect(new Set(build().map(({ messageId }) => messageId)).size).toBe(2 * indexes.length);
      }),
    );
  });
});

describe('changeOutcomes', () => {
  it('takes the worst of a change’s messages', () => {
    const messages = [0, 0, 1, 1, 2, 2, 3, 3].map((idx) => ({ idx }));
    const rejected = { status: 'rejected' as const, httpStatus: 400, reason: 'no' };
    const skipped = { status: 'skipped' as const, reason: 'no subscription' };
    const outcomes = [
      skipped,
      { status: 'delivered' as const },
      { status: 'delivered' as const },
      rejected,
      rejected,
      { status: 'retry' as const },
      skipped,
      skipped,
    ];
    expect([...changeOutcomes(messages, outcomes)].map(([idx, { status }]) => [idx, status])).toEqual([
      [0, 'delivered'],
      [1, 'rejected'],
      [2, 'retry'],
      [3, 'skipped'],
    ]);
  });
});

describe('parseRetryAfter', () => {
  it.each([
    [null, null],
    ['', null],
    ['soon', null],
    ['-1', null],
    ['0', 0],
    ['120', 120_000],
    ['1.5', 1_500],
    ['Thu, 01 Jan 1970 00:00:10 GMT', 9_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ])('%j is %j', (header, waitMs) => {
    expect(parseRetryAfter(header, 1_000)).toBe(waitMs);
  });
});
