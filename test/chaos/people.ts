import type { Random } from './random.ts';

/** What someone was last said to be, and when. */
interface Latest<Value> {
  value: Value;
  /** Milliseconds since 1970. */
  atMs: number;
}

/** What the events that were sent say of one person: the driver's own account, made without any query. */
export interface Person {
  /** Null for a visitor whom nobody has linked to a user. */
  userId: string | null;
  anonymousId: string | null;
  plan: Latest<string> | null;
  email: Latest<string> | null;
  orders: number;
  /** Whole numbers, so that no order of adding them matters. */
  spent: number;
  lastSku: Latest<string> | null;
  /** At least one event was about them: before, nobody knows them. */
  known: boolean;
  /** Whose they are since they were linked or aliased. */
  mergedInto: Person | null;
  /** Of a visitor whose profile became a user's: nobody was merged, and the user has it. */
  became: boolean;
}

/** One message as /v1/batch takes it. */
export interface SentEvent {
  messageId: string;
  type: 'track' | 'identify' | 'alias';
  userId?: string;
  anonymousId?: string;
  previousId?: string;
  event?: string;
  properties?: Record<string, unknown>;
  traits?: Record<string, unknown>;
  timestamp: string;
}

/** A definition whose answer the driver can tell from a person alone. undefined is: not a member, or no value. */
export interface Definition {
  kind: 'audience' | 'computed_trait';
  query: string;
  of: (person: Person) => unknown;
}

const member = (holds: boolean): true | undefined => (holds ? true : undefined);

/** The definitions that computations are made of and edited to, by a number that makes them differ. */
const AUDIENCES: readonly ((number: number) => Definition)[] = [
  () => ({ kind: 'audience', query: "trait('plan') = 'pro'", of: ({ plan }) => member(plan?.value === 'pro') }),
  (number) => ({
    kind: 'audience',
    query: `event('Order Completed').count() >= ${1 + number}`,
    of: ({ orders }) => member(orders >= 1 + number),
  }),
  (number) => ({
    kind: 'audience',
    query: `event('Order Completed').sum(property('total')) > ${number * 50}`,
    of: ({ orders, spent }) => member(orders > 0 && spent > number * 50),
  }),
  (number) => ({
    kind: 'audience',
    query: `event('Order Completed').count() >= ${1 + number} AND NOT (trait('plan') = 'free')`,
    of: ({ orders, plan }) => member(orders >= 1 + number && plan?.value !== 'free'),
  }),
];
const TRAITS: readonly (() => Definition)[] = [
  () => ({
    kind: 'computed_trait',
    query: "event('Order Completed').sum(property('total'))",
    of: ({ orders, spent }) => (orders === 0 ? undefined : spent),
  }),
  () => ({
    kind: 'computed_trait',
    query: "event('Order Completed').last(property('sku'))",
    of: ({ lastSku }) => lastSku?.value,
  }),
];

export function anyDefinition(random: Random, kind: Definition['kind']): Definition {
  return kind === 'audience' ? random.pick(AUDIENCES)(random.int(6)) : random.pick(TRAITS)();
}

const PLANS = ['free', 'pro', 'team'] as const;
// A client's clock is never ahead of the server's here: a time from the future would count as its arrival.
const CLOCK_BEHIND_MS = 10_000;
// Of a hundred events so many link a visitor to a user, or say that two users are one.
const LINKS = 0.04;
const ALIASES = 0.01;
// So seldom that the address of many a person is the one that they had before they were merged.
const EMAILS = 0.08;

/** The people of one space, users and visitors, and the events that happen to them. */
export class People {
  readonly #users: Person[];
  /** Users of whom nothing is heard before a visitor becomes one of them. */
  readonly #newcomers: Person[];
  readonly #visitors: Person[];
  readonly #random: Random;
  readonly #prefix: string;
  #events = 0;
  #lastMs = 0;
  #merges = 0;
  #became = 0;

