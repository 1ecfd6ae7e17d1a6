import { LRUCache } from 'lru-cache';
import { RequestError } from '../../errors.ts';
import { addressBlock, hashToken } from '../../security/index.ts';
import { TokenBuckets } from './token-buckets.ts';

const WRONG_FOR_MS = 10_000;
const MAX_REMEMBERED = 10_000;
/** Of secrets from one address that nobody has. */
const WRONG = { perSecond: 1, burst: 60 };

/**
 * Limits for each address how many secrets it may try that turn out to be nobody's. Each is looked up all the same, which is one read by
 * its hash: so whoever has a valid one is let in whatever their neighbours behind the same address do. What was wrong a moment
 * ago is wrong still, without a look, and is no other guess: a secret is random, so it can't become right.
 */
export class GuessLimit {
  readonly #what: string;
  readonly #wrong = new LRUCache<string, true>({
    ttl: WRONG_FOR_MS,
    maxSize: MAX_REMEMBERED,
    sizeCalculation: () => 1,
  });
  readonly #buckets = new TokenBuckets(WRONG);

  /** `what` the secrets are called, such as "access tokens". */
  constructor(what: string) {
    this.#what = what;
  }

  /** Whose the secret is, by `lookUp`, or null. Throws RequestError `too_many_guesses`, and what `lookUp` throws. */
  async check<T>(
    secret: string,
    clientAddress: string | undefined,
    lookUp: () => Promise<T | null>,
  ): Promise<T | null> {
    const key = hashToken(secret).toString('base64');
    if (this.#wrong.has(key)) return null;
    const found = await lookUp();
    // Who sends one wrong secret many times at once has guessed once.
    if (found !== null || this.#wrong.has(key)) return found;
    this.#wrong.set(key, true);
    const { allowed, retryAfterSeconds } = this.#buckets.take(addressBlock(clientAddress ?? ''));
    if (allowed) return null;
    throw new RequestError(
      'rate_limited',
      'too_many_guesses',
      `Too many ${this.#what} from this address were nobody's. Try again in ${retryAfterSeconds} s.`,
      { data: { retryAfterSeconds } },
    );
  }
}
