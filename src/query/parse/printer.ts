import {
  COMPARATOR_OF_SYMBOL,
  type Call,
  type Chain,
  type Duration,
  type Expression,
  type Extractor,
  type LiteralNode,
  type Query,
} from '../ast.ts';

/**
 * The canonical text of a syntax tree: one way to space, quote and parenthesise. Parsing it gives the same tree, spans
 * aside.
 */
export function printQuery(query: Pick<Query, 'root'>): string {
  return printExpression(query.root);
}

function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'and':
    case 'or': {
      // Only an AND inside an OR stands without parentheses: `(a AND b) AND c` is another tree than `a AND b AND c`.
      const bare = expression.kind === 'or' ? 'and' : null;
      return expression.operands
        .map((operand) => (operand.kind === bare ? printExpression(operand) : printUnary(operand)))
        .join(` ${expression.kind.toUpperCase()} `);
    }
    case 'not':
    case 'any':
    case 'all':
      return `${expression.kind.toUpperCase()} ${printUnary(expression.operand)}`;
    case 'chain':
      return printChain(expression, true);
    default:
      return expression satisfies never;
  }
}

function printUnary(expression: Expression): string {
  const text = printExpression(expression);
  return expression.kind === 'and' || expression.kind === 'or' ? `(${text})` : text;
}

/** Symbols stand at a chain's end only, and never within an operand, where a second one could not be told apart. */
function printChain(chain: Chain, withSymbol: boolean): string {
  const calls = chain.calls.map((call, index) => {
    const symbol = withSymbol && index === chain.calls.length - 1 ? symbolOf(call) : null;
    return symbol === null ? `.${call.name}(${printArguments(call)})` : ` ${symbol} ${printArguments(call)}`;
  });
  return printExtractor(chain.extractor) + calls.join('');
}

function symbolOf(call: Call): string | null {
  return Object.entries(COMPARATOR_OF_SYMBOL).find(([, name]) => name === call.name)?.[0] ?? null;
}

function printExtractor(extractor: Extractor): string {
  switch (extractor.kind) {
    case 'event':
    case 'entity':
      return `${extractor.kind}(${quote(extractor.name)})`;
    case 'trait':
    case 'property':
    case 'context':
      return `${extractor.kind}(${printParent(extractor.parent)}${quote(extractor.path)})`;
    case 'literal':
      return printLiteral(extractor);
    default:
      return extractor satisfies never;
  }
}

function printArguments(call: Call): string {
  switch (call.name) {
    case 'where':
      return printExpression(call.condition);
    case 'sources':
      return `{exclude: ${printList(call.exclude)}}`;
    case 'within':
      return printParent(call.parent) + printDuration(call.duration);
    case 'between':
      return `${printParent(call.parent)}${printDuration(call.from)}, ${printDuration(call.to)}`;
    case 'expires_after':
    case 'within_last':
    case 'before_last':
    case 'within_next':
    case 'after_next':
      return printDuration(call.duration);
    case 'count':
    case 'absent':
    case 'exists':
      return '';
    case 'sum':
    case 'avg':
    case 'first':
    case 'last':
    case 'unique':
      return printExtractor(call.of);
    case 'max':
    case 'min':
      return printExtractor(call.of) + printType(call.as);
    case 'mode':
      return `${printExtractor(call.of)}${printType(call.as)}, ${call.minFrequency}`;
    case 'equals':
    case 'differs':
    case 'greater_than':
    case 'at_least':
    case 'less_than':
    case 'at_most':
      return printChain(call.value, false);
    case 'contains':
    case 'one_of':
    case 'none_of':
      return printList(call.values);
    case 'omits':
    case 'starts_with':
    case 'ends_with':
    case 'before_date':
    case 'after_date':
      return printLiteral(call.value);
    default:
      return call satisfies never;
  }
}

function printList(values: readonly LiteralNode[]): string {
  return values.map(printLiteral).join(', ');
}

function printLiteral(literal: LiteralNode): string {
  return literal.type === 'string' ? quote(literal.text) : literal.text;
}

function printParent(parent: boolean): string {
  return parent ? 'parent: ' : '';
}

function printType(type: string | null): string {
  return type === null ? '' : ` as ${type}`;
}

function printDuration({ amount, unit }: Duration): string {
  return `${amount} ${unit}${amount === 1 ? '' : 's'}`;
}

function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}
