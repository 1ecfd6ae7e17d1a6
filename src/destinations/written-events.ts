/** One of the events that WrittenEvents has: its place among them, from 0. */
export interface Written {
  written: WrittenEvents;
  place: number;
}

/**
 * Events as JSON, in one buffer. Written at once, the many short strings that they are made of are gone before the collector of young
 * objects comes by; kept until their request is made, they are copied by it, which takes longer than to write them.
 */
export class WrittenEvents {
  readonly #bytes: Buffer;
  /** Where in the buffer each ends; a comma and the next one follow. */
  readonly #ends: number[] = [];

  /** `events` are each the JSON of one. */
  constructor(events: readonly string[]) {
    const text = events.join(',');
    this.#bytes = Buffer.from(text);
    const isAscii = this.#bytes.length === text.length;
    let end = -1;
    for (const event of events) {
      end += 1 + (isAscii ? event.length : Buffer.byteLength(event));
      this.#ends.push(end);
    }
  }

  /** Those from one place to before another, with commas between them. */
  bytes(from: number, to: number): Buffer {
    const start = from === 0 ? 0 : (this.#ends[from - 1] ?? 0) + 1;
    return this.#bytes.subarray(start, this.#ends[to - 1]);
  }
}

const OPEN = Buffer.from('[');
const COMMA = Buffer.from(',');
const CLOSE = Buffer.from(']');

/** A JSON array of events, in this order. */
export function jsonArray(events: readonly Written[]): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < events.length;) {
    const first = events[at];
    if (first === undefined) break;
    const { written, place } = first;
    // Neighbours are copied together.
    let count = 1;
    for (let next = events[at + count]; next?.written === written && next.place === place + count;) {
      count += 1;
      next = events[at + count];
    }
    parts.push(at === 0 ? OPEN : COMMA, written.bytes(place, place + count));
    at += count;
  }
  return Buffer.concat(parts.length === 0 ? [OPEN, CLOSE] : [...parts, CLOSE]);
}
