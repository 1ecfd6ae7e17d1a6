import type { Call, Chain, Duration, Expression, Extractor, PathExtractor, Query } from './ast.ts';
import { durationMs, planTest, valueOfLiteral } from './check-arguments.ts';
import { QueryError, orList, type QueryErrorCode, type Span } from './error.ts';
import { FUNCTIONS, STATE_NAMES, functionsAfter } from './functions.ts';
import { splitPath } from './values/path.ts';
import type { AudiencePlan, Condition, EventField, Filter, Reducer, Reduction, Scalar, TraitPlan } from './plan.ts';

export interface CheckOptions<Kind extends 'audience' | 'computed_trait' = 'audience' | 'computed_trait'> {
  readonly kind: Kind;
  readonly definitionType: 'USERS' | 'ACCOUNTS';
}

/** The reference's limit. A primary expression is one chain, be it within a `where`; what it is compared with is none. */
const MAX_PRIMARY_EXPRESSIONS = 50;

/**
 * Checks what a definition means, and returns it as a plan. An audience is a condition: each of its chains ends in a
 * comparator. A computed trait is one value or a list: its only chain ends in a reducer, or is a trait.
 *
 * Throws a QueryError at the first thing that does not fit (`query_type`), or that Segment's language has and Trailmark
 * can't compute (`query_unsupported`).
 */
export function checkQuery(query: Query, options: CheckOptions<'audience'>): AudiencePlan;
export function checkQuery(query: Query, options: CheckOptions<'computed_trait'>): TraitPlan;
export function checkQuery(query: Query, options: CheckOptions): AudiencePlan | TraitPlan;
export function checkQuery(query: Query, options: CheckOptions): AudiencePlan | TraitPlan {
  const checker = new Checker(query.source);
  if (options.definitionType === 'ACCOUNTS') {
    checker.fail('query_unsupported', query.root.span, 'Definitions over ACCOUNTS are not supported yet.');
  }
  if (options.kind === 'audience') return { kind: 'audience', condition: checker.condition(query.root, 'profile') };
  return { kind: 'computed_trait', value: checker.traitValue(query.root) };
}

/** What is at hand: a profile, or inside a `where` also one of its events. */
type Scope = 'profile' | 'event';

/** How far a chain has come, call by call. */
type Progress =
  | { readonly state: 'stream'; readonly event: string; readonly filters: readonly Filter[] }
  | { readonly state: 'scalar'; readonly scalar: Scalar }
  | { readonly state: 'list'; readonly scalar: Reduction }
  | { readonly state: 'comparator'; readonly condition: Condition };

class Checker {
  readonly #source: string;
  #primaryExpressions = 0;

  constructor(source: string) {
    this.#source = source;
  }

  fail(code: QueryErrorCode, span: Span, message: string, expected: readonly string[] = []): never {
    throw new QueryError(code, this.#source, span, { message, expected });
  }

  condition(expression: Expression, scope: Scope): Condition {
    switch (expression.kind) {
      case 'and':
      case 'or':
        return {
          kind: expression.kind,
          operands: expression.operands.map((operand) => this.condition(operand, scope)),
        };
      case 'not':
        return { kind: 'not', operand: this.condition(expression.operand, scope) };
      case 'any':
      case 'all':
        return this.fail(
          'query_type',
          expression.span,
          `${expression.kind.toUpperCase()} asks about the users of an account: it belongs to definitions over ACCOUNTS.`,
        );
      case 'chain': {
        this.#countPrimary(expression);
        const progress = this.#chain(expression, scope);
        if (progress.state === 'comparator') return progress.condition;
        return this.fail(
          'query_type',
          expression.span,
          `A condition ends in a comparator, but this ends in ${STATE_NAMES[progress.state]}. ${nextStep(progress.state)}`,
          functionsAfter(progress.state),
        );
      }
      default:
        return expression satisfies never;
    }
  }

  traitValue(expression: Expression): Scalar {
    if (expression.kind === 'chain') {
      this.#countPrimary(expression);
      const progress = this.#chain(expression, 'profile');
      if (progress.state === 'list') return progress.scalar;
      if (progress.state === 'scalar' && progress.scalar.kind !== 'literal') return progress.scalar;
      if (progress.state === 'stream') {
        this.fail(
          'query_type',
          expression.span,
          'A computed trait is a value, but this ends in a stream of events. Add a reducer, such as .count().',
          functionsAfter('stream'),
        );
      }
    }
    return this.fail(
      'query_type',
      expression.span,
      "A computed trait is a value of each profile, such as event('Order Completed').sum(property('total')): no condition, and no literal.",
    );
  }

  #countPrimary(chain: Chain): void {
    this.#primaryExpressions++;
    if (this.#primaryExpressions > MAX_PRIMARY_EXPRESSIONS) {
      this.fail('query_type', chain.span, `A definition may have ${MAX_PRIMARY_EXPRESSIONS} primary expressions.`);
    }
  }

