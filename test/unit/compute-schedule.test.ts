import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { checkSchedule, countSlots, jittered, nextSlot, type Schedule } from '../../src/computations/schedule.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Zones whose clocks change by an hour or half of one, at two or at midnight, in either half of the year; and some that never do. */
const ZONES = [
  'Europe/Berlin',
  'America/New_York',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'Africa/Cairo',
  'America/Santiago',
  'Asia/Beirut',
  'Asia/Kolkata',
  'Pacific/Chatham',
  'UTC',
];

function cron(expression: string, timeZone: string, jitterSeconds = 0): Schedule {
  return { cron: expression, timeZone, jitterSeconds };
}

/** The first so many slots after an instant, as ISO 8601. */
function slots(schedule: Schedule, after: string, count: number): string[] {
  const found: string[] = [];
  let at = new Date(after);
  while (found.length < count) {
    at = nextSlot(schedule, at);
    found.push(at.toISOString());
  }
  return found;
}

describe('the slots of a cron expression', () => {
  test('a fixed time that clocks put forward jump over comes when they have jumped, once', () => {
    expect(slots(cron('30 2 * * *', 'Europe/Berlin'), '2026-03-28T00:00:00Z', 3)).toEqual([
      '2026-03-28T01:30:00.000Z',
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
    // Two fixed times that fall together there are one slot.
    expect(slots(cron('0 2,3 * * *', 'Europe/Berlin'), '2026-03-28T12:00:00Z', 2)).toEqual([
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:00:00.000Z',
    ]);
    // Where clocks change at midnight, and by half an hour.
    expect(slots(cron('30 0 * * *', 'Africa/Cairo'), '2026-04-23T12:00:00Z', 1)).toEqual(['2026-04-23T22:00:00.000Z']);
    expect(slots(cron('15 2 * * *', 'Australia/Lord_Howe'), '2026-10-03T00:00:00Z', 1)).toEqual([
      '2026-10-03T15:30:00.000Z',
    ]);
  });

  test('a fixed time that clocks put back give twice comes the first time only', () => {
    expect(slots(cron('30 2 * * *', 'Europe/Berlin'), '2026-10-24T12:00:00Z', 2)).toEqual([
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ]);
    expect(slots(cron('30 1 * * *', 'America/New_York'), '2026-10-31T12:00:00Z', 2)).toEqual([
      '2026-11-01T05:30:00.000Z',
      '2026-11-02T06:30:00.000Z',
    ]);
  });

  test('what comes every half hour goes on through both changes', () => {
    for (const change of ['2026-03-29T00:00:00.000Z', '2026-10-25T00:00:00.000Z']) {
      const from = Date.parse(change);
      expect(slots(cron('*/30 * * * *', 'Europe/Berlin'), change, 8)).toEqual(
        Array.from({ length: 8 }, (_, index) => new Date(from + (index + 1) * (HOUR / 2)).toISOString()),
      );
    }
  });

  test('are those whose local time matches, and with the rules for clock changes no others', () => {
    const hour = fc.integer({ min: 0, max: 4 });
    const someHours = fc.uniqueArray(hour, { minLength: 1, maxLength: 3 }).map((hours) => hours.join(','));
    const someMinutes = fc
      .uniqueArray(fc.constantFrom(0, 15, 30, 45), { minLength: 1, maxLength: 3 })
      .map((minutes) => minutes.join(','));
    fc.assert(
      fc.property(
        fc.constantFrom(...ZONES),
        fc.oneof(someMinutes, fc.constantFrom('*/15', '*/30')),
        fc.oneof(someHours, fc.constantFrom('*', '*/2')),
        fc.nat(),
        (zone, minutes, hours, pick) => {
          const changes = CHANGES.get(zone) ?? [];
          const around = changes[pick % Math.max(1, changes.length)] ?? Date.UTC(2026, pick % 12, 1);
          const from = around - DAY;
          const until = around + DAY;
          const found: number[] = [];
          const schedule = cron(`${minutes} ${hours} * * *`, zone);
          for (let at = nextSlot(schedule, new Date(from)); at.getTime() <= until; at = nextSlot(schedule, at)) {
            found.push(at.getTime());
          }
          expect(found).toEqual(bruteForce(zone, minutes, hours, from, until));
        },
      ),
      { numRuns: 120 },
    );
  });

  test('strictly increase from any instant, in any zone, and none is passed over', () => {
    const expression = fc.constantFrom(
      '*/10 * * * * *',
      '0 * * * *',
      '*/7 * * * *',
      '30 2 * * *',
      '0 0 * * *',
      '59 23 * * *',
      '0 9 * * MON-FRI',
      '0 0 L * *',
      '15 1-3 * * *',
      '0 0 29 2 *',
      '@daily',
    );
    const instant = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2032, 0, 1) });
    fc.assert(
      fc.property(
        expression,
        fc.constantFrom(...ZONES),
        instant,
        fc.nat({ max: 1_000_000 }),
        (text, zone, at, step) => {
          const schedule = cron(text, zone);
          const first = nextSlot(schedule, new Date(at));
          const second = nextSlot(schedule, first);
          expect(first.getTime()).toBeGreaterThan(at);
          expect(second.getTime()).toBeGreaterThan(first.getTime());
          // Whoever looks later, but before the slot, is told of the same one.
          const later = Math.min(at + step, first.getTime() - 1);
          expect(nextSlot(schedule, new Date(later))).toEqual(first);
          const between = first.getTime() + Math.min(step, second.getTime() - first.getTime() - 1);
          expect(nextSlot(schedule, new Date(between))).toEqual(second);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('the slots of an interval', () => {
  test('are whole intervals from its origin, after the instant, and the first of them', () => {
    const instant = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2032, 0, 1) });
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 100_000 }), instant, instant, (intervalSeconds, origin, after) => {
        const slot = nextSlot({ intervalSeconds, jitterSeconds: 0 }, new Date(after), new Date(origin)).getTime();
        expect(Math.abs(slot - origin) % (intervalSeconds * 1_000)).toBe(0);
        expect(slot).toBeGreaterThan(after);
        expect(slot - after).toBeLessThanOrEqual(intervalSeconds * 1_000);
      }),
    );
  });
});

