/** A slot that was taken. */
export interface Slot {
  /** Whether somebody waits who has fewer slots than whoever holds this one. */
  isWanted(): boolean;
  /** Gives it back; a second time does nothing. */
  leave(): void;
}

/** For each slot that is free, so many may be held by one. */
const HELD_FOR_EACH_FREE = 2;

interface Waiting {
  key: string;
  goOn: (slot: Slot) => void;
}

/**
 * Slots for work, shared by keys (workspaces, say) so that none waits for another's trouble. Nobody takes a slot that would leave less
 * than one free for each two of their own: alone they have two thirds of all, two have two fifths each, and whoever comes next finds
 * one. The first slot of a key is given as long as there is any. Where all are held, the next one goes to who holds the fewest;
 * among those to who was given one longest ago.
 *
 * (The dynamic thresholds by which a switch shares its buffer among its ports: Choudhury and Hahne, 1998.)
 */
export class FairSlots {
  readonly #slots: number;
  readonly #held = new Map<string, number>();
  /** When each was given one last, in numbers that grow; only of those who hold or want one. */
  readonly #givenAt = new Map<string, number>();
  #given = 0;
  #waiting: Waiting[] = [];
  #taken = 0;

  constructor(slots: number) {
    this.#slots = slots;
  }

  /** How much waits for a slot. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether nobody has a slot, and nobody waits for one. */
  get isIdle(): boolean {
    return this.#taken === 0 && this.#waiting.length === 0;
  }

  /** Waits for a slot for `key`. Rejected with the reason of `signal` where that is aborted before there is one. */
  async take(key: string, signal?: AbortSignal): Promise<Slot> {
    signal?.throwIfAborted();
    if (this.#mayTake(key)) return this.#give(key);
    return await new Promise<Slot>((resolve, reject) => {
      const giveUp = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting);
        this.#forget(key);
        reject(signal?.reason as Error);
      };
      const waiting: Waiting = {
        key,
        goOn: (slot) => {
          signal?.removeEventListener('abort', giveUp);
          resolve(slot);
        },
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      // Who comes anew stands behind all but who was given the last one: what waits for several at once would else never be the oldest.
      if (!this.#givenAt.has(key)) this.#givenAt.set(key, this.#given - 0.5);
      this.#waiting.push(waiting);
    });
  }

  #heldBy(key: string): number {
    return this.#held.get(key) ?? 0;
  }

  #mayTake(key: string): boolean {
    const free = this.#slots - this.#taken - 1;
    const held = this.#heldBy(key) + 1;
    return free >= 0 && (held === 1 || held <= HELD_FOR_EACH_FREE * free);
  }

  #give(key: string): Slot {
    this.#taken += 1;
    this.#held.set(key, this.#heldBy(key) + 1);
    this.#givenAt.set(key, ++this.#given);
    let left = false;
    return {
      isWanted: () => this.#waiting.some((waiting) => this.#heldBy(waiting.key) < this.#heldBy(key)),
      leave: () => {
        if (left) return;
        left = true;
        this.#taken -= 1;
        const still = this.#heldBy(key) - 1;
        if (still === 0) this.#held.delete(key);
        else this.#held.set(key, still);
        this.#giveFree();
        this.#forget(key);
      },
    };
  }

  #giveFree(): void {
    for (let next = this.#nextInTurn(); next !== undefined; next = this.#nextInTurn()) {
      const given = next;
      this.#waiting = this.#waiting.filter((one) => one !== given);
      given.goOn(this.#give(given.key));
    }
  }

  #forget(key: string): void {
    if (this.#heldBy(key) === 0 && !this.#waiting.some((waiting) => waiting.key === key)) this.#givenAt.delete(key);
  }

  #nextInTurn(): Waiting | undefined {
    let next: Waiting | undefined;
    for (const waiting of this.#waiting) {
      if (this.#mayTake(waiting.key) && (next === undefined || this.#goesBefore(waiting.key, next.key))) next = waiting;
    }
    return next;
  }

  #goesBefore(key: string, other: string): boolean {
    const fewer = this.#heldBy(other) - this.#heldBy(key);
    return fewer > 0 || (fewer === 0 && (this.#givenAt.get(key) ?? 0) < (this.#givenAt.get(other) ?? 0));
  }
}
