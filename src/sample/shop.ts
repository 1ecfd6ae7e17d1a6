/**
 * A small shop: people who look, buy and come back, over the 90 days before `now`. The same seed makes the same shop.
 *
 * Nothing happens within an hour of a day's boundary counted back from `now`, so that `within(30 days)` means the same
 * people whether it is asked now or a few minutes later.
 */

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const DAYS = 90;
const PEOPLE = 2_000;
const COMPANIES = 120;

export type ShopMessage =
  | { type: 'identify'; userId: string; anonymousId?: string; traits: Record<string, unknown>; timestamp: Date }
  | { type: 'group'; userId: string; groupId: string; traits: Record<string, unknown>; timestamp: Date }
  | { type: 'page'; userId?: string; anonymousId?: string; name: string; timestamp: Date }
  | {
      type: 'track';
      userId?: string;
      anonymousId?: string;
      event: 'Product Viewed' | 'Product Added' | 'Order Completed';
      properties: Record<string, unknown>;
      timestamp: Date;
    };

const CATEGORIES = ['boots', 'jackets', 'maps', 'ropes', 'stoves', 'tents'] as const;
const COUNTRIES = ['AT', 'CH', 'DE', 'FR', 'IT', 'NO'] as const;
const PAGES = ['Home', 'Search', 'Product', 'Basket', 'Help'] as const;

/** The shop's messages in the order of their time, about 20,000 of them for 2,000 people. */
export function makeShop(seed: number, now: Date): ShopMessage[] {
  const random = randomSequence(seed);
  const messages: ShopMessage[] = [];
  for (let index = 0; index < PEOPLE; index++) messages.push(...makePerson(index, random, now));
  return messages.sort((a, b) => a.timestamp.getTime() - b.timestamp.getTime());
}

function makePerson(index: number, random: () => number, now: Date): ShopMessage[] {
  const name = String(index + 1).padStart(4, '0');
  // Everybody comes as a stranger; one in ten never says who they are.
  const anonymousId = `visitor-${name}`;
  const userId = random() < 0.9 ? `person-${name}` : undefined;
  const favourite = pick(CATEGORIES, random);
  const keenness = random() ** 2;
  const visits = 1 + Math.floor(keenness * 4 + random() * 2);
  const days = Array.from({ length: visits }, () => Math.floor(random() * DAYS)).sort((a, b) => b - a);
  const messages: ShopMessage[] = [];
  let known = false;
  for (const [visit, day] of days.entries()) {
    const at = clockOf(day, random, now);
    const who = () => (known && userId !== undefined ? { userId } : { anonymousId });
    messages.push({ type: 'page', ...who(), name: pick(PAGES, random), timestamp: at() });
    const looks = 1 + Math.floor(random() * 2);
    for (let look = 0; look < looks; look++) {
      const category = random() < 0.6 ? favourite : pick(CATEGORIES, random);
      messages.push({ ...track('Product Viewed', { category, price: price(random) }, at()), ...who() });
    }
    if (random() > 0.25 + keenness * 0.6) continue;
    messages.push({ ...track('Product Added', { category: favourite, price: price(random) }, at()), ...who() });
    if (userId !== undefined && !known) {
      known = true;
      messages.push({
        type: 'identify',
        userId,
        anonymousId,
        traits: { email: `${userId}@example.com`, country: pick(COUNTRIES, random), plan: planOf(keenness) },
        timestamp: at(),
      });
      if (keenness > 0.7) {
        const company = Math.floor(random() * COMPANIES) + 1;
        messages.push({
          type: 'group',
          userId,
          groupId: `company-${company}`,
          traits: { name: `Company ${company}`, seats: (company * 7) % 90 },
          timestamp: at(),
        });
      }
    }
    if (random() < 0.65) {
      const orderId = `order-${name}-${visit + 1}`;
      messages.push({
        ...track('Order Completed', { orderId, total: price(random), currency: 'EUR' }, at()),
        ...who(),
      });
    }
  }
  return messages;
}

/** Moments of one visit: each a minute or so after the one before, all inside the day and clear of its boundaries. */
function clockOf(day: number, random: () => number, now: Date): () => Date {
  let time = now.getTime() - (day + 1) * DAY_MS + HOUR_MS + random() * 20 * HOUR_MS;
  return () => {
    time += 20_000 + Math.floor(random() * 90_000);
    return new Date(time);
  };
}

function track(
  event: 'Product Viewed' | 'Product Added' | 'Order Completed',
  properties: Record<string, unknown>,
  timestamp: Date,
): Extract<ShopMessage, { type: 'track' }> {
  return { type: 'track', event, properties, timestamp };
}

function planOf(keenness: number): 'free' | 'member' {
  return keenness > 0.5 ? 'member' : 'free';
}

/** A price with cents, so that sums have to be exact. */
function price(random: () => number): number {
  return Math.round((5 + random() ** 3 * 400) * 100) / 100;
}

function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)] as T;
}

/** Mulberry32: a small, well-known generator of numbers in [0, 1); the same seed gives the same sequence everywhere. */
function randomSequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
