/**
 * Numbers as the language computes with them: exact decimals, 28 digits before the point and 10 after it, held as a
 * bigint of 10^-10. Floats are not used: a sum that a comparison follows must not depend on the order of its rows.
 *
 * In ClickHouse a single number is a Decimal(38, 10), and a sum of them a Decimal(76, 10), which 10^28 times more rows
 * than there can be do not overflow.
 */
export const DECIMAL_SCALE = 10;
const ONE = 10n ** BigInt(DECIMAL_SCALE);
const LIMIT = 10n ** 38n;

/** A text that counts as a number. No exponent: `12e5` in a string is far more often an article code than 1,200,000. */
export const NUMERIC_STRING_PATTERN = '^[+-]?[0-9]{1,28}([.][0-9]{1,30})?$';
const NUMERIC_STRING = new RegExp(NUMERIC_STRING_PATTERN);

const NUMBER = /^([+-]?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/**
 * The decimal that a number's text means (`-12.5`, `1e-7`), what is finer than ten digits after the point cut off.
 * Null if the text is no number, or 10^28 or more away from 0.
 */
export function parseDecimal(text: string): bigint | null {
  const parts = NUMBER.exec(text);
  if (parts === null) return null;
  const [, sign, whole = '', fraction = '', exponent = '0'] = parts;
  const shift = DECIMAL_SCALE - fraction.length + Number(exponent);
  if (shift > 400) return /^0*$/.test(whole + fraction) ? 0n : null;
  const digits =
    shift >= 0
      ? (whole + fraction).padEnd(whole.length + fraction.length + shift, '0')
      : (whole + fraction).slice(0, shift);
  const magnitude = BigInt(digits === '' ? '0' : digits);
  if (magnitude >= LIMIT) return null;
  return sign === '-' ? -magnitude : magnitude;
}

/** As parseDecimal, for a string value: null unless the whole string is a plain number. */
export function parseNumericString(text: string): bigint | null {
  return NUMERIC_STRING.test(text) ? parseDecimal(text) : null;
}

/** `12.5`, `-0.001`, `100`: no exponent, no zeros at the end. ClickHouse's toString of a Decimal is the same. */
export function formatDecimal(decimal: bigint): string {
  const magnitude = decimal < 0n ? -decimal : decimal;
  const fraction = (magnitude % ONE).toString().padStart(DECIMAL_SCALE, '0').replace(/0+$/, '');
  return `${decimal < 0n ? '-' : ''}${magnitude / ONE}${fraction === '' ? '' : `.${fraction}`}`;
}

/** A whole number as a decimal. */
export function decimalOfInteger(integer: number): bigint {
  return BigInt(integer) * ONE;
}
