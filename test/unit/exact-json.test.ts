import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalJson,
  canonicalNumber,
  ExactNumber,
  findExact,
  parseJson,
  stringifyJson,
  toPlain,
} from '../../src/exact-json.ts';
import { storedJson, storedToJson } from '../../src/stored-json.ts';
import { jsonTextArbitrary, numberTextArbitrary } from '../helpers/json-texts.ts';

/** A number's value as an integer and a power of ten, without zeros at its end. */
function valueOf(text: string): { digits: bigint; exponent: number } {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  let digits = BigInt(whole + fraction);
  let power = Number(exponent) - fraction.length;
  if (digits === 0n) return { digits: 0n, exponent: 0 };
  while (digits % 10n === 0n) {
    digits /= 10n;
    power += 1;
  }
  return { digits: sign === '-' ? -digits : digits, exponent: power };
}

describe('canonicalNumber', () => {
  test('has the same value, one spelling for each, and JSON can read it', () => {
    fc.assert(
      fc.property(numberTextArbitrary, fc.nat({ max: 12 }), (text, zeros) => {
        const canonical = canonicalNumber(text);
        expect(valueOf(canonical)).toEqual(valueOf(text));
        expect(canonicalNumber(canonical)).toBe(canonical);
        expect(() => JSON.parse(canonical) as unknown).not.toThrow();
        if (/\.\d+$/.test(text)) expect(canonicalNumber(text + '0'.repeat(zeros))).toBe(canonical);
      }),
    );
  });

  test.each([
    ['1.0', '1'],
    ['-0', '0'],
    ['1e5', '100000'],
    ['1e-7', '0.0000001'],
    ['0.10', '0.1'],
    ['1e-10', '0.0000000001'],
    ['1e-11', '1e-11'],
    ['123e26', '1.23e28'],
    ['123e25', '1230000000000000000000000000'],
    ['1E400', '1e400'],
    ['9007199254740993', '9007199254740993'],
  ])('%s is %s', (text, canonical) => expect(canonicalNumber(text)).toBe(canonical));
});

describe('parseJson', () => {
  test('takes what JSON.parse takes and nothing else, and gives the same but for numbers that a double would change', () => {
    // A text, cut and mended somewhere, so that many are nearly JSON.
    const almost = fc
      .tuple(
        jsonTextArbitrary,
        fc.nat(),
        fc.nat({ max: 3 }),
        fc.constantFrom('', '0', '1e400', '"', ':', ',', '}', '\\', '.5'),
      )
      .map(([text, at, cut, put]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + put + text.slice(place + cut);
      });
    fc.assert(
      fc.property(fc.oneof(jsonTextArbitrary, almost), (text) => {
        let plain: unknown;
        try {
          plain = JSON.parse(text);
        } catch {
          expect(() => parseJson(text)).toThrow(SyntaxError);
          return;
        }
        const asDoubles = (value: unknown): unknown => {
          if (value instanceof ExactNumber) return Number(value.source);
          if (Array.isArray(value)) return value.map(asDoubles);
          if (typeof value !== 'object' || value === null) return value;
          return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asDoubles(item)]));
        };
        expect(asDoubles(parseJson(text))).toEqual(plain);
      }),
      { numRuns: 600 },
    );
  });

  test('and stringifyJson: what is written has the value that was read, digit for digit', () => {
    fc.assert(
      fc.property(jsonTextArbitrary, (text) => {
        expect(canonicalJson(stringifyJson(parseJson(text)))).toBe(stringifyJson(parseJson(canonicalJson(text))));
        expect(stringifyJson(parseJson(text))).toBe(canonicalJson(stringifyJson(parseJson(text))));
      }),
      { numRuns: 400 },
    );
  });

  test('keeps how an id was written, and finds numbers by their path', () => {
    const parsed = parseJson('{"userId": 1.0, "a": {"b": [1, 1e400]}}');
    expect(parsed).toEqual({ userId: new ExactNumber('1.0'), a: { b: [1, new ExactNumber('1e400')] } });
    expect(findExact(parsed, ({ changesAsDouble }) => changesAsDouble)?.path).toBe('a.b.1');
    expect(toPlain(parsed)).toEqual({ userId: 1, a: { b: [1, '1e400'] } });
    expect(JSON.stringify(parsed)).toBe('{"userId":1,"a":{"b":[1,"1e400"]}}');
  });
});

test('what ClickHouse stores comes back as the same JSON, and has no number that its parser would change', () => {
  fc.assert(
    fc.property(jsonTextArbitrary, (text) => {
      const stored = storedJson(parseJson(text));
      expect(storedToJson(stored)).toBe(stringifyJson(parseJson(text)));
      if (!/^[[{]/.test(stored)) return;
      for (const [number] of stored.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').matchAll(/-?\d[\d.eE+-]*/g)) {
        const fits = /^-?\d+$/.test(number) && BigInt(number) >= -(2n ** 63n) && BigInt(number) < 2n ** 64n;
        expect(fits || String(Number(number)) === number, number).toBe(true);
      }
    }),
    { numRuns: 400 },
  );
});
