import { RequestError } from '../../../errors.ts';

export interface UnprovenLimits {
  /** Of all of them together. */
  maxBytes: number;
  /** For one of them, until it is known whose it is. */
  maxMs: number;
}

const LIMITS: UnprovenLimits = { maxBytes: 64 * 1024 * 1024, maxMs: 30_000 };
/** What a request costs besides its body. */
const LEAST_BYTES = 16 * 1024;

interface Unproven {
  bytes: number;
  refuse: (error: RequestError) => void;
}

/**
 * What is held for requests of which nobody knows yet whose they are: their write key is in the body, which has to be read first.
 * Anyone may send those, any number at once and as slowly as they like, so together they have a bound. Where a new one would pass
 * it, the oldest are refused: an honest one is done in milliseconds, and who announces a body and sends nothing is in nobody's way.
 */
export class UnprovenBodies {
  readonly #limits: UnprovenLimits;
  // In the order in which they came.
  readonly #held = new Set<Unproven>();
  #bytes = 0;

  constructor(limits: UnprovenLimits = LIMITS) {
    this.#limits = limits;
  }

  /** Does `work`, which may hold `bytes`. Throws RequestError `bodies_waiting` or `body_too_slow` where it was given up. */
  async hold<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const { maxBytes, maxMs } = this.#limits;
    const { promise: given, reject: refuse } = rejectable();
    const unproven: Unproven = { bytes: Math.max(bytes, LEAST_BYTES), refuse };
    for (const oldest of this.#held) {
      if (this.#bytes + unproven.bytes <= maxBytes) break;
      this.#release(oldest);
      oldest.refuse(
        unavailable('bodies_waiting', 'More bodies come in than are held at once. Send it again in a second.'),
      );
    }
    this.#held.add(unproven);
    this.#bytes += unproven.bytes;
    const late = setTimeout(() => {
      refuse(unavailable('body_too_slow', `A body has to be here within ${maxMs / 1_000} seconds. Send it again.`));
    }, maxMs);
    try {
      return await Promise.race([work(), given]);
    } finally {
      clearTimeout(late);
      this.#release(unproven);
    }
  }

  #release(unproven: Unproven): void {
    if (this.#held.delete(unproven)) this.#bytes -= unproven.bytes;
  }
}

function rejectable(): { promise: Promise<never>; reject: (error: RequestError) => void } {
  let reject: (error: RequestError) => void = () => undefined;
  const promise = new Promise<never>((_, rejectPromise) => {
    reject = rejectPromise;
  });
  return { promise, reject };
}

function unavailable(code: string, message: string): RequestError {
  return new RequestError('unavailable', code, message);
}
