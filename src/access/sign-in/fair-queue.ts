import { RequestError } from '../../errors.ts';

export interface FairQueueLimits {
  /** How much runs at the same moment. */
  atOnce: number;
  /** How much of one key may wait, and of all keys together. */
  waitingPerKey: number;
  waiting: number;
  /** How much may wait of those that go first; they have room of their own. */
  waitingFirst: number;
}

type Start = () => void;

/**
 * Runs dear work a little at a time, the keys in turn: who sends much waits for themselves, and the next key's first is never behind more than one
 * of each. After each piece its place rests for as long as that took, so that a flood takes half of a core for each place and no more.
 */
export class FairQueue {
  readonly #limits: FairQueueLimits;
  readonly #first: Start[] = [];
  // In the order of their turns.
  readonly #byKey = new Map<string, Start[]>();
  #waiting = 0;
  #running = 0;

  constructor(limits: FairQueueLimits) {
    this.#limits = limits;
  }

  /** Throws RequestError `sign_in_busy` where too much waits already: nothing was done then. */
  async run<T>(key: string, options: { first: boolean }, work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limits.atOnce) await this.#wait(key, options.first);
    else this.#running += 1;
    const startedAt = performance.now();
    try {
      return await work();
    } finally {
      setTimeout(() => this.#next(), performance.now() - startedAt).unref();
    }
  }

  async #wait(key: string, first: boolean): Promise<void> {
    const mine = this.#byKey.get(key) ?? [];
    const full = first
      ? this.#first.length >= this.#limits.waitingFirst
      : mine.length >= this.#limits.waitingPerKey || this.#waiting >= this.#limits.waiting;
    if (full) {
      throw new RequestError(
        'unavailable',
        'sign_in_busy',
        'Many are signing in at this moment. Try again in a few seconds.',
        { data: { retryAfterSeconds: 5 } },
      );
    }
    await new Promise<void>((start) => {
      if (first) {
        this.#first.push(start);
        return;
      }
      mine.push(start);
      this.#byKey.set(key, mine);
      this.#waiting += 1;
    });
  }

  /** Gives the place that has become free to the next one, or back. */
  #next(): void {
    const start = this.#first.shift() ?? this.#takeInTurn();
    if (start === undefined) this.#running -= 1;
    else start();
  }

  #takeInTurn(): Start | undefined {
    const [turn] = this.#byKey;
    if (turn === undefined) return undefined;
    const [key, starts] = turn;
    const start = starts.shift();
    this.#waiting -= 1;
    this.#byKey.delete(key);
    if (starts.length > 0) this.#byKey.set(key, starts);
    return start;
  }
}
