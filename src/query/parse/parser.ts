import {
  COMPARATOR_OF_SYMBOL,
  type Call,
  type Chain,
  type Expression,
  type Junction,
  type Prefix,
  type Query,
} from '../ast.ts';
import { parseCall } from './calls.ts';
import { parseExtractor } from './extractors.ts';
import { TokenReader } from './token-reader.ts';

/**
 * Parses a definition. Throws a QueryError, and nothing else, if the text does not follow the grammar:
 *
 * ```ebnf
 * query      = or , end ;
 * or         = and , { "OR" , and } ;
 * and        = unary , { "AND" , unary } ;
 * unary      = ( "NOT" | "ANY" | "ALL" ) , unary | comparison ;
 * comparison = primary , [ symbol , operand ] ;
 * symbol     = "=" | "==" | "!=" | ">" | ">=" | "<" | "<=" ;
 * primary    = ( extractor | literal | "(" , or , ")" ) , { "." , call } ;   (* calls follow no AND, OR or NOT *)
 * operand    = ( extractor | literal | "(" , operand , ")" ) , { "." , call } ;
 *
 * extractor  = ( "event" | "entity" ) , "(" , string , ")"
 *            | ( "trait" | "context" ) , "(" , string , ")"
 *            | "property" , "(" , [ "parent" , ":" ] , string , ")"
 *            | "literal" , "(" , literal , ")" ;
 * literal    = string | number | date | "true" | "false" ;
 *
 * call       = "where" , "(" , [ "{" ] , or , [ "}" ] , ")"
 *            | "sources" , "(" , [ "{" ] , "exclude" , ":" , list , [ "}" ] , ")"
 *            | "within" , "(" , [ "parent" , ":" ] , duration , ")"
 *            | "between" , "(" , [ "parent" , ":" ] , duration , "," , duration , ")"
 *            | ( "expires_after" | "within_last" | "before_last" | "within_next" | "after_next" ) , "(" , duration , ")"
 *            | ( "count" | "absent" | "exists" ) , "(" , ")"
 *            | ( "sum" | "avg" | "first" | "last" | "unique" ) , "(" , subject , ")"
 *            | ( "max" | "min" ) , "(" , subject , [ "as" , ( "number" | "string" ) ] , ")"
 *            | "mode" , "(" , subject , [ "as" , ( "number" | "string" | "array" ) ] , "," , integer , ")"
 *            | ( "equals" | "differs" | "greater_than" | "at_least" | "less_than" | "at_most" ) , "(" , operand , ")"
 *            | ( "contains" | "one_of" | "none_of" ) , "(" , list , ")"
 *            | ( "omits" | "starts_with" | "ends_with" | "before_date" | "after_date" ) , "(" , value , ")" ;
 * subject    = "property" … | "context" … ;                                  (* the extractors *)
 * value      = literal | "literal" , "(" , literal , ")" ;
 * list       = value , { "," , value } | "[" , value , { "," , value } , "]" ;
 * duration   = integer , ( "hour" | "hours" | "day" | "days" | "second" | "seconds" ) ;
 * ```
 *
 * NOT binds closer than AND, AND closer than OR, a comparison closer than all of them. AND, OR, NOT, ANY and ALL may be
 * in lower case too. What a rule means, and what may follow what in a chain, is check.ts's concern.
 */
export function parseQuery(source: string): Query {
  const reader = new TokenReader(source);
  const root = parseOr(reader);
  if (reader.peek().kind !== 'end') {
    const comparison = root.kind === 'chain' ? ['a comparison', '"."'] : [];
    reader.failExpected(...comparison, 'AND', 'OR', 'the end of the definition');
  }
  return { source, root };
}

function parseOr(reader: TokenReader): Expression {
  return reader.nested(() => parseJunction(reader, 'or', () => parseJunction(reader, 'and', () => parseUnary(reader))));
}

function parseJunction(reader: TokenReader, kind: Junction['kind'], rule: () => Expression): Expression {
  const first = rule();
  const operands = [first];
  while (reader.isKeyword(kind.toUpperCase())) {
    reader.next();
    operands.push(rule());
  }
  if (operands.length === 1) return first;
  return { kind, operands, span: { start: first.span.start, end: reader.lastEnd() } };
}

function parseUnary(reader: TokenReader): Expression {
  if (!reader.isKeyword('NOT', 'ANY', 'ALL')) return parseComparison(reader);
  const token = reader.next();
  const kind = token.text.toLowerCase() as Prefix['kind'];
  const operand = reader.nested(() => parseUnary(reader));
  return { kind, operand, span: { start: token.span.start, end: reader.lastEnd() } };
}

function parseComparison(reader: TokenReader): Expression {
  const start = reader.peek().span.start;
  let expression: Expression;
  if (reader.takeSymbol('(')) {
    expression = parseOr(reader);
    if (!reader.takeSymbol(')')) reader.failExpected('AND', 'OR', '")"');
    if (expression.kind !== 'chain') {
      // `(a AND b)` is whole: neither a call nor a symbol can follow.
      if (reader.isSymbol('.', ...Object.keys(COMPARATOR_OF_SYMBOL))) {
        reader.failExpected('AND', 'OR', '")"', 'the end of the definition');
      }
      return expression;
    }
  } else {
    const extractor = parseExtractor(reader);
    expression = { kind: 'chain', extractor, calls: [], span: extractor.span };
  }
  return parseSymbol(reader, start, parseCalls(reader, start, expression));
}

/** `chain >= operand` is `chain.at_least(operand)`. */
function parseSymbol(reader: TokenReader, start: number, chain: Chain): Chain {
  const token = reader.peek();
  if (token.kind !== 'symbol' || !isComparatorSymbol(token.text)) return chain;
  reader.next();
  const value = parseOperand(reader);
  const end = reader.lastEnd();
  const call: Call = { name: COMPARATOR_OF_SYMBOL[token.text], value, span: { start: token.span.start, end } };
  return { ...chain, calls: [...chain.calls, call], span: { start, end } };
}

function isComparatorSymbol(text: string): text is keyof typeof COMPARATOR_OF_SYMBOL {
  return Object.hasOwn(COMPARATOR_OF_SYMBOL, text);
}

function parseOperand(reader: TokenReader): Chain {
  return reader.nested(() => {
    const start = reader.peek().span.start;
    if (reader.takeSymbol('(')) {
      const inner = parseOperand(reader);
      reader.expectSymbol(')');
      return parseCalls(reader, start, inner);
    }
    const extractor = parseExtractor(reader);
    return parseCalls(reader, start, { kind: 'chain', extractor, calls: [], span: extractor.span });
  });
}

function parseCalls(reader: TokenReader, start: number, chain: Chain): Chain {
  const calls = [...chain.calls];
  while (reader.takeSymbol('.')) {
    calls.push(parseCall(reader, { expression: () => parseOr(reader), operand: () => parseOperand(reader) }));
  }
  return { ...chain, calls, span: { start, end: reader.lastEnd() } };
}