describe('what was missed', () => {
  test('is each slot after the one that is late, counted', () => {
    const slot = new Date('2026-03-01T00:00:00Z');
    const hourly: Schedule = { intervalSeconds: 3_600, jitterSeconds: 0 };
    for (const [schedule, minutes, count] of [
      [hourly, 59, 0],
      [hourly, 60, 1],
      [hourly, 150, 2],
      [hourly, 60 * 24 * 365, 8_760],
      [cron('0 * * * *', 'UTC'), 59, 0],
      [cron('0 * * * *', 'UTC'), 60, 1],
      [cron('0 * * * *', 'UTC'), 150, 2],
      // A cron expression's are counted to a hundred.
      [cron('0 * * * *', 'UTC'), 60 * 24 * 365, 100],
    ] as const) {
      expect(countSlots(schedule, slot, new Date(slot.getTime() + minutes * 60_000))).toBe(count);
    }
  });
});

describe('jitter', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const instant = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2032, 0, 1) });

  test('moves a run behind its slot by as much as it says, and never to the next slot', () => {
    const schedule = fc.oneof(
      fc
        .tuple(fc.integer({ min: 10, max: 100_000 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }))
        .map(([intervalSeconds, share]) => ({ intervalSeconds, jitterSeconds: Math.floor(share * intervalSeconds) })),
      fc
        .tuple(fc.constantFrom('0 9,10 * * *', '30 2 * * *', '*/5 * * * *'), fc.constantFrom(...ZONES), fc.nat(20_000))
        .map(([text, zone, jitterSeconds]) => cron(text, zone, jitterSeconds)),
    );
    fc.assert(
      fc.property(schedule, instant, random, (one, at, value) => {
        const slot = nextSlot(one, new Date(at));
        const due = jittered(one, slot, () => value).getTime();
        expect(due).toBeGreaterThanOrEqual(slot.getTime());
        expect(due).toBeLessThanOrEqual(slot.getTime() + one.jitterSeconds * 1_000);
        expect(due).toBeLessThan(nextSlot(one, slot).getTime());
      }),
    );
  });

  test('reaches from nothing to all of it', () => {
    const schedule = { intervalSeconds: 3_600, jitterSeconds: 600 };
    const slot = new Date('2026-01-01T00:00:00Z');
    expect(jittered(schedule, slot, () => 0)).toEqual(slot);
    expect(jittered(schedule, slot, () => 1 - Number.EPSILON).toISOString()).toBe('2026-01-01T00:10:00.000Z');
  });
});

