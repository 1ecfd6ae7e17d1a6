import { describe, expect, it } from 'vitest';
import { parseTrigger } from '../../src/destinations/catalogue/trigger.ts';

const entered = { type: 'track', event: 'Audience Entered', properties: { audience_key: 'vip', vip: true } };
const identified = {
  type: 'identify',
  userId: 'u1',
  traits: { vip: true, age: 30 },
  context: { traits: { email: 'a@b.c' } },
};

describe('parseTrigger', () => {
  it.each([
    ['type = "track"', true, false],
    ['type = "track" or type = "identify"', true, true],
    ['type = "track" and (event = "Audience Entered" or event = "Audience Exited")', true, false],
    ['(type = "identify") or (type = "track" and event = "Audience Exited")', false, true],
    ['event = "Audience Exited"', false, false],
    ['properties.vip = true', true, false],
    ['traits.age >= 30', false, true],
    ['contains(event, "Entered")', true, false],
    ['!contains(event, "Entered") and type = "identify"', false, false],
    ['match(event, "Audience*")', true, false],
    ['context.traits.email != null', false, true],
    ['type = track', true, false],
  ])('%s', (text, forTrack, forIdentify) => {
    const matches = parseTrigger(text, 'trigger');
    expect([matches(entered), matches(identified)]).toEqual([forTrack, forIdentify]);
  });

  it.each([
    ['', 'it is empty'],
    ['type =', 'a value was expected at the end, and it ended'],
    ['type "track"', 'one of = != < <= > >= was expected at column 6, and "track" was found'],
    ['foo = "x"', 'type, event, name, userId, properties.…, traits.… or context.… was expected at column 1'],
    ['type = "track" and event = "a" or event = "b"', '"and" and "or" are mixed at column 32'],
    ['type = "track" and (event = "a" or (event = "b"))', 'parentheses inside of parentheses at column 36'],
    ['type = "track" and (event = "a"', '")" was expected at the end'],
    ['type = "track" event = "a"', '"and", "or" or the end was expected at column 16'],
    ['contains(event "x")', '"," was expected at column 16'],
    ['type = "track', 'a value was expected'],
  ])('refuses %j and says where', (text, problem) => {
    expect(() => parseTrigger(text, 'subscriptions[0].trigger')).toThrow(
      expect.objectContaining({
        name: 'RequestError',
        code: 'trigger_invalid',
        field: 'subscriptions[0].trigger',
        message: expect.stringContaining(problem),
      }),
    );
  });

  it('knows no pattern that could take for ever: many stars are text, but for the first or the last', () => {
    const stars = '*a'.repeat(500);
    const named = (event: string) => ({ type: 'track', event });
    expect(parseTrigger(`match(event, "${stars}b")`, 'trigger')(named('a'.repeat(100_000)))).toBe(false);
    expect(parseTrigger(`match(event, "${stars}b")`, 'trigger')(named(`x${stars.slice(1)}b`))).toBe(true);
    expect(parseTrigger(`match(event, "${stars}*")`, 'trigger')(named('a'.repeat(100_000)))).toBe(false);
  });
});