  constructor(random: Random, prefix: string, count: number) {
    this.#random = random;
    this.#prefix = prefix;
    const users = Array.from({ length: count }, (_, index) => newPerson({ userId: `person-${index}` }));
    this.#newcomers = users.splice(0, Math.ceil(count / 6));
    this.#users = users;
    this.#visitors = Array.from({ length: Math.ceil(count / 3) }, (_, index) =>
      newPerson({ anonymousId: `visitor-${index}` }),
    );
  }

  /** Everyone who is somebody of their own: not merged into another. */
  get standing(): Person[] {
    return [...this.#users, ...this.#visitors].filter(({ known, mergedInto }) => known && mergedInto === null);
  }

  /** How many were linked to a user, or aliased, who were known before. */
  get merges(): number {
    return this.#merges;
  }

  /** How many visitors became users who were known before. */
  get became(): number {
    return this.#became;
  }

  /** Whose an id is, as a tool was told it: a user's or a visitor's. Undefined where nobody has it. */
  withId(id: string): Person | undefined {
    const person = this.#named(id);
    return person === undefined ? undefined : standingOf(person);
  }

  /** Whether an id is a visitor's who became a user, and whom nobody merged since: no tool is to know them by it any more. */
  isOutgrown(id: string): boolean {
    const person = this.#named(id);
    return person !== undefined && person.became && person.mergedInto?.mergedInto === null;
  }

  #named(id: string): Person | undefined {
    return [...this.#users, ...this.#visitors].find((one) => idOf(one) === id);
  }

  /** Something happens to someone. It counts at once: who takes it has to send it until it is acknowledged. */
  next(): SentEvent {
    // No two in one millisecond, so that which one is the last is never a matter of their ids.
    this.#lastMs = Math.max(Date.now() - CLOCK_BEHIND_MS, this.#lastMs + 1);
    const chance = this.#random.next();
    if (chance < LINKS) {
      const visitor = this.#random.pick(this.#visitors);
      if (visitor.mergedInto === null) return this.#link(visitor, this.#whoSignsIn());
    } else if (chance < LINKS + ALIASES) {
      const [previous, user] = [this.#random.pick(this.#users), this.#random.pick(this.#users)];
      // An unknown previous id would be an anonymous one.
      if (previous.known && user.known && standingOf(previous) !== standingOf(user)) return this.#alias(previous, user);
    }
    const who = this.#random.pick(this.#random.chance(0.25) ? this.#visitors : this.#users);
    return this.#random.chance(0.55) ? this.#identify(who) : this.#order(who);
  }

  #common(person: Person): Pick<SentEvent, 'messageId' | 'userId' | 'anonymousId' | 'timestamp'> {
    return {
      messageId: `${this.#prefix}-${++this.#events}`,
      ...(person.userId === null ? { anonymousId: idOf(person) } : { userId: person.userId }),
      timestamp: new Date(this.#lastMs).toISOString(),
    };
  }

  #identify(who: Person): SentEvent {
    const plan = this.#random.pick(PLANS);
    const person = standingOf(who);
    person.known = true;
    who.known = true;
    person.plan = { value: plan, atMs: this.#lastMs };
    if (!this.#random.chance(EMAILS)) return { ...this.#common(who), type: 'identify', traits: { plan } };
    // The address tells who wrote it, so the latest of two people who became one can be told from the other's.
    const email = `${idOf(who)}@example.com`;
    person.email = { value: email, atMs: this.#lastMs };
    return { ...this.#common(who), type: 'identify', traits: { plan, email } };
  }

  #order(who: Person): SentEvent {
    const total = 1 + this.#random.int(40);
    const sku = `sku-${this.#random.int(20)}`;
    const person = standingOf(who);
    person.known = true;
    who.known = true;
    person.orders += 1;
    person.spent += total;
    person.lastSku = { value: sku, atMs: this.#lastMs };
    return { ...this.#common(who), type: 'track', event: 'Order Completed', properties: { total, sku } };
  }

  /** A user whom a visitor turns out to be: one whom nobody has heard of yet, as long as there are some, or any. */
  #whoSignsIn(): Person {
    const newcomer = this.#random.chance(0.5) ? this.#newcomers.pop() : undefined;
    if (newcomer === undefined) return this.#random.pick(this.#users);
    this.#users.push(newcomer);
    return newcomer;
  }

  /** A visitor signs in, or up: an `identify` with both ids. A known visitor's profile becomes the user's where the user has none. */
  #link(visitor: Person, user: Person): SentEvent {
    if (visitor.known && !user.known) {
      visitor.became = true;
      this.#became += 1;
    }
    this.#merge(visitor, standingOf(user));
    user.known = true;
    const { anonymousId } = visitor;
    return { ...this.#common(user), type: 'identify', ...(anonymousId === null ? {} : { anonymousId }), traits: {} };
  }

  #alias(previous: Person, user: Person): SentEvent {
    this.#merge(standingOf(previous), standingOf(user));
    return { ...this.#common(user), type: 'alias', previousId: idOf(previous) };
  }

  #merge(from: Person, into: Person): void {
    if (from.known && into.known) this.#merges += 1;
    from.mergedInto = into;
    into.known = true;
    into.orders += from.orders;
    into.spent += from.spent;
    into.plan = later(into.plan, from.plan);
    into.email = later(into.email, from.email);
    into.lastSku = later(into.lastSku, from.lastSku);
  }
}

/** The id that a tool knows a person by. */
export function idOf({ userId, anonymousId }: Person): string {
  return userId ?? anonymousId ?? '';
}

function newPerson(ids: { userId?: string; anonymousId?: string }): Person {
  return {
    userId: ids.userId ?? null,
    anonymousId: ids.anonymousId ?? null,
    plan: null,
    email: null,
    orders: 0,
    spent: 0,
    lastSku: null,
    known: false,
    mergedInto: null,
    became: false,
  };
}

function standingOf(person: Person): Person {
  let standing = person;
  while (standing.mergedInto !== null) standing = standing.mergedInto;
  return standing;
}

function later<Value>(one: Latest<Value> | null, other: Latest<Value> | null): Latest<Value> | null {
  return one === null || (other !== null && other.atMs > one.atMs) ? other : one;
}
