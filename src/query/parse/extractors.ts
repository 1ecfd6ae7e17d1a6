import type { Extractor, LiteralNode } from '../ast.ts';
import { DECIMAL_SCALE } from '../values/decimal.ts';
import { EXTRACTORS } from '../functions.ts';
import type { TokenReader } from './token-reader.ts';

const STARTS = ['event(…)', 'trait(…)', 'a literal', '"("'];

/** The grammar's rules `extractor` and `literal`: what every chain begins with. */
export function parseExtractor(reader: TokenReader): Extractor {
  if (isLiteral(reader)) return parseLiteral(reader);
  const token = reader.peek();
  if (token.kind !== 'name' || reader.isKeyword('AND', 'OR', 'NOT', 'ANY', 'ALL'))
    return reader.failExpected(...STARTS);
  const { start } = token.span;
  switch (token.text) {
    case 'event':
    case 'entity': {
      const { text } = parseName(reader);
      return { kind: token.text, name: text, span: { start, end: reader.lastEnd() } };
    }
    case 'trait':
    case 'property':
    case 'context': {
      const { text, parent } = parseName(reader, token.text === 'property');
      return { kind: token.text, path: text, parent, span: { start, end: reader.lastEnd() } };
    }
    case 'literal':
      return parseValue(reader);
    default:
      return reader.failUnknown(token, 'function to begin with', EXTRACTORS);
  }
}

function parseName(reader: TokenReader, mayHaveParent = false): { text: string; parent: boolean } {
  reader.next();
  reader.expectSymbol('(');
  const parent = mayHaveParent && takeParent(reader);
  const { text } = reader.expect('string', 'a name in quotes');
  reader.expectSymbol(')');
  return { text, parent };
}

/** Takes the `parent:` that a funnel's inner filters begin with. */
export function takeParent(reader: TokenReader): boolean {
  const colon = reader.peek(1);
  if (!reader.isKeyword('PARENT') || colon.kind !== 'symbol' || colon.text !== ':') return false;
  reader.next();
  reader.next();
  return true;
}

/** The rule `value`: a literal, bare or as `literal(…)`. */
export function parseValue(reader: TokenReader): LiteralNode {
  if (!reader.isKeyword('LITERAL')) return parseLiteral(reader);
  const { start } = reader.next().span;
  reader.expectSymbol('(');
  const literal = parseLiteral(reader);
  reader.expectSymbol(')');
  return { ...literal, span: { start, end: reader.lastEnd() } };
}

function isLiteral(reader: TokenReader): boolean {
  const { kind } = reader.peek();
  return kind === 'string' || kind === 'number' || kind === 'date' || reader.isKeyword('TRUE', 'FALSE');
}

function parseLiteral(reader: TokenReader): LiteralNode {
  if (!isLiteral(reader)) return reader.failExpected('a string', 'a number', 'a date', 'true', 'false');
  const { kind, text, span } = reader.next();
  if (kind === 'name') return { kind: 'literal', type: 'boolean', text: text.toLowerCase(), span };
  if (kind === 'number') {
    const [whole = '', fraction = ''] = text.replace('-', '').split('.');
    if (whole.length > 28 || fraction.length > DECIMAL_SCALE) {
      reader.fail(span, `A number may have 28 digits before the point and ${DECIMAL_SCALE} after it.`);
    }
  }
  return { kind: 'literal', type: kind as 'string' | 'number' | 'date', text, span };
}