  #chain(chain: Chain, scope: Scope): Progress {
    let progress = this.#extractor(chain.extractor, scope);
    if (chain.extractor.kind === 'literal' && chain.calls[0] !== undefined) {
      this.fail(
        'query_type',
        chain.extractor.span,
        'A literal stands on the right of a comparison only: nothing can be chained to it.',
      );
    }
    for (const call of chain.calls) progress = this.#call(progress, call, scope);
    return progress;
  }

  #extractor(extractor: Extractor, scope: Scope): Progress {
    switch (extractor.kind) {
      case 'event':
        if (scope === 'event') {
          this.fail('query_unsupported', extractor.span, 'Events inside a where (funnels) are not supported yet.');
        }
        if (extractor.name === '') this.fail('query_type', extractor.span, 'An event has a name.');
        return { state: 'stream', event: extractor.name, filters: [] };
      case 'entity':
        return this.fail('query_unsupported', extractor.span, 'Entities (Linked Audiences) are not supported yet.');
      case 'trait': {
        const [name = '', ...path] = this.#path(extractor);
        return { state: 'scalar', scalar: { kind: 'trait', name, path } };
      }
      case 'property':
      case 'context':
        if (scope === 'profile') {
          this.fail(
            'query_type',
            extractor.span,
            `${extractor.kind}(…) is a value of an event: it stands inside a where or a reducer only.`,
          );
        }
        return { state: 'scalar', scalar: this.#field(extractor.kind, extractor) };
      case 'literal':
        return { state: 'scalar', scalar: { kind: 'literal', value: valueOfLiteral(extractor) } };
      default:
        return extractor satisfies never;
    }
  }

  #field(kind: EventField['kind'], extractor: PathExtractor): EventField {
    if (extractor.parent) {
      this.fail('query_unsupported', extractor.span, 'Properties of a parent event (funnels) are not supported yet.');
    }
    return { kind, path: this.#path(extractor) };
  }

  #path(extractor: PathExtractor): string[] {
    const keys = splitPath(extractor.path);
    if (keys === null) {
      return this.fail(
        'query_type',
        extractor.span,
        String.raw`A path is names with dots between them, such as 'page.url'; a dot in a name is written \.`,
      );
    }
    if (keys.includes('$')) {
      this.fail('query_unsupported', extractor.span, 'The $ operator, for the items of a list, is not supported yet.');
    }
    return keys;
  }

  #call(progress: Progress, call: Call, scope: Scope): Progress {
    const definition = FUNCTIONS[call.name];
    if (!definition.after.includes(progress.state)) {
      const expected = functionsAfter(progress.state);
      const next = expected.length === 0 ? 'Nothing can follow it.' : `Expected ${orList(expected)}.`;
      this.fail('query_type', call.span, `${call.name} can't follow ${STATE_NAMES[progress.state]}. ${next}`, expected);
    }
    switch (progress.state) {
      case 'stream':
        return this.#streamCall(progress, call);
      case 'list': {
        const { reducer } = progress.scalar;
        // The table lets only `count` come here, and only `unique` makes a list.
        const of = reducer.kind === 'unique' ? reducer.of : this.fail('query_type', call.span, 'This is no list.');
        return { state: 'scalar', scalar: { ...progress.scalar, reducer: { kind: 'unique_count', of } } };
      }
      default: {
        const subject =
          progress.state === 'scalar' ? progress.scalar : this.fail('query_type', call.span, 'This is no value.');
        const test = planTest(call, {
          operand: (chain) => this.#operand(chain, scope),
          fail: (span, message) => this.fail('query_type', span, message),
        });
        return { state: 'comparator', condition: { kind: 'comparison', subject, test } };
      }
    }
  }

  /** The right side of a comparison: any single value that is known in this scope. */
  #operand(chain: Chain, scope: Scope): Scalar {
    const progress = this.#chain(chain, scope);
    if (progress.state === 'scalar') return progress.scalar;
    return this.fail(
      'query_type',
      chain.span,
      `A comparison is with a single value, but this is ${STATE_NAMES[progress.state]}.`,
    );
  }

  #streamCall(stream: Progress & { state: 'stream' }, call: Call): Progress {
    const filtered = (filter: Filter): Progress => ({ ...stream, filters: [...stream.filters, filter] });
    switch (call.name) {
      case 'where':
        return filtered({ kind: 'where', condition: this.condition(call.condition, 'event') });
      case 'sources':
        return filtered({ kind: 'exclude_sources', sourceIds: call.exclude.map((literal) => literal.text) });
      case 'within':
        this.#refuseParent(call);
        return filtered({ kind: 'age', newestMs: 0, oldestMs: this.#duration(call.duration) });
      case 'between': {
        this.#refuseParent(call);
        const newestMs = this.#duration(call.from);
        const oldestMs = this.#duration(call.to);
        if (newestMs >= oldestMs) {
          this.fail(
            'query_type',
            call.span,
            'between begins with the shorter duration, as in between(7 days, 10 days).',
          );
        }
        return filtered({ kind: 'age', newestMs, oldestMs });
      }
      case 'expires_after':
        return this.fail('query_unsupported', call.span, 'Session windows (expires_after) are not supported yet.');
      default: {
        const reducer = this.#reducer(call);
        const scalar: Reduction = { kind: 'reduction', event: stream.event, filters: stream.filters, reducer };
        return reducer.kind === 'unique' ? { state: 'list', scalar } : { state: 'scalar', scalar };
      }
    }
  }

  #reducer(call: Call): Reducer {
    switch (call.name) {
      case 'count':
        return { kind: 'count' };
      case 'sum':
      case 'avg':
      case 'first':
      case 'last':
      case 'unique':
        return { kind: call.name, of: this.#field(call.of.kind, call.of) };
      case 'max':
      case 'min':
        return {
          kind: call.name,
          of: this.#field(call.of.kind, call.of),
          as: call.as === 'string' ? 'string' : 'number',
        };
      case 'mode':
        // `as number` and `as array` count values as `as string` does: the reference says so, where no $ is involved.
        return { kind: 'mode', of: this.#field(call.of.kind, call.of), minFrequency: call.minFrequency };
      default:
        return this.fail('query_type', call.span, `${call.name} is no reducer.`);
    }
  }

  #refuseParent(call: Call & { parent: boolean }): void {
    if (!call.parent) return;
    this.fail('query_unsupported', call.span, 'Windows from a parent event (funnels) are not supported yet.');
  }

  #duration(duration: Duration): number {
    return durationMs(duration, (span, message) => this.fail('query_type', span, message));
  }
}

function nextStep(state: 'stream' | 'scalar' | 'list'): string {
  if (state === 'scalar') return 'Compare it, as in >= 1 or .exists().';
  return state === 'list'
    ? 'Count and compare it, as in .count() >= 1.'
    : 'Reduce and compare it, as in .count() >= 1.';
}
