import type { Queryable } from '../../store/index.ts';
import { appendEvents, type LogRequest } from './append-events.ts';

const MAX_ROWS = 5_000;
const MAX_CHARS = 8 * 1024 * 1024;
// Over this the database does not keep up: better to say so than to hold requests in memory.
const MAX_WAITING_CHARS = 64 * 1024 * 1024;
const DEADLOCK = '40P01';
const DEADLOCK_RETRIES = 3;

interface Request extends LogRequest {
  chars: number;
  resolve: (letIn: boolean) => void;
  reject: (error: unknown) => void;
}

/** Thrown where too much waits to be written. The client shall come again. */
export class WriterBusyError extends Error {
  override readonly name = 'WriterBusyError';
}

/**
 * Writes the events of many requests by few statements: while one statement is on its way, what comes in waits, and goes
 * together with the next. So a request alone is written at once, and many at once cost one commit. One statement at a time
 * keeps a client's events in their order.
 */
export class EventWriter {
  readonly #db: Queryable;
  #waiting: Request[] = [];
  #waitingChars = 0;
  #writing = false;

  constructor(db: Queryable) {
    this.#db = db;
  }

  /**
   * Resolves with true when the entries are durable: all of them, or (rejected) none that the client may count on. With false where
   * the write key lets nothing in any more, and none of them is written. Throws WriterBusyError.
   */
  async append({ keyHash, entries }: LogRequest): Promise<boolean> {
    if (entries.length === 0) return true;
    const chars = entries.reduce((sum, entry) => sum + entry.json.length, 0);
    if (this.#waitingChars + chars > MAX_WAITING_CHARS && this.#waiting.length > 0) {
      throw new WriterBusyError('more events wait to be written than the writer holds');
    }
    return await new Promise<boolean>((resolve, reject) => {
      this.#waiting.push({ keyHash, entries, chars, resolve, reject });
      this.#waitingChars += chars;
      if (!this.#writing) void this.#write();
    });
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) await this.#writeTogether(this.#take());
    this.#writing = false;
  }

  #take(): Request[] {
    let rows = 0;
    let chars = 0;
    let count = 0;
    for (const request of this.#waiting) {
      if (count > 0 && (rows + request.entries.length > MAX_ROWS || chars + request.chars > MAX_CHARS)) break;
      rows += request.entries.length;
      chars += request.chars;
      count += 1;
    }
    this.#waitingChars -= chars;
    return this.#waiting.splice(0, count);
  }

  async #writeTogether(requests: Request[]): Promise<void> {
    try {
      const refused = await this.#append(requests);
      for (const request of requests) request.resolve(!refused.has(request));
    } catch (error) {
      if (requests.length > 1 && isAboutData(error)) {
        // One request's events must not fail another's.
        for (const request of requests) await this.#writeTogether([request]);
        return;
      }
      for (const request of requests) request.reject(error);
    }
  }

  /** Another process may write the same messages in another order (a client's retry): then one of the two is tried again. */
  async #append(requests: Request[]): Promise<ReadonlySet<LogRequest>> {
    for (let retry = 0; ; retry += 1) {
      try {
        return (await appendEvents(this.#db, requests)).refused;
      } catch (error) {
        if ((error as { code?: unknown }).code !== DEADLOCK || retry === DEADLOCK_RETRIES) throw error;
      }
    }
  }
}

/** SQLSTATE classes 22 (data exception), 23 (constraint) and 54 (a limit of the program, such as its depth of JSON). */
function isAboutData(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^(22|23|54)/.test(code);
}
