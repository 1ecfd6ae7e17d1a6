import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  QueryError,
  checkQuery,
  formatQueryError,
  parseQuery,
  printQuery,
  referencedTraits,
} from '../../src/query/index.ts';

/** The definitions that the language's reference gives as examples, and whether this version computes them. */
const REFERENCE_AUDIENCES = [
  "event('Shoes Bought').where( property('price') >= 100 ).within(7 days).count() >= 1",
  "NOT ( event('Shoes Bought').count() >= 1 AND trait('total_spend') > 200 )",
  "trait('VIP') = 'true'",
  "event('Shoes Bought').where({property('price_usd') > 100}).between(7 days, 10 days).count() == 0",
  "event('Shoes Bought').sources({exclude: 'QgRHeujRJBM9j18yChyC', '/;hSBZDqGDPvXCKHbikPm'}).count() > 0",
  "NOT (trait('a')) = ('b') OR (trait('a')).absent()",
  'trait("plan").one_of("pro", "team") and not trait("born").within_next(7 days)',
];
const REFERENCE_TRAITS = [
  "event('Shoes Bought').within(30 days).avg(property('spend'))",
  "event('Shoes Bought').where( property('price') > 100 AND property('brand') = 'My Brand' ).min(property('spend'))",
  "event('Shoes Bought').within(30 days).first(property('spend'))",
  "event('Shoes Bought').within(30 days).mode(property('spend'), 2)",
  "event('Shoes Bought').mode(property('spend') as array, 2)",
  "event('Page Viewed').unique(context('page.url'))",
];
const LATER = [
  "event('A').where(property('p') >= trait('t') AND event('B').within(parent: 5 days).count() >= 1).count() >= 1",
  "entity('orders').where(entity('order-products').count() >= 1).count() >= 1",
  "event('A').expires_after(1 hour).count() >= 1",
  "event('A').where(property(parent: 'x') = 1).count() >= 1",
  "event('A').max(property('items.$.price')) > 5",
];

const asAudience = { kind: 'audience', definitionType: 'USERS' } as const;
const asTrait = { kind: 'computed_trait', definitionType: 'USERS' } as const;

