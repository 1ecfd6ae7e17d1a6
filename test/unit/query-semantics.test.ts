import { describe, expect, it } from 'vitest';
import { evaluateAudience, evaluateTrait, parseQuery, type Json, type World } from '../../src/query/index.ts';
import { CONDITIONS, DATE_CONDITIONS, REDUCTIONS, eventsWith } from '../db/query-examples.ts';
import { AS_OF } from '../db/query-worlds.ts';

/** The semantics by example, on the reference evaluator. That the SQL agrees is test/db/query-semantics.test.ts's concern. */
const context = { asOf: AS_OF, traits: () => ({ from: 'profile' }) as const };

const nothing: World = {
  profiles: [{ profile: 1, mergedInto: 0 }],
  events: [],
  traits: [],
  audienceVersions: [],
  traitVersions: [],
};

/** Whether a condition on the trait `t` holds of a profile with this value. */
function holdsOf(value: Json | undefined, condition: string): boolean {
  const traits = value === undefined ? [] : [{ profile: 1, trait: 't', value, version: 1 }];
  return evaluateAudience(parseQuery(`trait('t')${condition}`), context, { ...nothing, traits }).length === 1;
}

/** The value of a computed trait over events `A` with these values of the property `p`, one a minute, the last at as-of. */
function reduced(values: readonly (Json | undefined)[], chain: string): Json | undefined {
  const events = eventsWith(values, 1);
  const json = evaluateTrait(parseQuery(`event('A')${chain}`), context, { ...nothing, events }).get(1);
  return json === undefined ? undefined : (JSON.parse(json) as Json);
}

describe('comparators', () => {
  it.each(CONDITIONS)('trait %j%s is %s', (value, condition, expected) => {
    expect(holdsOf(value, condition)).toBe(expected);
  });

  it.each(DATE_CONDITIONS)('date %j%s is %s', (value, condition, expected) => {
    expect(holdsOf(value, condition)).toBe(expected);
  });
});

describe('reducers', () => {
  it.each(REDUCTIONS)('%j%s is %j', (values, chain, expected) => {
    expect(reduced(values, chain)).toEqual(expected);
  });

  it('break ties of first and last by message id', () => {
    const event = { event: 'A', profile: 1, timestampMs: 0, sourceId: 's', context: {} };
    const events = ['m2', 'm10', 'M3'].map((messageId) => ({ ...event, messageId, properties: { p: messageId } }));
    const valueOf = (text: string) => evaluateTrait(parseQuery(text), context, { ...nothing, events }).get(1);
    expect(valueOf("event('A').first(property('p'))")).toBe('"M3"');
    expect(valueOf("event('A').last(property('p'))")).toBe('"m2"');
  });

  it.each([
    ['within(1 hour)', [3_599_999, 0]],
    ['between(1 hour, 2 hours)', [7_199_999, 3_600_000]],
  ])('%s begins just after its far end and includes its near one, and nothing is seen after as-of', (window, ages) => {
    const events = [7_200_000, 7_199_999, 3_600_000, 3_599_999, 0, -1].map((age) => ({
      event: 'A',
      profile: 1,
      timestampMs: AS_OF.getTime() - age,
      messageId: `m${age}`,
      sourceId: 's',
      properties: { age },
      context: {},
    }));
    const json = evaluateTrait(parseQuery(`event('A').${window}.unique(property('age'))`), context, {
      ...nothing,
      events,
    });
    expect((JSON.parse(json.get(1) ?? '[]') as number[]).sort((a, b) => b - a)).toEqual(ages);
  });
});

describe('profiles', () => {
  const event = { event: 'A', timestampMs: 0, messageId: 'm', sourceId: 's', properties: {}, context: {} };
  const world: World = {
    profiles: [
      { profile: 1, mergedInto: 0 },
      { profile: 2, mergedInto: 1 },
      { profile: 3, mergedInto: 0 },
    ],
    events: [
      { ...event, profile: 1 },
      { ...event, profile: 2 },
      { ...event, profile: 99 },
    ],
    traits: [
      { profile: 1, trait: 't', value: 'old', version: 1 },
      { profile: 2, trait: 't', value: 'new', version: 2 },
      { profile: 3, trait: 't', value: 'x', version: 3 },
      { profile: 3, trait: 't', value: null, version: 4 },
    ],
    audienceVersions: [{ computationId: 'aud', version: 7, members: [2] }],
    traitVersions: [
      {
        computationId: 'trt',
        version: 8,
        values: [
          [2, 20],
          [1, 10],
          [3, 30],
        ],
      },
    ],
  };
  const traits = (name: string) => {
    if (name === 'vip') return { from: 'audience', computationId: 'aud', version: 7 } as const;
    return name === 'spend'
      ? ({ from: 'computed_trait', computationId: 'trt', version: 8 } as const)
      : ({ from: 'profile' } as const);
  };

  it.each([
    ['everyone that stands is asked', "event('Z').count() = 0", [1, 3]],
    ['events of a merged profile count for the other', "event('A').count() = 2", [1]],
    ['and so do its traits, the latest write first', "trait('t') = 'new'", [1]],
    ['a trait that was taken away is absent', "trait('t').absent()", [3]],
    ['members of an audience have it as true', "trait('vip') = true", [1]],
    ['others have it not at all', "trait('vip').absent()", [3]],
    ['a computed trait has its own value first', "trait('spend') = 10", [1]],
    ['event counts compare with traits', "trait('spend') > event('A').count()", [1, 3]],
  ])('%s: %s', (_name, text, expected) => {
    expect(evaluateAudience(parseQuery(text), { asOf: AS_OF, traits }, world)).toEqual(expected);
  });
});
