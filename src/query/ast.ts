import type { Span } from './error.ts';

/**
 * The syntax tree of a definition, as it was written: nothing is checked yet but the grammar. Every node has its span.
 * Calls keep their own arguments' shape, so that a later function of the language is a new member of a union, and the
 * compiler names every switch that has to learn it.
 */
export interface Query {
  readonly source: string;
  readonly root: Expression;
}

export type Expression = Junction | Prefix | Chain;

/** `a AND b AND c`: two operands or more. */
export interface Junction {
  readonly kind: 'and' | 'or';
  readonly operands: readonly Expression[];
  readonly span: Span;
}

/** `NOT a`, and for accounts `ANY a` and `ALL a`. */
export interface Prefix {
  readonly kind: 'not' | 'any' | 'all';
  readonly operand: Expression;
  readonly span: Span;
}

/** An extractor and the calls chained to it. `x >= 1` is the call `at_least(1)`. */
export interface Chain {
  readonly kind: 'chain';
  readonly extractor: Extractor;
  readonly calls: readonly Call[];
  readonly span: Span;
}

export type Extractor = NamedExtractor | PathExtractor | LiteralNode;

interface NamedExtractor {
  readonly kind: 'event' | 'entity';
  readonly name: string;
  readonly span: Span;
}

/** `trait('a.b')`: the path as written, dots escaped and all; path.ts splits it. `parent` is for funnels. */
export interface PathExtractor {
  readonly kind: 'trait' | 'property' | 'context';
  readonly path: string;
  readonly parent: boolean;
  readonly span: Span;
}

export interface LiteralNode {
  readonly kind: 'literal';
  readonly type: 'string' | 'number' | 'date' | 'boolean';
  /** A string's content; the text as written of anything else. */
  readonly text: string;
  readonly span: Span;
}

export type DurationUnit = 'second' | 'hour' | 'day';

export interface Duration {
  readonly amount: number;
  readonly unit: DurationUnit;
  readonly span: Span;
}

/** What a reducer reduces. */
export type ReducerSubject = PathExtractor & { readonly kind: 'property' | 'context' };

export type ValueType = 'number' | 'string' | 'array';

export type Call = { readonly span: Span } & (
  | { readonly name: 'where'; readonly condition: Expression }
  | { readonly name: 'sources'; readonly exclude: readonly LiteralNode[] }
  | { readonly name: 'within'; readonly duration: Duration; readonly parent: boolean }
  | { readonly name: 'between'; readonly from: Duration; readonly to: Duration; readonly parent: boolean }
  | { readonly name: 'expires_after'; readonly duration: Duration }
  | { readonly name: 'count' | 'absent' | 'exists' }
  | { readonly name: 'sum' | 'avg' | 'first' | 'last' | 'unique'; readonly of: ReducerSubject }
  | { readonly name: 'max' | 'min'; readonly of: ReducerSubject; readonly as: ValueType | null }
  | {
      readonly name: 'mode';
      readonly of: ReducerSubject;
      readonly as: ValueType | null;
      readonly minFrequency: number;
    }
  | { readonly name: ValueComparator; readonly value: Chain }
  | { readonly name: 'contains' | 'one_of' | 'none_of'; readonly values: readonly LiteralNode[] }
  | { readonly name: 'omits' | 'starts_with' | 'ends_with'; readonly value: LiteralNode }
  | { readonly name: 'before_date' | 'after_date'; readonly value: LiteralNode }
  | { readonly name: 'within_last' | 'before_last' | 'within_next' | 'after_next'; readonly duration: Duration }
);

export type CallName = Call['name'];

export type ValueComparator = 'equals' | 'differs' | 'greater_than' | 'at_least' | 'less_than' | 'at_most';

/** The symbols that may stand for a comparator's name. The first of a comparator's symbols is the one that is printed. */
export const COMPARATOR_OF_SYMBOL = {
  '=': 'equals',
  '==': 'equals',
  '!=': 'differs',
  '>': 'greater_than',
  '>=': 'at_least',
  '<': 'less_than',
  '<=': 'at_most',
} as const satisfies Record<string, ValueComparator>;
