/**
 * Segment's query language: the definitions of audiences and computed traits.
 *
 * text → parseQuery → syntax tree → checkQuery → plan → compileAudience, compileTrait → SQL for ClickHouse
 *                                                     → evaluateAudience, evaluateTrait → the answer, in memory
 *
 * The language is `reference/segment-query-language.md`; where that is silent, docs/decisions/0003-query-semantics.md says
 * what was decided, and evaluate.ts, comparators.ts and reducers.ts are that decision in code. The SQL is proved against
 * them on the engine (test/db/query-semantics.test.ts).
 */
export type { Query } from './ast.ts';
export { checkQuery } from './check.ts';
export { compileAudience, compileTrait } from './compile.ts';
export type { QueryContext, TraitResolver } from './context.ts';
export { QueryError, formatQueryError } from './error.ts';
export { evaluateAudience, evaluateTrait, type World, type WorldEvent } from './evaluate.ts';
export { parseQuery } from './parse/parser.ts';
export { printQuery } from './parse/printer.ts';
export { referencedTraits } from './referenced-traits.ts';
export type { Json } from './values/value.ts';
