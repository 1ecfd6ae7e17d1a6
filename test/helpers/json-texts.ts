import fc from 'fast-check';

const digits = (min: number, max: number) =>
  fc.string({ unit: fc.integer({ min: 0, max: 9 }).map(String), minLength: min, maxLength: max });

/** Numbers in every spelling that JSON has, most of them near where something changes: 2^53, 64 bits, 10^-7, 10^21, 10^308. */
export const numberTextArbitrary: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '0',
    '-0',
    '0.0',
    '1',
    '1.0',
    '-1.50',
    '1e5',
    '1E+5',
    '100e-2',
    '1e-7',
    '0.0000001',
    '0.000001',
    '1e21',
    '1e-400',
    '9007199254740991',
    '9007199254740992',
    '9007199254740993',
    '-9007199254740993',
    '157963456373623803',
    '9223372036854775807',
    '9223372036854775808',
    '-9223372036854775808',
    '-9223372036854775809',
    '18446744073709551615',
    '18446744073709551616',
    '1e400',
    '-1.7976931348623157e308',
    '1.8e308',
    '5e-324',
    '0.1',
    '0.30000000000000004',
    '0.1234567890123456789',
    '12345678901234567890.12345678901234567890',
  ),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => JSON.stringify(number)),
  fc
    .tuple(
      fc.constantFrom('', '-'),
      digits(1, 40).map((text) => text.replace(/^0+(?=.)/, '')),
      fc.oneof(
        fc.constant(''),
        digits(1, 40).map((text) => `.${text}`),
      ),
      fc.oneof(
        { weight: 3, arbitrary: fc.constant('') },
        {
          weight: 1,
          arbitrary: fc
            .tuple(fc.constantFrom('e', 'E'), fc.constantFrom('', '+', '-'), fc.integer({ min: 0, max: 420 }))
            .map((parts) => parts.join('')),
        },
      ),
    )
    .map((parts) => parts.join('')),
);

// Names and texts that could be taken for numbers, for what stands for numbers, or for the end of a string.
const textArbitrary = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'userId',
    ': 1e400',
    '"',
    '\\',
    '\\"',
    '\uFDD0',
    '\uFDD05',
    '"\uFDD05"',
    '\uFDD0\uFDD1',
    '__proto__',
    '1e400',
  ),
  fc.string(),
);
const space = fc.constantFrom('', '', '', ' ', '\n\t');

/** JSON documents as texts, with every spelling of numbers, and blanks where JSON may have them. */
export const jsonTextArbitrary: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    numberTextArbitrary,
    textArbitrary.map((text) => JSON.stringify(text)),
    fc.constantFrom('true', 'false', 'null'),
    fc
      .tuple(space, fc.array(fc.tuple(space, tie('value'), space), { maxLength: 4 }))
      .map(([blank, items]) => `[${items.length === 0 ? blank : items.map((parts) => parts.join('')).join(',')}]`),
    fc
      .tuple(
        space,
        fc.uniqueArray(fc.tuple(textArbitrary, space, tie('value'), space), { maxLength: 4, selector: ([key]) => key }),
      )
      .map(
        ([blank, fields]) =>
          `{${fields.length === 0 ? blank : fields.map(([key, before, value, after]) => `${before}${JSON.stringify(key)}${after}:${before}${value}${after}`).join(',')}}`,
      ),
  ),
})).value;