describe('a schedule that people give', () => {
  it('is filled with what was left away', () => {
    expect(checkSchedule({ intervalSeconds: 60 })).toEqual({ intervalSeconds: 60, jitterSeconds: 0 });
    expect(checkSchedule({ cron: ' 0  9 * * mon-fri ' })).toEqual({
      cron: '0 9 * * mon-fri',
      timeZone: 'UTC',
      jitterSeconds: 0,
    });
    expect(checkSchedule({ cron: '@hourly', timeZone: 'europe/berlin', jitterSeconds: 3_599 })).toEqual({
      cron: '@hourly',
      timeZone: 'Europe/Berlin',
      jitterSeconds: 3_599,
    });
    expect(checkSchedule({ cron: '0 0 29 2 *', timeZone: 'Asia/Kolkata' })).toMatchObject({ timeZone: 'Asia/Kolkata' });
    expect(checkSchedule({ cron: '5,15,25 * * * * *' })).toMatchObject({ cron: '5,15,25 * * * * *' });
  });

  it.each([
    [{}, 'schedule', /either intervalSeconds or cron/],
    [{ intervalSeconds: 60, cron: '* * * * *' }, 'schedule', /not both/],
    [{ intervalSeconds: 9 }, 'schedule.intervalSeconds', /at least 10/],
    [{ intervalSeconds: 10.5 }, 'schedule.intervalSeconds', /whole number/],
    [{ intervalSeconds: 31_536_001 }, 'schedule.intervalSeconds', /At most a year/],
    [{ intervalSeconds: 60, timeZone: 'UTC' }, 'schedule.timeZone', /goes with a cron expression/],
    [{ intervalSeconds: 60, jitterSeconds: 60 }, 'schedule.jitterSeconds', /give less than 60/],
    [{ intervalSeconds: 60, jitterSeconds: -1 }, 'schedule.jitterSeconds', /0 for none/],
    [{ cron: '0 9,10 * * *', jitterSeconds: 3_600 }, 'schedule.jitterSeconds', /give less than 3600/],
    [{ cron: '61 * * * *' }, 'schedule.cron', /minute: 61.*0 9 \* \* MON-FRI/],
    [{ cron: 'every day' }, 'schedule.cron', /2 fields, not five or six/],
    [{ cron: '' }, 'schedule.cron', /0 fields/],
    [{ cron: '0 0 0 1 1 * 2030' }, 'schedule.cron', /7 fields/],
    [{ cron: '2030-01-01T00:00:00Z' }, 'schedule.cron', /1 fields/],
    [{ cron: '@reboot' }, 'schedule.cron', /can't be read/],
    [{ cron: '0 0 30 2 *' }, 'schedule.cron', /never comes/],
    [{ cron: '0 0 31 4,6,9,11 *' }, 'schedule.cron', /never comes/],
    [{ cron: '* * * * * *' }, 'schedule.cron', /every second.*at least 10/],
    [{ cron: '0,5 * * * * *' }, 'schedule.cron', /5 seconds apart/],
    // From the last slot of a minute to the first of the next.
    [{ cron: '*/11 * * * * *' }, 'schedule.cron', /5 seconds apart/],
    [{ cron: '0 9 * * *', timeZone: 'Mars/Base' }, 'schedule.timeZone', /such as Europe\/Berlin/],
    [{ cron: '0 9 * * *', timeZone: 'berlin' }, 'schedule.timeZone', /perhaps Europe\/Berlin/],
    [{ cron: '0 9 * * *', timeZone: 'US/New York' }, 'schedule.timeZone', /perhaps America\/New_York/],
    [{ cron: '0 9 * * *', timeZone: '+02:00' }, 'schedule.timeZone', /no time zone "\+02:00"/],
    [{ cron: '0 9 * * *', timeZone: '' }, 'schedule.timeZone', /no time zone ""/],
  ])('is refused as %j, naming %s', (input, field, message) => {
    expect(() => checkSchedule(input)).toThrow(
      expect.objectContaining({
        code: 'schedule_invalid',
        kind: 'invalid',
        field,
        message: expect.stringMatching(message),
      }),
    );
  });
});

/** Minutes since midnight and the day, on the clocks of a zone. */
function localTime(format: Intl.DateTimeFormat, at: number): { day: string; minute: number } {
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  return {
    day: `${parts['year']}-${parts['month']}-${parts['day']}`,
    minute: Number(parts['hour']) * 60 + Number(parts['minute']),
  };
}

function clockOf(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  });
}

