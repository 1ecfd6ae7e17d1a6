/** One of the events that a WrittenEvents has: its place among them, from 0. */
export interface Written {
  written: WrittenEvents;
  place: number;
}

/** WrittenEvents on their way to another thread. */
export interface WrittenParts {
  array: Uint8Array;
  ends: readonly number[];
}

/**
 * Events as JSON, in one buffer. Written at once, the many short strings that they are made of are gone before the collector of young
 * objects comes by; kept until their request is made, they are copied by it, which takes longer than to write them.
 */
export class WrittenEvents {
  #json: string[] = [];
  /** All of them as an array; empty before `seal`. */
  #array: Buffer = Buffer.alloc(0);
  /** Where in the buffer each ends; a comma and the next one follow. */
  #ends: number[] = [];

  /** Adds the JSON of one, and says which place it has. */
  add(json: string): number {
    return this.#json.push(json) - 1;
  }

  /** Writes all that were added. None is added after it. */
  seal(): void {
    const ascii = writeAscii(this.#json);
    this.#array = ascii ?? Buffer.from(`[${this.#json.join(',')}]`);
    let end = 0;
    for (const event of this.#json) {
      end += 1 + (ascii === null ? Buffer.byteLength(event) : event.length);
      this.#ends.push(end);
    }
    this.#json = [];
  }

  /** What `from` makes them of again. */
  parts(): WrittenParts {
    return { array: this.#array, ends: this.#ends };
  }

  static from({ array, ends }: WrittenParts): WrittenEvents {
    const written = new WrittenEvents();
    written.#array = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
    written.#ends = [...ends];
    return written;
  }

  /** How many they are. */
  get count(): number {
    return this.#ends.length;
  }

  /** A JSON array of all of them. */
  array(): Buffer {
    return this.#array;
  }

  /** Those from one place to before another, with commas between them. */
  part(from: number, to: number): Buffer {
    const start = from === 0 ? 1 : (this.#ends[from - 1] ?? 0) + 1;
    return this.#array.subarray(start, this.#ends[to - 1]);
  }
}

// So many together: a text of all would be half a megabyte, for which there is no room but a new one each time.
const EVENTS_AT_ONCE = 64;

/** A JSON array of what is ASCII alone, as nearly everything is; else null. */
function writeAscii(events: readonly string[]): Buffer | null {
  let length = 1;
  for (const event of events) length += event.length + 1;
  const array = Buffer.allocUnsafe(Math.max(length, 2));
  let at = array.write('[');
  for (let from = 0; from < events.length; from += EVENTS_AT_ONCE) {
    const text = events.slice(from, from + EVENTS_AT_ONCE).join(',');
    if (Buffer.byteLength(text) !== text.length) return null;
    if (from > 0) at += array.write(',', at);
    at += array.write(text, at, 'latin1');
  }
  array.write(']', at);
  return array;
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
    // All of a batch, as nearly always: nothing is copied.
    if (count === events.length && count === written.count) return written.array();
    parts.push(at === 0 ? OPEN : COMMA, written.part(place, place + count));
    at += count;
  }
  return Buffer.concat(parts.length === 0 ? [OPEN, CLOSE] : [...parts, CLOSE]);
}
