/** Where something stands in a definition: UTF-16 offsets into its text, the end not included. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * - `query_syntax`: the text does not follow the grammar.
 * - `query_type`: it does, but does not make sense, e.g. `sum` of a list.
 * - `query_unsupported`: it is right in Segment's language, and this version of Trailmark can't compute it.
 */
export type QueryErrorCode = 'query_syntax' | 'query_type' | 'query_unsupported';

/** What is wrong with a definition, and where. The only error that anything in this folder throws on bad input. */
export class QueryError extends Error {
  override readonly name = 'QueryError';
  readonly code: QueryErrorCode;
  /** UTF-16 offset of the first character that is wrong, from 0. The text's length if it ended too early. */
  readonly offset: number;
  /** How many UTF-16 units are wrong; 0 at the end of the text. */
  readonly length: number;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** What stands there, shortened, or `the end of the definition`. */
  readonly found: string;
  /** What could have stood there; empty where no list would help. */
  readonly expected: readonly string[];

  constructor(
    code: QueryErrorCode,
    source: string,
    span: Span,
    what: { message?: string; found?: string; expected?: readonly string[] },
  ) {
    const found = what.found ?? excerpt(source, span);
    const expected = what.expected ?? [];
    super(what.message ?? `Found ${found}, expected ${orList(expected)}.`);
    this.code = code;
    this.offset = span.start;
    this.length = Math.max(0, Math.min(span.end, source.length) - span.start);
    this.found = found;
    this.expected = expected;
    const before = source.slice(0, span.start);
    this.line = before.split('\n').length;
    this.column = span.start - before.lastIndexOf('\n');
  }
}

/** `a`, `a or b`, `a, b or c`. */
export function orList(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} or ${items.at(-1)}`;
}

function excerpt(source: string, span: Span): string {
  const text = source.slice(span.start, span.end);
  if (text === '') return 'the end of the definition';
  const points = Array.from(text.replace(/\s+/g, ' '));
  return points.length > 40 ? `${points.slice(0, 39).join('')}…` : points.join('');
}

const WINDOW = 100;

/**
 * The error for people, with the line it is about and carets under what is wrong:
 *
 * ```
 * Line 1, column 12: There is no function "cuont". Did you mean "count"?
 *   event('A').cuont() >= 1
 *              ^^^^^
 * ```
 *
 * `source` is the text that was parsed. A long line is cut to the part around the error.
 */
export function formatQueryError(error: QueryError, source: string): string {
  const lineStart = source.lastIndexOf('\n', error.offset - 1) + 1;
  const nextBreak = source.indexOf('\n', error.offset);
  const line = source.slice(lineStart, nextBreak === -1 ? source.length : nextBreak).replace(/\r$/, '');
  const at = Math.min(error.offset - lineStart, line.length);

  const from = Math.max(0, Math.min(at - WINDOW / 2, line.length - WINDOW));
  const shown = line.slice(from, from + WINDOW);
  const head = from > 0 ? '…' : '';
  const tail = from + WINDOW < line.length ? '…' : '';
  // A tab stays a tab, so that the caret stands below its character whatever a tab's width is.
  const padding = Array.from(head + line.slice(from, at), (point) => (point === '\t' ? '\t' : ' ')).join('');
  const marked = line.slice(at, Math.min(at + Math.max(1, error.length), from + WINDOW));
  const carets = '^'.repeat(Math.max(1, Array.from(marked).length));
  return `Line ${error.line}, column ${error.column}: ${error.message}\n  ${head}${shown}${tail}\n  ${padding}${carets}`;
}
