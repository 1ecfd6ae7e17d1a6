import fc from 'fast-check';
import { DATES, EVENT_NAMES, FIELD_PATHS, NUMBERS, SOURCE_IDS, STRINGS, TRAIT_PATHS } from './query-worlds.ts';

/** Random definitions that are right: each is its text, so that a failing case can be read and pasted into a test. */
const quote = (text: string) => `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
const number = (value: number) => value.toFixed(10).replace(/\.?0+$/, '');

const stringLiteral = fc.constantFrom(...STRINGS, ...DATES).map(quote);
const dateLiteral = fc.constantFrom(...DATES.filter((date) => !date.includes(' ')));
const numberLiteral = fc.constantFrom(...NUMBERS.map(number), '100', '2.0');
const literal = fc.oneof(
  { weight: 6, arbitrary: numberLiteral },
  { weight: 4, arbitrary: stringLiteral },
  { weight: 2, arbitrary: dateLiteral },
  { weight: 1, arbitrary: fc.constantFrom('true', 'false') },
);

const trait = fc.constantFrom(...TRAIT_PATHS).map((path) => `trait(${quote(path)})`);
const field = fc
  .tuple(fc.constantFrom('property', 'property', 'context'), fc.constantFrom(...FIELD_PATHS))
  .map(([kind, path]) => `${kind}(${quote(path)})`);

const list = (item: fc.Arbitrary<string>) =>
  fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => items.join(', '));
const duration = fc.constantFrom('0 days', '1 hour', '2 hours', '24 hours', '1 day', '7 days', '10 days');
const part = fc.constantFrom('', 'a', 'b', 'A', '1', '0', '-', ':', '"', "'", '[', 'é', 'e', '\\').map(quote);

function test(operand: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom('.absent()', '.exists()') },
    {
      weight: 10,
      arbitrary: fc.tuple(fc.constantFrom('=', '!=', '>', '>=', '<', '<='), operand).map(([s, o]) => ` ${s} ${o}`),
    },
    { weight: 2, arbitrary: fc.tuple(fc.constantFrom('one_of', 'none_of'), list(literal)).map(call) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('contains'), list(part)).map(call) },
    { weight: 2, arbitrary: fc.tuple(fc.constantFrom('omits', 'starts_with', 'ends_with'), part).map(call) },
    { weight: 1, arbitrary: fc.tuple(fc.constantFrom('before_date', 'after_date'), dateLiteral).map(call) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.constantFrom('within_last', 'before_last', 'within_next', 'after_next'), duration)
        .map(call),
    },
  );
}

const call = ([name, argument]: [string, string]) => `.${name}(${argument})`;

function conditionOf(comparison: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.letrec<{ condition: string }>((tie) => ({
    condition: fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      { weight: 4, arbitrary: comparison },
      { weight: 1, arbitrary: fc.tuple(tie('condition'), tie('condition')).map(([a, b]) => `(${a} AND ${b})`) },
      { weight: 1, arbitrary: fc.tuple(tie('condition'), tie('condition')).map(([a, b]) => `(${a} OR ${b})`) },
      { weight: 1, arbitrary: tie('condition').map((a) => `NOT ${a}`) },
    ),
  })).condition;
}

const rowValue = fc.oneof({ weight: 4, arbitrary: field }, { weight: 1, arbitrary: trait });
const rowCondition = conditionOf(
  fc
    .tuple(rowValue, test(fc.oneof({ weight: 3, arbitrary: literal }, { weight: 1, arbitrary: rowValue })))
    .map(([a, b]) => a + b),
);

const filter = fc.oneof(
  { weight: 3, arbitrary: rowCondition.map((condition) => `.where(${condition})`) },
  { weight: 2, arbitrary: duration.map((d) => `.within(${d})`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('.between(1 hour, 1 day)', '.between(0 days, 7 days)', '.between(24 hours, 10 days)'),
  },
  { weight: 1, arbitrary: list(fc.constantFrom(...SOURCE_IDS).map(quote)).map((ids) => `.sources({exclude: ${ids}})`) },
);

const stream = fc
  .tuple(fc.constantFrom(...EVENT_NAMES), fc.array(filter, { maxLength: 2 }))
  .map(([name, filters]) => `event(${quote(name)})${filters.join('')}`);

const scalarReducer = fc.oneof(
  fc.constant('.count()'),
  fc.constant('.count()'),
  fc.tuple(fc.constantFrom('sum', 'avg', 'first', 'last', 'max', 'min'), field).map(call),
  fc
    .tuple(fc.constantFrom('max', 'min'), field, fc.constantFrom('number', 'string'))
    .map(([name, of, as]) => `.${name}(${of} as ${as})`),
  fc.tuple(field, fc.integer({ min: 1, max: 3 })).map(([of, frequency]) => `.mode(${of}, ${frequency})`),
  field.map((of) => `.unique(${of}).count()`),
);

const reduction = fc.tuple(stream, scalarReducer).map(([events, reducer]) => events + reducer);
const profileValue = fc.oneof({ weight: 3, arbitrary: reduction }, { weight: 2, arbitrary: trait });

export const audienceArbitrary: fc.Arbitrary<string> = conditionOf(
  fc
    .tuple(profileValue, test(fc.oneof({ weight: 4, arbitrary: literal }, { weight: 1, arbitrary: profileValue })))
    .map(([a, b]) => a + b),
);

export const traitArbitrary: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: reduction },
  { weight: 2, arbitrary: fc.tuple(stream, field).map(([events, of]) => `${events}.unique(${of})`) },
  { weight: 1, arbitrary: trait },
);
