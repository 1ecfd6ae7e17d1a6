import { RequestError } from '../../errors.ts';

/**
 * Work of which each key has one at a time in this process: what is dear enough that one workspace must not fill the engine with
 * it. A second one is refused, not queued. Throws RequestError `rate_limited` with the given code and message.
 */
export class OneAtATime {
  readonly #busy = new Set<string>();
  readonly #code: string;
  readonly #message: string;

  constructor(refusal: { code: string; message: string }) {
    this.#code = refusal.code;
    this.#message = refusal.message;
  }

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy.has(key)) throw new RequestError('rate_limited', this.#code, this.#message);
    this.#busy.add(key);
    try {
      return await work();
    } finally {
      this.#busy.delete(key);
    }
  }
}
