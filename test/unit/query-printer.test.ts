import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseQuery, printQuery, type Query } from '../../src/query/index.ts';

/**
 * Random syntax trees, whether or not they make sense: printing is about the grammar alone. A tree is a nested object that
 * parseQuery could have made, without its spans.
 */
const text = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom("it's", 'a\\.b', '\\', "\\'", '"', 'ü😀', 'a\nb'));
const literal = fc.oneof(
  fc.record({ kind: fc.constant('literal'), type: fc.constant('string'), text }),
  fc.record({
    kind: fc.constant('literal'),
    type: fc.constant('number'),
    text: fc.constantFrom('0', '-5', '007', '1.50', '-0.0001'),
  }),
  fc.record({ kind: fc.constant('literal'), type: fc.constant('boolean'), text: fc.constantFrom('true', 'false') }),
  fc.record({
    kind: fc.constant('literal'),
    type: fc.constant('date'),
    text: fc.constantFrom('2024-01-01', '2024-01-01T10:00:00.5+02:00'),
  }),
);
const path = (...kinds: string[]) =>
  fc.record({ kind: fc.constantFrom(...kinds), path: text, parent: fc.constant(false) });
const parentPath = fc.record({ kind: fc.constant('property'), path: text, parent: fc.boolean() });
const extractor = fc.oneof(
  fc.record({ kind: fc.constantFrom('event', 'entity'), name: text }),
  path('trait', 'context'),
  parentPath,
  literal,
);
const subject = fc.oneof(path('context'), parentPath);
const duration = fc.record({ amount: fc.nat(100), unit: fc.constantFrom('hour', 'day', 'second') });
const values = fc.array(literal, { minLength: 1, maxLength: 3 });
const named = (...names: string[]) => ({ name: fc.constantFrom(...names) });

const { expression } = fc.letrec((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3 },
    tie('chain'),
    fc.record({
      kind: fc.constantFrom('and', 'or'),
      operands: fc.array(tie('expression'), { minLength: 2, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constantFrom('not', 'any', 'all'), operand: tie('expression') }),
  ),
  chain: fc.record({
    kind: fc.constant('chain'),
    extractor,
    calls: fc.array(tie('call'), { maxLength: 3 }),
  }),
  call: fc.oneof(
    { maxDepth: 3 },
    fc.record(named('count', 'absent', 'exists')),
    fc.record({ ...named('within'), duration, parent: fc.boolean() }),
    fc.record({ ...named('between'), from: duration, to: duration, parent: fc.boolean() }),
    fc.record({ ...named('expires_after', 'within_last', 'before_last', 'within_next', 'after_next'), duration }),
    fc.record({ ...named('sources'), exclude: values }),
    fc.record({ ...named('sum', 'avg', 'first', 'last', 'unique'), of: subject }),
    fc.record({ ...named('max', 'min'), of: subject, as: fc.constantFrom(null, 'number', 'string') }),
    fc.record({
      ...named('mode'),
      of: subject,
      as: fc.constantFrom(null, 'number', 'string', 'array'),
      minFrequency: fc.integer({ min: 1, max: 99 }),
    }),
    fc.record({ ...named('contains', 'one_of', 'none_of'), values }),
    fc.record({ ...named('omits', 'starts_with', 'ends_with', 'before_date', 'after_date'), value: literal }),
    fc.record({
      ...named('equals', 'differs', 'greater_than', 'at_least', 'less_than', 'at_most'),
      value: tie('chain'),
    }),
    fc.record({ ...named('where'), condition: tie('expression') }),
  ),
}));

const withoutSpans = (node: unknown) =>
  JSON.parse(JSON.stringify(node, (key, value: unknown) => (key === 'span' ? undefined : value))) as unknown;

it('prints a text that parses to the same tree', () => {
  fc.assert(
    fc.property(expression, (root) => {
      const tree = withoutSpans(root);
      const printed = printQuery({ root: tree as Query['root'] });
      fc.pre(printed.length <= 10_000);
      expect(withoutSpans(parseQuery(printed).root)).toEqual(tree);
    }),
    { numRuns: 500 },
  );
});
