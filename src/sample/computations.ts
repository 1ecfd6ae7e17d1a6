import type { ShopMessage } from './shop.ts';

export interface SampleComputation {
  kind: 'audience' | 'computed_trait';
  key: string;
  name: string;
  query: string;
  /** Also sent to the receiver that rejects for good. */
  toRejecting?: boolean;
  /** Whether a person counts, told from their messages alone and not by the query language: what a run has to find. */
  counts: (messages: readonly ShopMessage[], now: Date) => boolean;
}

const DAY_MS = 86_400_000;

/** The sample's three audiences and three computed traits. */
export const SAMPLE_COMPUTATIONS: readonly SampleComputation[] = [
  {
    kind: 'audience',
    key: 'recent_buyers',
    name: 'Recent buyers',
    query: "event('Order Completed').within(30 days).count() >= 1",
    counts: (messages, now) => events(messages, 'Order Completed').some((order) => isWithin(order, 30, now)),
  },
  {
    kind: 'audience',
    key: 'big_spenders',
    name: 'Big spenders',
    query: "event('Order Completed').where(property('currency') = 'EUR').sum(property('total')) > 400",
    counts: (messages) => events(messages, 'Order Completed').reduce((sum, order) => sum + cents(order), 0) > 40_000,
  },
  {
    kind: 'audience',
    key: 'left_in_basket',
    name: 'Left in the basket',
    query:
      "event('Product Added').within(30 days).count() >= 1 AND NOT (event('Order Completed').within(30 days).count() >= 1)",
    toRejecting: true,
    counts: (messages, now) =>
      events(messages, 'Product Added').some((added) => isWithin(added, 30, now)) &&
      !events(messages, 'Order Completed').some((order) => isWithin(order, 30, now)),
  },
  {
    kind: 'computed_trait',
    key: 'total_spend',
    name: 'Total spend',
    query: "event('Order Completed').sum(property('total'))",
    counts: (messages) => events(messages, 'Order Completed').length > 0,
  },
  {
    kind: 'computed_trait',
    key: 'favourite_category',
    name: 'Favourite category',
    query: "event('Product Viewed').mode(property('category'), 2)",
    counts: (messages) => {
      const seen = events(messages, 'Product Viewed').map((viewed) => viewed.properties['category']);
      return new Set(seen).size < seen.length;
    },
  },
  {
    kind: 'computed_trait',
    key: 'last_order',
    name: 'Last order',
    query: "event('Order Completed').within(60 days).last(property('orderId'))",
    counts: (messages, now) => events(messages, 'Order Completed').some((order) => isWithin(order, 60, now)),
  },
];

/** How many people each computation has to find, by its key. */
export function expectedSizes(messages: readonly ShopMessage[], now: Date): Map<string, number> {
  const people = new Map<string, ShopMessage[]>();
  for (const message of messages) {
    // person-0042 and visitor-0042 are one person.
    const id = (message.userId ?? ('anonymousId' in message ? message.anonymousId : '') ?? '').split('-')[1] ?? '';
    const known = people.get(id);
    if (known === undefined) people.set(id, [message]);
    else known.push(message);
  }
  return new Map(
    SAMPLE_COMPUTATIONS.map(({ key, counts }) => [
      key,
      [...people.values()].filter((person) => counts(person, now)).length,
    ]),
  );
}

type Track = Extract<ShopMessage, { type: 'track' }>;

function events(messages: readonly ShopMessage[], event: Track['event']): Track[] {
  return messages.filter((message): message is Track => message.type === 'track' && message.event === event);
}

function isWithin(message: Track, days: number, now: Date): boolean {
  return message.timestamp.getTime() > now.getTime() - days * DAY_MS;
}

function cents(order: Track): number {
  return Math.round(Number(order.properties['total']) * 100);
}
