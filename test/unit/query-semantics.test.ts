import { describe, expect, it } from 'vitest';
import { evaluateAudience, evaluateTrait, parseQuery, type Json, type World } from '../../src/query/index.ts';

/** The semantics by example, on the reference evaluator. That the SQL agrees is test/db/query-semantics.test.ts's concern. */
const AS_OF = new Date('2024-05-15T13:30:00.000Z');
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
  const events = values.map((value, index) => ({
    event: 'A',
    profile: 1,
    timestampMs: AS_OF.getTime() - (values.length - 1 - index) * 60_000,
    messageId: `m${9 - index}`,
    sourceId: 's',
    properties: (value === undefined ? {} : { p: value }) as Json,
    context: {},
  }));
  const json = evaluateTrait(parseQuery(`event('A')${chain}`), context, { ...nothing, events }).get(1);
  return json === undefined ? undefined : (JSON.parse(json) as Json);
}

describe('comparators', () => {
  it.each<[Json | undefined, string, boolean]>([
    // Absence: only `absent` and `omits` hold of nothing, and nothing holds against nothing.
    [undefined, '.absent()', true],
    [null, '.absent()', true],
    [null, '.exists()', false],
    ['', '.exists()', true],
    [null, " != 'x'", false],
    [null, ".none_of('x')", false],
    [null, ".omits('x')", true],
    ['x', " != trait('gone')", false],
    [null, " = trait('gone')", false],
    // Numbers and strings are interchangeable; two strings are compared as texts.
    [5, " = '5'", true],
    [5, " = '5.0'", true],
    ['5', ' = 5', true],
    ['5.0', ' = 5', true],
    ['5.0', " = '5'", false],
    [' 5', ' = 5', false],
    ['1e3', ' = 1000', false],
    [0.1, ' = 0.10', true],
    [1e-11, ' = 0', true],
    ['abc', ' != 5', true],
    [true, " = 'true'", true],
    ['true', ' = true', true],
    [true, " = 'TRUE'", false],
    [[1, 'a'], ` = '[1,"a"]'`, true],
    // Order: numbers by size, dates by time, all else has none.
    ['10', ' > 9', true],
    [10, " > '9'", true],
    ['b', " > 'a'", false],
    [true, ' >= 1', false],
    ['2024-05-16', ' > 2024-05-15', true],
    ['2024-05-16', " > '2024-05-15T23:59:59Z'", true],
    ['2024-05-16', ' > 5', false],
    [5, ' >= 5', true],
    [5, ' > 5', false],
    // A date literal equals its instant however it is spelled; a string literal does not.
    ['2024-05-15T02:00:00+02:00', ' = 2024-05-15', true],
    ['2024-05-15T02:00:00+02:00', " = '2024-05-15'", false],
    // Texts
    ['running shoes', ".contains('boots', 'shoes')", true],
    ['Shoes', ".contains('shoes')", false],
    [1234, ".contains('23')", true],
    [1234, '.starts_with(12.0)', true],
    ['a', ".starts_with('')", true],
    [['red', 'blue'], ".contains('blue')", true],
    ['shoes', ".one_of('shirts', 'shoes')", true],
    [5, ".one_of('5.0', 'x')", true],
    ['5.0', ".one_of('5')", false],
    ['x', ".none_of('y', 5)", true],
  ])('trait %j%s is %s', (value, condition, expected) => {
    expect(holdsOf(value, condition)).toBe(expected);
  });

  it.each<[Json, string, boolean]>([
    ['2024-05-15T13:30:00Z', '.before_date(2024-05-15T13:30:00Z)', false],
    ['2024-05-15T13:29:59.999Z', '.before_date(2024-05-15T13:30:00Z)', true],
    ['2024-05-15T13:30:00Z', '.after_date(2024-05-15T13:30:00Z)', false],
    ['2024-05-15T13:30:00.001Z', ".after_date('2024-05-15 13:30')", true],
    // Whole days in UTC, both ends included, whatever the time of day.
    ['2024-05-08', '.within_last(7 days)', true],
    ['2024-05-07T23:59:59.999Z', '.within_last(7 days)', false],
    ['2024-05-15T23:00:00Z', '.within_last(7 days)', true],
    ['2024-05-16', '.within_last(7 days)', false],
    ['2024-05-15', '.within_next(7 days)', true],
    ['2024-05-14T23:59:59.999Z', '.within_next(7 days)', false],
    ['2024-05-22T23:59:59.999Z', '.within_next(7 days)', true],
    ['2024-05-23', '.within_next(7 days)', false],
    ['2024-05-08T23:59:59.999Z', '.before_last(7 days)', true],
    ['2024-05-09', '.before_last(7 days)', false],
    ['2024-05-22', '.after_next(7 days)', true],
    ['2024-05-21T23:59:59.999Z', '.after_next(7 days)', false],
    // Hours to the millisecond.
    ['2024-05-15T12:30:00Z', '.within_last(1 hour)', true],
    ['2024-05-15T12:29:59.999Z', '.within_last(1 hour)', false],
    ['2024-05-15T13:30:00.001Z', '.within_last(1 hour)', false],
    ['2024-05-15T12:30:00Z', '.before_last(1 hour)', true],
    ['2024-05-15T14:30:00Z', '.within_next(1 hour)', true],
    ['2024-05-15T14:30:00Z', '.after_next(1 hour)', true],
    ['2024-05-15T14:29:59.999Z', '.after_next(1 hour)', false],
    // What is no date is in no range.
    [1_715_779_800, '.within_last(7 days)', false],
    ['2024-02-30', '.before_date(2024-05-15)', false],
    ['yesterday', '.before_last(0 days)', false],
  ])('date %j%s is %s', (value, condition, expected) => {
    expect(holdsOf(value, condition)).toBe(expected);
  });
});