/** When the clocks of each zone change in 2026, to the quarter of an hour: the first instant on the new time. */
const CHANGES = new Map(
  ZONES.map((zone) => {
    const format = clockOf(zone);
    const offsetAt = (at: number): number => {
      const { minute } = localTime(format, at);
      const utc = Math.floor(at / 60_000) % (24 * 60);
      return (minute - utc + 36 * 60) % (24 * 60);
    };
    const changes: number[] = [];
    for (let day = Date.UTC(2026, 0, 1); day < Date.UTC(2027, 0, 1); day += DAY) {
      if (offsetAt(day) === offsetAt(day + DAY)) continue;
      for (let at = day; at < day + DAY; at += HOUR / 4) {
        if (offsetAt(at) !== offsetAt(at + HOUR / 4)) changes.push(at + HOUR / 4);
      }
    }
    return [zone, changes];
  }),
);

/** The rules, by looking at every quarter of an hour. */
function bruteForce(zone: string, minutes: string, hours: string, from: number, until: number): number[] {
  const fixed = !`${minutes}${hours}`.includes('*');
  const matches = (minute: number): boolean => inField(minutes, minute % 60) && inField(hours, Math.floor(minute / 60));
  const format = clockOf(zone);
  const found = new Set<number>();
  const seen = new Set<string>();
  // A day more in front, so that what came before `from` is seen.
  let before = localTime(format, from - DAY - HOUR / 4);
  for (let at = from - DAY; at <= until; at += HOUR / 4) {
    const now = localTime(format, at);
    const first = !seen.has(`${now.day} ${now.minute}`);
    seen.add(`${now.day} ${now.minute}`);
    if (matches(now.minute) && (first || !fixed)) found.add(at);
    // What clocks put forward jumped over.
    const midnight = now.day === before.day ? before.minute + 15 : 0;
    if (fixed) {
      for (let minute = midnight; minute < now.minute; minute += 15) {
        if (matches(minute)) found.add(at);
      }
    }
    before = now;
  }
  return [...found].filter((at) => at > from);
}

function inField(field: string, value: number): boolean {
  if (field === '*') return true;
  if (field.startsWith('*/')) return value % Number(field.slice(2)) === 0;
  return field.split(',').map(Number).includes(value);
}
