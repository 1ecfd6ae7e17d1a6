import type { CallName } from './ast.ts';

/**
 * The functions of the language and how they chain: the reference's Return Type tables.
 *
 * | after … | comes … | and makes … |
 * | --- | --- | --- |
 * | a stream (`event`, a filter) | a filter | a stream |
 * | a stream | a reducer | a scalar, or a list (`unique`) |
 * | a scalar (`trait`, `property`, `context`, a reducer) | a comparator | a comparator: the end |
 * | a list | `count` | a scalar |
 */
export type ChainState = 'stream' | 'scalar' | 'list' | 'comparator';

export const STATE_NAMES: Readonly<Record<ChainState, string>> = {
  stream: 'a stream of events',
  scalar: 'a single value',
  list: 'a list of values',
  comparator: 'a comparison',
};

interface FunctionDefinition {
  readonly class: 'filter' | 'reducer' | 'comparator';
  readonly after: readonly ChainState[];
  readonly makes: ChainState;
}

const filter: FunctionDefinition = { class: 'filter', after: ['stream'], makes: 'stream' };
const reducer: FunctionDefinition = { class: 'reducer', after: ['stream'], makes: 'scalar' };
const comparator: FunctionDefinition = { class: 'comparator', after: ['scalar'], makes: 'comparator' };

export const FUNCTIONS: Readonly<Record<CallName, FunctionDefinition>> = {
  where: filter,
  sources: filter,
  within: filter,
  between: filter,
  expires_after: filter,
  count: { ...reducer, after: ['stream', 'list'] },
  sum: reducer,
  avg: reducer,
  max: reducer,
  min: reducer,
  mode: reducer,
  first: reducer,
  last: reducer,
  unique: { ...reducer, makes: 'list' },
  equals: comparator,
  differs: comparator,
  absent: comparator,
  exists: comparator,
  greater_than: comparator,
  at_least: comparator,
  less_than: comparator,
  at_most: comparator,
  contains: comparator,
  omits: comparator,
  starts_with: comparator,
  ends_with: comparator,
  one_of: comparator,
  none_of: comparator,
  before_date: comparator,
  after_date: comparator,
  within_last: comparator,
  before_last: comparator,
  within_next: comparator,
  after_next: comparator,
};

const CALL_NAMES = Object.keys(FUNCTIONS) as CallName[];

export function isCallName(name: string): name is CallName {
  return Object.hasOwn(FUNCTIONS, name);
}

/** The functions that may follow, in the reference's order. */
export function functionsAfter(state: ChainState): CallName[] {
  return CALL_NAMES.filter((name) => FUNCTIONS[name].after.includes(state));
}

export const ALL_FUNCTIONS: readonly CallName[] = CALL_NAMES;

export const EXTRACTORS = ['event', 'trait', 'entity', 'property', 'context', 'literal'] as const;
