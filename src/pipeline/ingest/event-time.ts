import type { EventWarning } from './event-warnings.ts';

/** The instants that ClickHouse's DateTime64(3) holds: 1900-01-01 up to the last millisecond of 2299. */
export const MIN_TIME_MS = Date.UTC(1900, 0, 1);
export const MAX_TIME_MS = Date.UTC(2300, 0, 1) - 1;

// ISO 8601 as clients write it: a date, or a date and a time with `T` or a space; any number of decimals; no zone is UTC.
const ISO_8601 = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?) ?(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i;

/** Milliseconds since 1970 of an ISO 8601 text; NaN where it is none. */
export function parseIsoTime(text: string): number {
  const match = ISO_8601.exec(text);
  if (match === null) return Number.NaN;
  const [, date = '', time = '00:00', zone = 'Z'] = match;
  return Date.parse(`${date}T${time.replace(',', '.')}${fullZone(zone)}`);
}

/** `+0200` and `+02` as Date.parse wants it: `+02:00`. */
function fullZone(zone: string): string {
  if (zone.length === 3) return `${zone}:00`;
  return zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone.toUpperCase();
}

/** When an event counts as having happened, and why that is not what its client's clock says, where it is not. */
export interface EventTime {
  ms: number;
  warning?: EventWarning;
}

/**
 * When it happened by our clock, as Segment corrects it: receivedAt - (sentAt - originalTimestamp), so a device whose clock
 * is wrong by an hour is put right by an hour. Without sentAt there is nothing to correct by; without either it is now.
 *
 * Nothing happens after it has arrived: what would be later counts as its arrival, or a clock that is years ahead would win
 * over every write until then. A sentAt that moves a time before 1900 says nothing, so the client's own time stands.
 */
export function correctedTime(
  receivedAtMs: number,
  sentAtMs: number | undefined,
  originalMs: number | undefined,
): EventTime {
  if (originalMs === undefined) return { ms: receivedAtMs };
  const corrected = sentAtMs === undefined ? originalMs : receivedAtMs - (sentAtMs - originalMs);
  if (corrected < MIN_TIME_MS) {
    const ms = Math.min(originalMs, receivedAtMs);
    return { ms, warning: outOfRange(ms) };
  }
  return notAfterArrival(corrected, receivedAtMs);
}

/** A time that is not later than its arrival, with a warning where it was. */
export function notAfterArrival(ms: number, receivedAtMs: number): EventTime {
  return ms <= receivedAtMs ? { ms } : { ms: receivedAtMs, warning: inFuture(ms, receivedAtMs) };
}

function inFuture(ms: number, receivedAtMs: number): EventWarning {
  return {
    code: 'time_in_future',
    field: 'timestamp',
    message: `timestamp is ${isoTime(ms)} by our clock, after the message arrived: it counts as its arrival, ${isoTime(receivedAtMs)}. Set the client's clock, or send sentAt by the same clock.`,
  };
}

function outOfRange(ms: number): EventWarning {
  return {
    code: 'time_out_of_range',
    field: 'sentAt',
    message: `sentAt is so long after timestamp that the corrected time would be before 1900: it counts as ${isoTime(ms)}, without the correction. Send sentAt by the same clock as timestamp.`,
  };
}

function isoTime(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? String(ms) : time.toISOString();
}
