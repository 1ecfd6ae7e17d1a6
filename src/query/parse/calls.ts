import type {
  Call,
  Chain,
  Duration,
  DurationUnit,
  Expression,
  LiteralNode,
  ReducerSubject,
  ValueType,
} from '../ast.ts';
import { parseExtractor, parseValue, takeParent } from './extractors.ts';
import { ALL_FUNCTIONS, isCallName } from '../functions.ts';
import type { TokenReader } from './token-reader.ts';

/** The rules that calls' arguments lead back to. */
interface Rules {
  readonly expression: () => Expression;
  readonly operand: () => Chain;
}

/** A call without its span. Distributes over the union, which Omit alone does not. */
type CallBody = Call extends infer Member ? (Member extends Call ? Omit<Member, 'span'> : never) : never;

/** The grammar's rule `call`: a function's name and its arguments, after the dot. */
export function parseCall(reader: TokenReader, rules: Rules): Call {
  const token = reader.expect('name', 'a function');
  if (!isCallName(token.text)) return reader.failUnknown(token, 'function', ALL_FUNCTIONS);
  reader.expectSymbol('(');
  const body = parseBody(reader, token.text, rules);
  reader.expectSymbol(')');
  return { ...body, span: { start: token.span.start, end: reader.lastEnd() } };
}

function parseBody(reader: TokenReader, name: Call['name'], rules: Rules): CallBody {
  switch (name) {
    case 'where':
      return { name, condition: inBraces(reader, rules.expression) };
    case 'sources':
      return { name, exclude: inBraces(reader, () => parseExclude(reader)) };
    case 'within':
      return { name, parent: takeParent(reader), duration: parseDuration(reader) };
    case 'between': {
      const parent = takeParent(reader);
      const from = parseDuration(reader);
      reader.expectSymbol(',');
      return { name, parent, from, to: parseDuration(reader) };
    }
    case 'expires_after':
    case 'within_last':
    case 'before_last':
    case 'within_next':
    case 'after_next':
      return { name, duration: parseDuration(reader) };
    case 'count':
    case 'absent':
    case 'exists':
      return { name };
    case 'sum':
    case 'avg':
    case 'first':
    case 'last':
    case 'unique':
      return { name, of: parseSubject(reader) };
    case 'max':
    case 'min':
      return { name, of: parseSubject(reader), as: parseType(reader, ['number', 'string']) };
    case 'mode': {
      const of = parseSubject(reader);
      const as = parseType(reader, ['number', 'string', 'array']);
      reader.expectSymbol(',');
      return { name, of, as, minFrequency: parseInteger(reader, 1, 1_000_000_000, 'the minimum frequency') };
    }
    case 'equals':
    case 'differs':
    case 'greater_than':
    case 'at_least':
    case 'less_than':
    case 'at_most':
      return { name, value: rules.operand() };
    case 'contains':
    case 'one_of':
    case 'none_of':
      return { name, values: parseList(reader) };
    case 'omits':
    case 'starts_with':
    case 'ends_with':
    case 'before_date':
    case 'after_date':
      return { name, value: parseValue(reader) };
    default:
      return name satisfies never;
  }
}

/** The reference writes `where({…})` in one place and `where(…)` in another: both are read, and the second is printed. */
function inBraces<T>(reader: TokenReader, rule: () => T): T {
  const braced = reader.takeSymbol('{');
  const node = rule();
  if (braced) reader.expectSymbol('}');
  return node;
}

function parseExclude(reader: TokenReader): LiteralNode[] {
  if (!reader.isKeyword('EXCLUDE')) reader.failExpected('exclude:');
  reader.next();
  reader.expectSymbol(':');
  return parseList(reader);
}

function parseList(reader: TokenReader): LiteralNode[] {
  const bracketed = reader.takeSymbol('[');
  const values = [parseValue(reader)];
  while (reader.takeSymbol(',')) values.push(parseValue(reader));
  if (bracketed) reader.expectSymbol(']');
  return values;
}

function parseSubject(reader: TokenReader): ReducerSubject {
  if (!reader.isKeyword('PROPERTY', 'CONTEXT')) reader.failExpected("property('…')", "context('…')");
  return parseExtractor(reader) as ReducerSubject;
}

function parseType<Type extends ValueType>(reader: TokenReader, types: readonly Type[]): Type | null {
  if (!reader.isKeyword('AS')) return null;
  reader.next();
  const type = types.find((candidate) => reader.isKeyword(candidate.toUpperCase()));
  if (type === undefined) return reader.failExpected(...types);
  reader.next();
  return type;
}

const UNITS: Readonly<Record<string, DurationUnit>> = {
  HOUR: 'hour',
  HOURS: 'hour',
  DAY: 'day',
  DAYS: 'day',
  SECOND: 'second',
  SECONDS: 'second',
};

// A hundred years: what is longer is a slip, and would leave the range of dates that the engine knows.
const MAX_AMOUNT: Readonly<Record<DurationUnit, number>> = { second: 3_155_760_000, hour: 876_600, day: 36_525 };

function parseDuration(reader: TokenReader): Duration {
  const { span } = reader.peek();
  const amount = parseInteger(reader, 0, MAX_AMOUNT.second, 'a duration such as 7 days');
  const token = reader.peek();
  const unit = token.kind === 'name' ? UNITS[token.text.toUpperCase()] : undefined;
  if (unit === undefined) return reader.failExpected('hours', 'days');
  reader.next();
  const whole = { start: span.start, end: reader.lastEnd() };
  if (amount > MAX_AMOUNT[unit]) reader.fail(whole, `A duration may be ${MAX_AMOUNT[unit]} ${unit}s long.`);
  return { amount, unit, span: whole };
}

function parseInteger(reader: TokenReader, min: number, max: number, expected: string): number {
  const token = reader.expect('number', expected);
  const value = /^[0-9]+$/.test(token.text) ? Number(token.text) : Number.NaN;
  if (value >= min && value <= max) return value;
  return reader.fail(token.span, `Found ${token.text}, expected ${expected}: a whole number from ${min} to ${max}.`, [
    expected,
  ]);
}
