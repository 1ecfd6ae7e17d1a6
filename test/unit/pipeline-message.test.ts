import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAccepted, MAX_EVENT_BYTES, readMessage } from '../../src/pipeline/ingest/message.ts';
import { type EventType } from '../../src/pipeline/message-types.ts';
import { MAX_TIME_MS, MIN_TIME_MS } from '../../src/pipeline/ingest/event-time.ts';
import { isTooDeep, MAX_DEPTH, withoutLoneSurrogates } from '../../src/pipeline/ingest/json-text.ts';

const receivedAtMs = Date.parse('2026-03-01T12:00:00.000Z');

function read(message: unknown, type: EventType | undefined = 'track', sentAt?: unknown) {
  const result = readMessage(message, { receivedAtMs, sentAt, ...(type === undefined ? {} : { type }) });
  return isAccepted(result) ? { ...result, event: JSON.parse(result.json) as Record<string, unknown> } : result;
}

function accepted(message: unknown, type: EventType = 'track', sentAt?: unknown): Record<string, unknown> {
  const result = read(message, type, sentAt);
  if (!('event' in result)) throw new Error(`refused: ${result.field}: ${result.message}`);
  return result.event;
}

describe('what a message needs', () => {
  const user = { userId: 'u1' };
  test.each<[EventType, Record<string, unknown>, string]>([
    ['track', { userId: 'u1' }, 'event'],
    ['track', { event: '', userId: 'u1' }, 'event'],
    ['track', { event: 7, userId: 'u1' }, 'event'],
    ['track', { event: 'Bought' }, 'userId'],
    ['track', { event: 'Bought', userId: '', anonymousId: null }, 'userId'],
    ['identify', { traits: {} }, 'userId'],
    ['page', {}, 'userId'],
    ['screen', { name: 'Home' }, 'userId'],
    ['group', { ...user }, 'groupId'],
    ['group', { groupId: 'g' }, 'userId'],
    ['alias', { ...user }, 'previousId'],
    ['alias', { previousId: 'p', anonymousId: 'a' }, 'userId'],
    ['track', { event: 'B', ...user, properties: [] }, 'properties'],
    ['track', { event: 'B', ...user, properties: 'x' }, 'properties'],
    ['identify', { ...user, traits: 3 }, 'traits'],
    ['track', { event: 'B', ...user, context: [] }, 'context'],
    ['track', { event: 'B', userId: { id: 1 } }, 'userId'],
    ['track', { event: 'B', userId: true }, 'userId'],
    ['track', { event: 'B', userId: 'a\0b' }, 'userId'],
    ['track', { event: 'B', userId: 'a\ud800' }, 'userId'],
    ['track', { event: 'B', userId: 'x'.repeat(513) }, 'userId'],
    ['track', { event: 'B', ...user, messageId: 'x'.repeat(101) }, 'messageId'],
    ['track', { event: 'B', ...user, timestamp: 'yesterday' }, 'timestamp'],
    ['track', { event: 'B', ...user, timestamp: 1_700_000_000 }, 'timestamp'],
    ['track', { event: 'B', ...user, timestamp: '1850-01-01T00:00:00Z' }, 'timestamp'],
    ['track', { event: 'B', ...user, timestamp: '2300-01-01T00:00:00Z' }, 'timestamp'],
    ['track', { event: 'B', ...user, sentAt: '12 o’clock' }, 'sentAt'],
  ])('%s %j is refused for its %s', (type, message, field) => {
    expect(read(message, type)).toMatchObject({ field });
  });

  test.each([[null], ['text'], [[]], [7]])('%j is no message', (message) => {
    expect(read(message)).toMatchObject({ field: '', messageId: null });
  });

  test('a batch needs a type in each message', () => {
    expect(readMessage({ event: 'B', userId: 'u' }, { receivedAtMs })).toMatchObject({ field: 'type' });
    expect(readMessage({ type: 'trak', event: 'B', userId: 'u' }, { receivedAtMs })).toMatchObject({ field: 'type' });
    expect(readMessage({ type: 'track', event: 'B', userId: 'u' }, { receivedAtMs })).toMatchObject({ type: 'track' });
  });

  test('a refusal names the message', () => {
    expect(read({ messageId: 'm1', userId: 'u' })).toEqual({
      messageId: 'm1',
      field: 'event',
      message: 'event is required',
    });
  });
});