describe('reducers', () => {
  it.each<[readonly (Json | undefined)[], string, Json | undefined]>([
    [[1, null, undefined, 'x'], '.count()', 4],
    [[], '.count()', undefined],
    [[0.1, 0.2, '0.3', 'x', null, true], ".sum(property('p'))", 0.6],
    [['x', null], ".sum(property('p'))", undefined],
    [[1, 2, '2', 'x'], ".avg(property('p'))", 1.6666666666],
    [[-1, -2, -2], ".avg(property('p'))", -1.6666666666],
    [[9, '10', 'zebra'], ".max(property('p'))", 10],
    [[9, '10', 'zebra'], ".max(property('p') as string)", 'zebra'],
    [[9, '10'], ".max(property('p') as string)", '9'],
    [[9, '10', 'abc'], ".min(property('p') as number)", 9],
    [['a', 'b', 'b', 'a', 'c'], ".mode(property('p'), 2)", 'a'],
    [['a', 'b', 'b'], ".mode(property('p'), 3)", undefined],
    [[5, '5', 'x'], ".mode(property('p'), 2)", '5'],
    [[null, null, 'x'], ".mode(property('p'), 1)", 'x'],
    [[null, 5, 'x', undefined], ".first(property('p'))", 5],
    [[null, 5, 'x', undefined], ".last(property('p'))", 'x'],
    [[{ b: 1, a: [1, null] }], ".last(property('p'))", { b: 1, a: [1, null] }],
    [['b', 5, '5', 'a', 'b', null], ".unique(property('p'))", ['5', 'a', 'b', 5]],
    [[null], ".unique(property('p'))", undefined],
    [['b', 5, '5', 'b'], ".unique(property('p')).count()", 3],
    [[1, 2, 3, 4], ".where(property('p') > 1 AND NOT property('p') = 3).sum(property('p'))", 6],
    [[1, 2, 3], ".sources({exclude: 's'}).count()", undefined],
  ])('%j%s is %j', (values, chain, expected) => {
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
