import type { Call, Chain, Expression, Extractor, Query } from './ast.ts';
import { splitPath } from './values/path.ts';

/**
 * The names of the traits that a definition reads, each once, in the order they stand in: of `trait('address.city')` it is
 * `address`. Which of them are other audiences or computed traits is for the caller to know.
 */
export function referencedTraits(query: Query): string[] {
  const names = new Set<string>();
  for (const extractor of extractorsOf(query.root)) {
    const name = extractor.kind === 'trait' ? splitPath(extractor.path)?.[0] : undefined;
    if (name !== undefined) names.add(name);
  }
  return [...names];
}

function* extractorsOf(expression: Expression): Generator<Extractor> {
  switch (expression.kind) {
    case 'and':
    case 'or':
      for (const operand of expression.operands) yield* extractorsOf(operand);
      break;
    case 'not':
    case 'any':
    case 'all':
      yield* extractorsOf(expression.operand);
      break;
    case 'chain':
      yield expression.extractor;
      for (const call of expression.calls) {
        for (const inner of expressionsIn(call)) yield* extractorsOf(inner);
      }
      break;
    default:
      expression satisfies never;
  }
}

function expressionsIn(call: Call): (Expression | Chain)[] {
  if (call.name === 'where') return [call.condition];
  return 'value' in call && call.value.kind === 'chain' ? [call.value] : [];
}
