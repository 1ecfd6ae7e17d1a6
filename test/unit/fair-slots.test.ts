import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairSlots, type Slot } from '../../src/fair-slots.ts';

/** Asks for slots for a key, so many at once; `given` are those that it has got. */
function ask(slots: FairSlots, key: string, count: number): { given: Slot[] } {
  const asked: { given: Slot[] } = { given: [] };
  for (let at = 0; at < count; at++) void slots.take(key).then((slot) => asked.given.push(slot));
  return asked;
}

/** Lets what was given be heard. */
const heard = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve));

describe('slots that workspaces share', () => {
  it.each([
    [30, 20],
    [20, 13],
    [6, 4],
    [2, 1],
    [1, 1],
  ])('of %i, one workspace alone has %i at most', async (all, mine) => {
    const asked = ask(new FairSlots(all), 'a', 100);
    await heard();
    expect(asked.given).toHaveLength(mine);
  });

  it('are free for whoever comes next, beside one that holds for ever', async () => {
    const slots = new FairSlots(20);
    ask(slots, 'hostile', 100);
    const other = ask(slots, 'other', 1);
    await heard();
    expect(other.given).toHaveLength(1);
  });

  it('are free for whoever comes next beside several, once those are given back that are wanted', async () => {
    const slots = new FairSlots(20);
    const hostile = ['a', 'b', 'c', 'd'].map((key) => ({ key, ...ask(slots, key, 100) }));
    await heard();
    for (let turns = 0; turns < 40; turns++) {
      for (const { key, given } of hostile) {
        if (given[0]?.isWanted() !== true) continue;
        given.shift()?.leave();
        void slots.take(key).then((slot) => given.push(slot));
      }
      await heard();
    }
    for (const { given } of hostile) expect(given.length).toBeLessThanOrEqual(5);
    const other = ask(slots, 'other', 1);
    await heard();
    expect(other.given).toHaveLength(1);
  });

  it('go to their keys in turn where each holds as many', async () => {
    const slots = new FairSlots(1);
    const [a] = [ask(slots, 'a', 10)];
    const [b, c] = [ask(slots, 'b', 2), ask(slots, 'c', 1)];
    const order: string[] = [];
    for (let turns = 0; turns < 6; turns++) {
      await heard();
      for (const [key, { given }] of Object.entries({ a, b, c })) {
        const slot = given.shift();
        if (slot === undefined) continue;
        order.push(key);
        slot.leave();
      }
    }
    expect(order.join('')).toBe('abcaba');
  });

  it('go to who holds the fewest where all are held, and there to who was given one longest ago', async () => {
    const slots = new FairSlots(3);
    const [a, b] = [ask(slots, 'a', 3), ask(slots, 'b', 1)];
    await heard();
    expect([a.given.length, b.given.length]).toEqual([2, 1]);
    const [b2, c, d] = [ask(slots, 'b', 1), ask(slots, 'c', 1), ask(slots, 'd', 1)];
    expect(a.given[0]?.isWanted()).toBe(true);
    a.given[0]?.leave();
    await heard();
    expect([a.given.length, b2.given.length, c.given.length, d.given.length]).toEqual([2, 0, 1, 0]);
    b.given[0]?.leave();
    b.given[0]?.leave();
    await heard();
    expect([a.given.length, b2.given.length, c.given.length, d.given.length]).toEqual([2, 0, 1, 1]);
  });

  it('are not wanted by who holds as many', async () => {
    const slots = new FairSlots(3);
    const mine = ask(slots, 'a', 5);
    await heard();
    expect(mine.given[0]?.isWanted()).toBe(false);
  });

  it('are waited for no longer than somebody wants one', async () => {
    const slots = new FairSlots(1);
    const [first] = [ask(slots, 'a', 1)];
    await heard();
    const giveUp = new AbortController();
    const waiting = slots.take('b', giveUp.signal);
    giveUp.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(slots.waiting).toBe(0);
    first.given[0]?.leave();
    await expect(slots.take('c')).resolves.toBeDefined();
  });

  it('are given to one that wants several at once as often as to those that come and go', async () => {
    const slots = new FairSlots(6);
    const given = new Map<string, number>();
    const over = new AbortController();
    const ticks = async (count: number): Promise<void> => {
      for (let at = 0; at < count; at++) await new Promise((resolve) => setImmediate(resolve));
    };
    const comeAndGo = async (key: string, seed: number): Promise<void> => {
      for (let turn = 0; !over.signal.aborted; turn++) {
        const slot = await slots.take(key);
        given.set(key, (given.get(key) ?? 0) + 1);
        await ticks(3 + ((seed * 7 + turn * 5) % 9));
        slot.leave();
        await ticks(1);
      }
    };
    const others = Array.from({ length: 16 }, (_, at) => `other-${at}`);
    others.forEach((key, at) => void comeAndGo(key, at));
    await ticks(20);
    for (const lane of [1, 2, 3]) void comeAndGo('several', lane);
    await ticks(3_000);
    over.abort();
    const most = Math.max(...others.map((key) => given.get(key) ?? 0));
    expect(given.get('several') ?? 0).toBeGreaterThan(most / 2);
  });

  it('are never given twice, and never lie idle for a workspace that has none', async () => {
    const step = fc.record({ key: fc.constantFrom('a', 'b', 'c'), leaves: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 60 }), async (all, steps) => {
        const slots = new FairSlots(all);
        const held: { key: string; slot: Slot }[] = [];
        const wanting = new Map<string, number>();
        for (const { key, leaves } of steps) {
          if (leaves) held.splice(0, 1)[0]?.slot.leave();
          else {
            wanting.set(key, (wanting.get(key) ?? 0) + 1);
            void slots.take(key).then((slot) => {
              wanting.set(key, (wanting.get(key) ?? 0) - 1);
              return held.push({ key, slot });
            });
          }
          await heard();
          expect(held.length).toBeLessThanOrEqual(all);
          for (const [waits, count] of wanting) {
            if (count > 0 && held.length < all) expect(held.some((one) => one.key === waits)).toBe(true);
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});
