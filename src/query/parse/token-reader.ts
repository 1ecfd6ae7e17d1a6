import { orList, QueryError, type Span } from '../error.ts';
import { tokenize, type Token } from './lexer.ts';

/** How deep parentheses, NOTs, wheres and operands may be nested in each other. */
const MAX_DEPTH = 50;

/** A cursor over the tokens of a definition: what the grammar's rules are written with. */
export class TokenReader {
  readonly source: string;
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.source = source;
    this.#tokens = tokenize(source);
  }

  /** The token under the cursor, or one after it. Beyond the last there is only the last, of kind `end`. */
  peek(ahead = 0): Token {
    const token = this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)];
    if (token === undefined) throw new RangeError('tokenize ends every list with an end token');
    return token;
  }

  next(): Token {
    const token = this.peek();
    this.#at++;
    return token;
  }

  /** The end of the token before the cursor: where a node that was just read ends. */
  lastEnd(): number {
    return this.#tokens[this.#at - 1]?.span.end ?? 0;
  }

  isSymbol(...symbols: string[]): boolean {
    const token = this.peek();
    return token.kind === 'symbol' && symbols.includes(token.text);
  }

  /** Whether the token is one of these names, in upper or lower case. */
  isKeyword(...keywords: string[]): boolean {
    const token = this.peek();
    return token.kind === 'name' && keywords.includes(token.text.toUpperCase());
  }

  /** Takes the symbol if it is there. */
  takeSymbol(symbol: string): boolean {
    const there = this.isSymbol(symbol);
    if (there) this.#at++;
    return there;
  }

  expectSymbol(symbol: string): Token {
    if (!this.isSymbol(symbol)) this.failExpected(`"${symbol}"`);
    return this.next();
  }

  expect<Kind extends Token['kind']>(kind: Kind, expected: string): Token & { kind: Kind } {
    const token = this.peek();
    if (token.kind !== kind) this.failExpected(expected);
    this.#at++;
    return token as Token & { kind: Kind };
  }

  /** Refuses the token under the cursor. */
  failExpected(...expected: string[]): never {
    throw new QueryError('query_syntax', this.source, this.peek().span, { expected });
  }

  fail(span: Span, message: string, expected: readonly string[] = []): never {
    throw new QueryError('query_syntax', this.source, span, { message, expected });
  }

  /** For a name that is none of `known`: says so, with the nearest of them. */
  failUnknown(token: Token, kind: string, known: readonly string[]): never {
    const near = nearest(token.text, known);
    const hint = near === null ? `Expected ${orList(known)}.` : `Did you mean "${near}"?`;
    this.fail(token.span, `There is no ${kind} "${token.text}". ${hint}`, known);
  }

  /** Runs a rule one level deeper, so that no definition can exhaust the stack. */
  nested<T>(rule: () => T): T {
    if (this.#depth === MAX_DEPTH) {
      this.fail(this.peek().span, `A definition may be nested ${MAX_DEPTH} levels deep; this goes deeper.`);
    }
    this.#depth++;
    const node = rule();
    this.#depth--;
    return node;
  }
}

/** The known name with the fewest edits from this one, if there are few enough for it to be a slip. */
function nearest(name: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.min(3, Math.ceil(name.length / 2));
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase().slice(0, 30), candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