function errorOf(text: string, options: Parameters<typeof checkQuery>[1] = asAudience): QueryError {
  try {
    checkQuery(parseQuery(text), options);
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
  throw new Error(`no error in ${text}`);
}

describe('the reference’s examples', () => {
  it.each(REFERENCE_AUDIENCES)('audience: %s', (text) => {
    expect(checkQuery(parseQuery(text), asAudience).kind).toBe('audience');
  });
  it.each(REFERENCE_TRAITS)('computed trait: %s', (text) => {
    expect(checkQuery(parseQuery(text), asTrait).kind).toBe('computed_trait');
  });
  it.each(LATER)('parsed, and refused as not supported yet: %s', (text) => {
    expect(errorOf(text).code).toBe('query_unsupported');
    expect(errorOf(text).message).toContain('not supported yet');
  });
  it('refuses ACCOUNTS, and ANY and ALL over USERS', () => {
    const text = "ALL NOT event('Shoes Bought').count() >= 1";
    expect(errorOf(text, { kind: 'audience', definitionType: 'ACCOUNTS' }).code).toBe('query_unsupported');
    expect(errorOf(text).message).toContain('ALL asks about the users of an account');
  });
});

describe('the grammar', () => {
  const shape = (text: string) => printQuery(parseQuery(text));

  it.each([
    ['a symbol is a comparator', "trait('a').at_least(1)", "trait('a') >= 1"],
    ['both spellings of equals', "trait('a') == 'x'", "trait('a') = 'x'"],
    [
      'AND before OR',
      "trait('a')=1 OR trait('b')=2 AND trait('c')=3",
      "trait('a') = 1 OR trait('b') = 2 AND trait('c') = 3",
    ],
    [
      'parentheses that matter',
      "(trait('a')=1 OR trait('b')=2) AND trait('c')=3",
      "(trait('a') = 1 OR trait('b') = 2) AND trait('c') = 3",
    ],
    ['parentheses that do not', "((trait('a')) = ((1)))", "trait('a') = 1"],
    ['NOT before AND', "NOT trait('a') = 1 AND trait('b') = 2", "NOT trait('a') = 1 AND trait('b') = 2"],
    [
      'NOT of a junction',
      "not(trait('a').exists() or trait('b').exists())",
      "NOT (trait('a').exists() OR trait('b').exists())",
    ],
    ['literal()', "trait('a') = literal(2022-10-17T00:00:00)", "trait('a') = 2022-10-17T00:00:00"],
    ['quotes', `trait("it's") = "\\"q\\""`, String.raw`trait('it\'s') = '"q"'`],
    ['units', "event('A').within(1 days).count() > 24", "event('A').within(1 day).count() > 24"],
  ])('%s', (_name, text, printed) => {
    expect(shape(text)).toBe(printed);
    expect(shape(printed)).toBe(printed);
  });

  it('knows the traits that a definition reads, wherever they stand', () => {
    const text =
      "NOT event('A').where(property('p') > trait('avg.x') AND trait('in_where') = 1).count() > trait('limit') OR trait('avg.y').exists()";
    expect(referencedTraits(parseQuery(text))).toEqual(['avg', 'in_where', 'limit']);
    expect(referencedTraits(parseQuery(String.raw`trait('a\\.b.c') = 1`))).toEqual(['a.b']);
  });
});

describe('errors', () => {
  it.each([
    ["event('A').cuont() >= 1", 'cuont', 'There is no function "cuont". Did you mean "count"?'],
    ['', '', 'Found the end of the definition'],
    ["trait('a') = ", '', 'Found the end of the definition'],
    ["(trait('a') = 1", '', 'expected AND, OR or ")"'],
    ["trait('a') trait('b')", "trait('b')".slice(0, 5), 'Found trait, expected'],
    ['trait(‘a’) = 1', '‘', 'Strings stand in'],
    ["trait('a) = 1", "'a) = 1", 'no closing'],
    ["trait('a') > 2024-02-30", '2024-02-30', 'is not a date'],
    ["event('A').within(7 weeks).count() = 1", 'weeks', 'Found weeks, expected hours or days'],
    ["event('A').within(40000 days).count() = 1", '40000 days', 'A duration may be'],
    ["event('A').within(30 seconds).count() = 1", '30 seconds', 'in hours or days'],
    ["event('A').mode(property('p'), 0) = 1", '0', 'a whole number from 1'],
    ["event('A').sum(trait('t')) = 1", 'trait', "expected property('…') or context('…')"],
    ["event('A')", "event('A')", 'ends in a stream of events'],
    ["event('A').count()", "event('A').count()", 'ends in a single value'],
    ["event('A').unique(property('p'))", "event('A').unique(property('p'))", 'ends in a list'],
    ["event('A').unique(property('p')) = 1", '= 1', "equals can't follow a list of values. Expected count."],
    ["event('A').count().sum(property('p')) = 1", "sum(property('p'))", "sum can't follow a single value"],
    ["trait('a').exists().absent()", 'absent()', 'Nothing can follow it'],
    ["trait('a').count() = 1", 'count()', "count can't follow a single value"],
    ["event('A').where(property('p')).count() = 1", "property('p')", 'ends in a single value'],
    ["property('p') = 1", "property('p')", 'inside a where or a reducer only'],
    ["5 = trait('a')", '5', 'nothing can be chained'],
    ["trait('a') = event('A')", "event('A')", 'is a stream of events'],
    ["trait('a..b') = 1", "trait('a..b')", 'A path is'],
    ["event('A').between(10 days, 7 days).count() = 1", 'between(10 days, 7 days)', 'the shorter duration'],
    ["trait('a').before_date('soon')", "'soon'", 'takes a date'],
    ["trait('a') = 0.12345678901", '0.12345678901', '10 after it'],
  ])('%s', (text, wrong, message) => {
    const error = errorOf(text);
    expect(error.message).toContain(message);
    expect(text.slice(error.offset, error.offset + error.length)).toBe(wrong);
  });

  it.each(["event('A')", "trait('a') = 1", '5', "trait('a').exists() AND trait('b').exists()"])(
    'no computed trait: %s',
    (text) => {
      expect(errorOf(text, asTrait).message).toContain('A computed trait is a value');
    },
  );

  it('say where they are: offset, line, column, found and expected, and show it', () => {
    const text = "event('A').count() >= 1 AND\n\ttrait('😀b').exsts() OR";
    const error = errorOf(text);
    expect(error).toMatchObject({ offset: 42, length: 5, line: 2, column: 15, found: 'exsts' });
    expect(error.expected).toContain('exists');
    expect(formatQueryError(error, text)).toBe(
      [
        'Line 2, column 15: There is no function "exsts". Did you mean "exists"?',
        "  \ttrait('😀b').exsts() OR",
        '  \t            ^^^^^',
      ].join('\n'),
    );
  });

  it('show the part of a long line that matters', () => {
    const text = `${"trait('a') = 1 AND ".repeat(20)}trait('b') ? 1 AND ${"trait('a') = 1 AND ".repeat(20)}`;
    const [, line = '', carets = ''] = formatQueryError(errorOf(text), text).split('\n');
    expect(line.length).toBeLessThan(110);
    expect(line[carets.indexOf('^')]).toBe('?');
  });

  it('count primary expressions, in a where too, and stop at 50', () => {
    const fifty = Array.from({ length: 49 }, () => "property('p') = 1").join(' OR ');
    expect(checkQuery(parseQuery(`event('A').where(${fifty}).count() = 1`), asAudience).kind).toBe('audience');
    expect(errorOf(`event('A').where(${fifty} OR property('q') = 1).count() = 1`).message).toContain(
      '50 primary expressions',
    );
  });

  it.each([
    ['parentheses', '('.repeat(4000)],
    ['NOT', 'NOT '.repeat(2000)],
    ['operands', `trait('a') = ${'('.repeat(4000)}`],
    ['wheres', "event('A').where(".repeat(500)],
  ])('bound how deep %s go', (_name, text) => {
    expect(errorOf(text).message).toContain('nested 50 levels deep');
  });

  it('bound how long a definition is', () => {
    expect(errorOf(`trait('a') = '${'x'.repeat(10_000)}'`).message).toContain('10000 characters');
  });
});

describe('any text at all', () => {
  const words =
    readFileSync(new URL('../../src/query/functions.ts', import.meta.url), 'utf8').match(/[a-z_]{3,}/g) ?? [];
  const symbols = [
    '(',
    ')',
    '{',
    '}',
    '[',
    ']',
    '.',
    ',',
    ':',
    '=',
    '!=',
    '>=',
    '<',
    "'x'",
    '"',
    "'",
    '\\',
    '-',
    '$',
    '7 days',
    '2024-01-01',
  ];
  const soup = fc
    .array(
      fc.oneof(
        fc.constantFrom(...words, 'AND', 'OR', 'NOT', 'event', 'trait', 'as', 'parent', 'exclude'),
        fc.constantFrom(...symbols),
      ),
      { maxLength: 30 },
    )
    .map((parts) => parts.join(' '));
  /** Right definitions with a piece cut out or doubled: they get far into the grammar before they go wrong. */
  const broken = fc
    .tuple(
      fc.constantFrom(...REFERENCE_AUDIENCES, ...REFERENCE_TRAITS, ...LATER),
      fc.nat(),
      fc.nat(12),
      fc.string({ maxLength: 3, unit: 'binary' }),
    )
    .map(([text, at, length, put]) => text.slice(0, at % text.length) + put + text.slice((at % text.length) + length));

  it('is parsed and checked, or refused with a QueryError that points into it', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), soup, broken),
        fc.constantFrom(asAudience, asTrait),
        (text, options) => {
          try {
            checkQuery(parseQuery(text), options);
          } catch (error) {
            if (!(error instanceof QueryError)) throw error;
            expect(error.offset + error.length).toBeLessThanOrEqual(text.length);
            expect(error.column).toBeGreaterThan(0);
            expect(formatQueryError(error, text)).toContain('^');
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
