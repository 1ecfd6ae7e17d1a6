import { LRUCache } from 'lru-cache';
import { RequestError } from '../../errors.ts';
import { subscriptionParser } from '../actions-core/actions-core.ts';

/** Whether an event is one that a subscription is for. */
export type Trigger = (event: object) => boolean;

const TOKEN = /"(?:[^"\\]|\\.)*"|[A-Za-z_$](?:[\w.$-]|\\.)*|-?\d+(?:\.\d+)?|!=|>=|<=|[=<>!(),]|\S/g;
const FIELD = /^(type|event|name|userId|(properties|traits|context)\..+)$/;
const OPERATOR = /^(=|!=|>=|<=|>|<)$/;
const VALUE = /^(".*"|-?\d.*|[A-Za-z_$].*)$/s;

// A sync asks for the same one at every batch.
const parsed = new LRUCache<string, Trigger>({
  max: 1_000,
  // In characters of their texts; what is made of one is some ten times as large.
  maxSize: 1_000_000,
  sizeCalculation: (_, text) => text.length + 100,
  ttl: 3_600_000,
});

/**
 * Reads a subscription's trigger, such as `type = "track" and (event = "Audience Entered" or event = "Audience Exited")`.
 * Segment's own parser takes it and Segment's own matcher answers; but that parser takes `a and b or c` for `a or b or c`, deeper
 * parentheses for nothing and unknown words in silence, so the text is checked first. Throws a RequestError that names `field`.
 */
export function parseTrigger(text: string, field: string): Trigger {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const problem = new TriggerCheck(text).problem();
  const { parseFql, validate } = subscriptionParser();
  const ast = parseFql(text);
  if (problem !== null || 'error' in ast) {
    throw new RequestError(
      'invalid',
      'trigger_invalid',
      `${field}: ${problem ?? 'not a trigger.'} A trigger reads like type = "track" and event = "Audience Entered".`,
      { field },
    );
  }
  const trigger: Trigger = (event) => validate(ast, event);
  parsed.set(text, trigger);
  return trigger;
}

/** Walks a trigger's grammar: conditions joined by `and` or by `or`, and groups of them in one level of parentheses. */
class TriggerCheck {
  readonly #tokens: { text: string; offset: number }[];
  #next = 0;

  constructor(text: string) {
    this.#tokens = [...text.matchAll(TOKEN)].map((match) => ({ text: match[0], offset: match.index }));
  }

  /** What is wrong with the whole text, null for nothing. */
  problem(): string | null {
    return this.#tokens.length === 0 ? 'it is empty.' : (this.#conditions(0) ?? this.#end());
  }

  #conditions(depth: number): string | null {
    let joinedBy: string | null = null;
    for (;;) {
      const problem = this.#condition(depth);
      if (problem !== null) return problem;
      const word = this.#peek();
      if (word !== 'and' && word !== 'or') return null;
      if (joinedBy !== null && joinedBy !== word) {
        return `"and" and "or" are mixed at ${this.#place()}: put one of them in parentheses.`;
      }
      joinedBy = word;
      this.#next += 1;
    }
  }

  #condition(depth: number): string | null {
    if (this.#peek() === '(') {
      if (depth > 0) return `parentheses inside of parentheses at ${this.#place()} are not possible.`;
      this.#next += 1;
      return this.#conditions(depth + 1) ?? this.#take(/^\)$/, '")"');
    }
    if (this.#peek() === '!') this.#next += 1;
    if (/^(contains|match)$/.test(this.#peek())) {
      this.#next += 1;
      return (
        this.#take(/^\($/, '"("') ??
        this.#take(FIELD, 'a field') ??
        this.#take(/^,$/, '","') ??
        this.#take(/^"/, 'a text in quotes') ??
        this.#take(/^\)$/, '")"')
      );
    }
    return (
      this.#take(FIELD, 'type, event, name, userId, properties.…, traits.… or context.…') ??
      this.#take(OPERATOR, 'one of = != < <= > >=') ??
      this.#take(VALUE, 'a value')
    );
  }

  #take(pattern: RegExp, what: string): string | null {
    const token = this.#peek();
    if (!pattern.test(token)) {
      return `${what} was expected at ${this.#place()}, ${token === '' ? 'and it ended' : `and ${token} was found`}.`;
    }
    this.#next += 1;
    return null;
  }

  #end(): string | null {
    return this.#peek() === '' ? null : `"and", "or" or the end was expected at ${this.#place()}.`;
  }

  #peek(): string {
    return this.#tokens[this.#next]?.text ?? '';
  }

  #place(): string {
    const token = this.#tokens[this.#next];
    return token === undefined ? 'the end' : `column ${token.offset + 1}`;
  }
}
