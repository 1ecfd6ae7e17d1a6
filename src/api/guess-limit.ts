import { LRUCache } from 'lru-cache';
import { RequestError } from '../errors.ts';
import { addressBlock, hashToken } from '../security/index.ts';
import { TokenBuckets } from './rate-limit.ts';

const ACCEPTED_FOR_MS = 10 * 60_000;
const WRONG_FOR_MS = 10_000;
const MAX_REMEMBERED = 10_000;
/** Of secrets from one address that nobody has. */
const WRONG = { perSecond: 1, burst: 60 };

/**
 * Limits for each address how many secrets are looked up that turn out to be nobody's. What was accepted a short while ago is looked up whatever
 * its neighbours do, and what was wrong a moment ago is wrong still, without a look: a secret is random, so it can't become right.
 */
export class GuessLimit {
  readonly #accepted = remembered(ACCEPTED_FOR_MS);
  readonly #wrong = remembered(WRONG_FOR_MS);
  readonly #buckets = new TokenBuckets(WRONG);

  /** Whose the secret is, by `lookUp`, or null. Throws RequestError `too_many_guesses`, and what `lookUp` throws. */
  async check<T>(
    secret: string,
    clientAddress: string | undefined,
    lookUp: () => Promise<T | null>,
  ): Promise<T | null> {
    const key = hashToken(secret).toString('base64');
    if (this.#wrong.has(key)) return null;
    const address = addressBlock(clientAddress ?? '');
    // Taken before it is known, so that guesses at the same moment all count, and given back where it was none.
    const taken = !this.#accepted.has(key);
    if (taken) this.#take(address);
    let guessed = false;
    try {
      const found = await lookUp();
      guessed = found === null;
      if (guessed) {
        this.#accepted.delete(key);
        this.#wrong.set(key, true);
      } else this.#accepted.set(key, true);
      return found;
    } finally {
      if (taken && !guessed) this.#buckets.give(address);
    }
  }

  #take(address: string): void {
    const { allowed, retryAfterSeconds } = this.#buckets.take(address);
    if (allowed) return;
    throw new RequestError(
      'rate_limited',
      'too_many_guesses',
      `Too many access tokens and sessions from this address were nobody's. Try again in ${retryAfterSeconds} s.`,
      { data: { retryAfterSeconds } },
    );
  }
}

function remembered(ttl: number): LRUCache<string, true> {
  return new LRUCache({ ttl, maxSize: MAX_REMEMBERED, sizeCalculation: () => 1 });
}