describe('what a message becomes', () => {
  test('numbers as ids become text, no write key stays, unknown fields do', () => {
    const event = accepted({ event: 'B', userId: 42, writeKey: 'secret', _metadata: { nodeVersion: '20' } });
    expect(event).toMatchObject({ userId: '42', _metadata: { nodeVersion: '20' }, type: 'track' });
    expect(event).not.toHaveProperty('writeKey');
    expect(event['messageId']).toMatch(/^trailmark-/);
  });

  test("the batch's context is under the message's own", () => {
    const result = readMessage(
      { type: 'track', event: 'B', userId: 'u', context: { a: 1 } },
      { receivedAtMs, context: { a: 0, b: 2 } },
    );
    expect(isAccepted(result) && JSON.parse(result.json)).toMatchObject({ context: { a: 1, b: 2 } });
  });

  test('32 KB are taken and one byte more is not, whatever is added', () => {
    const frame = JSON.stringify({ event: 'B', userId: 'u', properties: { text: '' } }).length;
    const fill = (bytes: number) => ({
      event: 'B',
      userId: 'u',
      properties: { text: 'é'.repeat((bytes - frame) / 2) },
    });
    const exact = MAX_EVENT_BYTES - ((MAX_EVENT_BYTES - frame) % 2);
    expect(read(fill(exact))).toHaveProperty('json');
    expect(read(fill(exact + 2))).toMatchObject({ field: '', message: 'an event has at most 32 KB' });
  });

  test('nesting has an end', () => {
    const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`);
    expect(read({ event: 'B', userId: 'u', properties: { n: nested(MAX_DEPTH - 2) } })).toHaveProperty('json');
    expect(read({ event: 'B', userId: 'u', properties: { n: nested(MAX_DEPTH - 1) } })).toMatchObject({ field: '' });
    expect(read({ event: 'B', userId: 'u', properties: { n: nested(15_000) } })).toMatchObject({ field: '' });
  });
});

describe('time', () => {
  const track = { event: 'B', userId: 'u' };

  test('none given: it is now', () => {
    expect(accepted(track)).toMatchObject({
      timestamp: '2026-03-01T12:00:00.000Z',
      receivedAt: '2026-03-01T12:00:00.000Z',
    });
    expect(accepted(track)).not.toHaveProperty('originalTimestamp');
  });

  test('a clock that is an hour behind is put right by sentAt', () => {
    const event = accepted({
      ...track,
      timestamp: '2026-03-01T10:59:50.000Z',
      sentAt: '2026-03-01T11:00:00.000Z',
    });
    expect(event).toMatchObject({
      timestamp: '2026-03-01T11:59:50.000Z',
      originalTimestamp: '2026-03-01T10:59:50.000Z',
      sentAt: '2026-03-01T11:00:00.000Z',
    });
  });

  test("the batch's sentAt is for messages without their own", () => {
    const timestamp = '2026-03-01T11:00:00.000Z';
    expect(accepted({ ...track, timestamp }, 'track', '2026-03-01T11:00:30.000Z')['timestamp']).toBe(
      '2026-03-01T11:59:30.000Z',
    );
    expect(
      accepted({ ...track, timestamp, sentAt: '2026-03-01T11:00:10Z' }, 'track', '2026-03-01T11:00:30Z')['timestamp'],
    ).toBe('2026-03-01T11:59:50.000Z');
  });

  test('without sentAt nothing is corrected; originalTimestamp is before timestamp', () => {
    expect(accepted({ ...track, timestamp: '2020-02-29' })['timestamp']).toBe('2020-02-29T00:00:00.000Z');
    expect(
      accepted({ ...track, timestamp: '2021-01-01', originalTimestamp: '2020-01-01T00:00:00Z' })['timestamp'],
    ).toBe('2020-01-01T00:00:00.000Z');
  });

  const arrival = '2026-03-01T12:00:00.000Z';
  test.each([
    ['a clock of five years ahead', { timestamp: '2031-03-01T12:00:00Z' }],
    ['a millisecond', { timestamp: '2026-03-01T12:00:00.001Z' }],
    ['originalTimestamp', { timestamp: '2020-01-01', originalTimestamp: '2027-01-01' }],
    ['a time after its own sentAt', { timestamp: '2026-03-01T11:00:01Z', sentAt: '2026-03-01T11:00:00Z' }],
    ['a sentAt of 1970', { timestamp: '2026-03-01T11:00:00Z', sentAt: '1970-01-01T00:00:00Z' }],
    ['both at the ends', { timestamp: '2299-12-31T23:59:59Z', sentAt: '1900-01-01T00:00:00Z' }],
  ])('later than its arrival counts as its arrival: %s', (_, times) => {
    const result = read({ ...track, ...times });
    expect(result).toMatchObject({
      event: { timestamp: arrival, _warnings: [{ code: 'time_in_future', field: 'timestamp' }] },
      warnings: [{ code: 'time_in_future', field: 'timestamp' }],
    });
  });

  test('a sentAt that would correct a time to before 1900 corrects nothing', () => {
    const times = { timestamp: '2026-03-01T10:00:00Z', sentAt: '2299-01-01T00:00:00Z' };
    expect(read({ ...track, ...times })).toMatchObject({
      event: { timestamp: '2026-03-01T10:00:00.000Z' },
      warnings: [{ code: 'time_out_of_range', field: 'sentAt' }],
    });
  });

  test('whatever the clocks say, nothing is before 1900 or after its arrival, and a warning says where it was changed', () => {
    const anyTime = fc.option(
      fc.date({ min: new Date(MIN_TIME_MS), max: new Date(MAX_TIME_MS), noInvalidDate: true }),
      {
        nil: undefined,
      },
    );
    fc.assert(
      fc.property(anyTime, anyTime, fc.constantFrom('track', 'identify', 'group', 'alias'), (time, sentAt, type) => {
        const message = {
          ...track,
          groupId: 'g',
          previousId: 'p',
          ...(time === undefined ? {} : { timestamp: time.toISOString() }),
          ...(sentAt === undefined ? {} : { sentAt: sentAt.toISOString() }),
        };
        const result = read(message, type);
        if (!('event' in result)) throw new Error(result.message);
        const ms = Date.parse(String(result.event['timestamp']));
        expect(ms).toBeGreaterThanOrEqual(MIN_TIME_MS);
        expect(ms).toBeLessThanOrEqual(receivedAtMs);
        const asTold =
          time === undefined ? receivedAtMs : time.getTime() + (sentAt ? receivedAtMs - sentAt.getTime() : 0);
        expect(result.warnings).toHaveLength(ms === asTold ? 0 : 1);
      }),
    );
  });

  test('a client gives itself no warnings', () => {
    expect(accepted({ ...track, _warnings: [{ code: 'mine' }] })).not.toHaveProperty('_warnings');
  });

  test.each([
    ['2026-01-31T12:00:00.123456789Z', '2026-01-31T12:00:00.123Z'],
    ['2026-01-31T12:00:00,5Z', '2026-01-31T12:00:00.500Z'],
    ['2026-01-31 12:00:00', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31T12:00', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31T12:00:00+02:00', '2026-01-31T10:00:00.000Z'],
    ['2026-01-31T12:00:00-0530', '2026-01-31T17:30:00.000Z'],
    ['2026-01-31T12:00:00+02', '2026-01-31T10:00:00.000Z'],
  ])('%s is %s', (given, timestamp) => {
    expect(accepted({ ...track, timestamp: given })['timestamp']).toBe(timestamp);
  });

  test.each(['2026-13-01', '2026-01-31T25:00:00Z', '31.01.2026', '1700000000', '2026-01-31T12:00:00 Mars'])(
    '%s is no time',
    (timestamp) => {
      expect(read({ ...track, timestamp })).toMatchObject({ field: 'timestamp' });
    },
  );
});

describe('JSON text', () => {
  test('half surrogates become U+FFFD, all else stays', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 0xd800, max: 0xdfff }), (text, half) => {
        const value = { [text]: text, mixed: `\\ud800 ${text}\\` };
        expect(withoutLoneSurrogates(JSON.stringify(value))).toBe(JSON.stringify(value));
        const cut = `a${String.fromCharCode(half)}b\\u`;
        expect(JSON.parse(withoutLoneSurrogates(JSON.stringify({ cut })))).toEqual({ cut: 'a\ufffdb\\u' });
      }),
    );
  });

  test('depth is counted outside of strings', () => {
    const depthOf = (value: unknown): number =>
      typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.nat({ max: 4 }), (value, extra) => {
        let wrapped: unknown = { text: '[{"\\[[[', value };
        while (depthOf(wrapped) < MAX_DEPTH + extra - 2) wrapped = [wrapped];
        expect(isTooDeep(JSON.stringify(wrapped))).toBe(depthOf(wrapped) > MAX_DEPTH);
      }),
    );
  });
});
