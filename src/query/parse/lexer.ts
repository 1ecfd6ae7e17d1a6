import { QueryError, type Span } from '../error.ts';
import { parseInstant } from '../values/instant.ts';

export type Token =
  | { readonly kind: 'name'; readonly text: string; readonly span: Span }
  /** `text` is the content, quotes and escapes taken away. */
  | { readonly kind: 'string'; readonly text: string; readonly span: Span }
  | { readonly kind: 'number' | 'date' | 'symbol'; readonly text: string; readonly span: Span }
  | { readonly kind: 'end'; readonly text: ''; readonly span: Span };

const MAX_QUERY_LENGTH = 10_000;

const SPACE = /\s+/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /-?[0-9]+(\.[0-9]+)?/y;
// Whatever begins like a date is meant as one: `2024-1-5` gets an error about dates, not one about a stray minus.
const DATE = /[0-9]{4}-[0-9](?:[0-9A-Za-z:+-]|\.(?=[0-9]))*/y;
const SYMBOL = /==|!=|>=|<=|[=><(){}[\],.:]/y;

/**
 * Cuts a definition into tokens, the last of kind `end`. Throws a QueryError for what no token begins with.
 *
 * Strings stand in single or double quotes. A backslash escapes a quote or a backslash; before anything else it is a
 * backslash, which paths read as the escape of a dot.
 */
export function tokenize(source: string): Token[] {
  if (source.length > MAX_QUERY_LENGTH) {
    throw new QueryError(
      'query_syntax',
      source,
      { start: MAX_QUERY_LENGTH, end: source.length },
      {
        message: `A definition may have ${MAX_QUERY_LENGTH} characters; this one has ${source.length}.`,
      },
    );
  }
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0] ?? null;
  };
  while (at < source.length) {
    const space = take(SPACE);
    if (space !== null) {
      at += space.length;
      continue;
    }
    const token = takeString(source, at) ?? takeWord(at, take);
    if (token === null) {
      const point = String.fromCodePoint(source.codePointAt(at) ?? 0);
      throw new QueryError(
        'query_syntax',
        source,
        { start: at, end: at + point.length },
        {
          message: `The character ${JSON.stringify(point)} has no meaning here.${quoteHint(point)}`,
        },
      );
    }
    if (token.kind === 'date' && parseInstant(token.text) === null) {
      throw new QueryError('query_syntax', source, token.span, {
        message: `${token.text} is not a date between 1900 and 2299 such as 2023-12-07 or 2023-12-07T18:50:00Z.`,
      });
    }
    tokens.push(token);
    at = token.span.end;
  }
  tokens.push({ kind: 'end', text: '', span: { start: source.length, end: source.length } });
  return tokens;
}

function takeWord(at: number, take: (pattern: RegExp) => string | null): Token | null {
  for (const [kind, pattern] of [
    ['name', NAME],
    ['date', DATE],
    ['number', NUMBER],
    ['symbol', SYMBOL],
  ] as const) {
    const text = take(pattern);
    if (text !== null) return { kind, text, span: { start: at, end: at + text.length } };
  }
  return null;
}

function takeString(source: string, start: number): Token | null {
  const quote = source[start];
  if (quote !== "'" && quote !== '"') return null;
  let text = '';
  for (let at = start + 1; at < source.length; at++) {
    const char = source.charAt(at);
    if (char === quote) {
      const span = { start, end: at + 1 };
      if (/\p{Surrogate}|\0/u.test(text)) {
        throw new QueryError('query_syntax', source, span, {
          message: 'This string has half a character (a lone surrogate) or a NUL in it.',
        });
      }
      return { kind: 'string', text, span };
    }
    const next = source.charAt(at + 1);
    if (char === '\\' && (next === '\\' || next === "'" || next === '"')) {
      text += next;
      at++;
    } else {
      text += char;
    }
  }
  throw new QueryError(
    'query_syntax',
    source,
    { start, end: source.length },
    {
      message: `This string has no closing ${quote}`,
      expected: [quote],
    },
  );
}

function quoteHint(point: string): string {
  return '‘’‚“”„«»`´'.includes(point) ? ` Strings stand in ' or ".` : '';
}
