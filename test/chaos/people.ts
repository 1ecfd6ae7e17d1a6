import type { Random } from './random.ts';

/** What the events that were sent say of one person: the driver's own account, made without any query. */
export interface Person {
  userId: string;
  plan: string | null;
  orders: number;
  /** Whole numbers, so that no order of adding them matters. */
  spent: number;
  lastSku: string | null;
}

/** One message as /v1/batch takes it. */
export interface SentEvent {
  messageId: string;
  type: 'track' | 'identify';
  userId: string;
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
  () => ({ kind: 'audience', query: "trait('plan') = 'pro'", of: ({ plan }) => member(plan === 'pro') }),
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
    of: ({ orders, plan }) => member(orders >= 1 + number && plan !== 'free'),
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
    of: ({ lastSku }) => lastSku ?? undefined,
  }),
];

export function anyDefinition(random: Random, kind: Definition['kind']): Definition {
  return kind === 'audience' ? random.pick(AUDIENCES)(random.int(6)) : random.pick(TRAITS)();
}

const PLANS = ['free', 'pro', 'team'] as const;

/** The people of one space, and the events that happen to them. */
export class People {
  readonly everybody: Person[];
  readonly #random: Random;
  readonly #prefix: string;
  #events = 0;
  #lastMs = 0;

  constructor(random: Random, prefix: string, count: number) {
    this.#random = random;
    this.#prefix = prefix;
    this.everybody = Array.from({ length: count }, (_, index) => ({
      userId: `person-${index}`,
      plan: null,
      orders: 0,
      spent: 0,
      lastSku: null,
    }));
  }

  /** Something happens to someone. It counts at once: who takes it has to send it until it is acknowledged. */
  next(): SentEvent {
    const person = this.#random.pick(this.everybody);
    // No two in one millisecond, so that which one is the last is never a matter of their ids.
    this.#lastMs = Math.max(Date.now(), this.#lastMs + 1);
    const common = {
      messageId: `${this.#prefix}-${++this.#events}`,
      userId: person.userId,
      timestamp: new Date(this.#lastMs).toISOString(),
    };
    if (this.#random.chance(0.55)) {
      const plan = this.#random.pick(PLANS);
      person.plan = plan;
      return { ...common, type: 'identify', traits: { plan, email: `${person.userId}@example.com` } };
    }
    const total = 1 + this.#random.int(40);
    const sku = `sku-${this.#random.int(20)}`;
    person.orders += 1;
    person.spent += total;
    person.lastSku = sku;
    return { ...common, type: 'track', event: 'Order Completed', properties: { total, sku } };
  }
}
