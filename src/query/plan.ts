import type { Value } from './values/value.ts';

/**
 * What a checked definition computes. The evaluator and the compiler both work on this and on nothing else: sugar,
 * spellings and spans are gone, paths are split, types are known to fit.
 */
export interface AudiencePlan {
  readonly kind: 'audience';
  readonly condition: Condition;
}

export interface TraitPlan {
  readonly kind: 'computed_trait';
  readonly value: Scalar;
}

/** True or false of a profile or, inside a `where`, of one of its events. Never unknown. */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Condition[] }
  | { readonly kind: 'not'; readonly operand: Condition }
  | { readonly kind: 'comparison'; readonly subject: Scalar; readonly test: Test };

/** One value, or none. */
export type Scalar =
  | { readonly kind: 'literal'; readonly value: Value }
  | { readonly kind: 'trait'; readonly name: string; readonly path: readonly string[] }
  | EventField
  | Reduction;

/** A value in the event at hand: only inside a `where` or a reducer. */
export interface EventField {
  readonly kind: 'property' | 'context';
  readonly path: readonly string[];
}

/** The events of a profile that pass the filters, reduced to one value. */
export interface Reduction {
  readonly kind: 'reduction';
  readonly event: string;
  readonly filters: readonly Filter[];
  readonly reducer: Reducer;
}

export type Filter =
  | { readonly kind: 'where'; readonly condition: Condition }
  | { readonly kind: 'exclude_sources'; readonly sourceIds: readonly string[] }
  /** Later than `oldestMs` before as-of, and not later than `newestMs` before it. */
  | { readonly kind: 'age'; readonly newestMs: number; readonly oldestMs: number };

export type Reducer =
  | { readonly kind: 'count' }
  | { readonly kind: 'sum' | 'avg' | 'first' | 'last' | 'unique' | 'unique_count'; readonly of: EventField }
  | { readonly kind: 'max' | 'min'; readonly of: EventField; readonly as: 'number' | 'string' }
  | { readonly kind: 'mode'; readonly of: EventField; readonly minFrequency: number };

export type OrderComparator = 'greater_than' | 'at_least' | 'less_than' | 'at_most';

export type Test =
  | { readonly kind: 'absent' }
  | { readonly kind: 'exists' }
  | { readonly kind: 'equals' | 'differs' | OrderComparator; readonly operand: Scalar }
  | { readonly kind: 'one_of' | 'none_of'; readonly values: readonly Value[] }
  | { readonly kind: 'contains' | 'omits' | 'starts_with' | 'ends_with'; readonly texts: readonly string[] }
  | { readonly kind: 'instant'; readonly range: InstantRange };

/** A range of dates, fixed or relative to as-of. comparators.ts turns both into milliseconds. */
export type InstantRange =
  | { readonly kind: 'before' | 'after'; readonly instantMs: number }
  | {
      readonly kind: 'within_last' | 'before_last' | 'within_next' | 'after_next';
      readonly amount: number;
      readonly unit: 'hour' | 'day';
    };
