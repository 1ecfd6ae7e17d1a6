/**
 * Points in time as the language knows them: ISO 8601 dates and timestamps, in milliseconds since 1970 UTC.
 *
 * The pattern is written once, in the common ground of JavaScript's and RE2's syntax: the evaluator and the compiled SQL
 * (`match`) ask the same question of a text. Years are 1900 to 2299, which is what ClickHouse's DateTime64 holds.
 */
export const INSTANT_PATTERN =
  '^(19|20|21|22)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])' +
  '([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])?)?$';

const INSTANT = new RegExp(INSTANT_PATTERN);
const PARTS = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?(?:Z|([+-])(\d{2}):?(\d{2}))?)?$/;

export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

/**
 * Milliseconds since 1970 UTC of `2023-12-07`, `2023-12-07T18:50`, `2023-12-07 18:50:00.123Z`, `2023-12-07T18:50:00+02:00`;
 * null for anything else, 30 February included. No zone means UTC, no time means midnight; what is finer than a
 * millisecond is cut off.
 */
export function parseInstant(text: string): number | null {
  const parts = INSTANT.test(text) ? PARTS.exec(text) : null;
  if (parts === null) return null;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', sign, offsetHour, offsetMinute] =
    parts;
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day));
  // Date.UTC rolls 30 February over into March: such a day does not exist.
  if (new Date(date).getUTCDate() !== Number(day)) return null;
  const time = (Number(hour) * 60 + Number(minute)) * 60_000 + Number(second) * 1000;
  const offset = sign === undefined ? 0 : (Number(offsetHour) * 60 + Number(offsetMinute)) * 60_000;
  return date + time + Number(fraction.padEnd(3, '0').slice(0, 3)) - (sign === '-' ? -offset : offset);
}

/** The midnight (UTC) that begins the day of an instant. */
export function startOfDay(instantMs: number): number {
  return Math.floor(instantMs / DAY_MS) * DAY_MS;
}
