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

/**
 * When it happened by our clock, as Segment corrects it: receivedAt - (sentAt - originalTimestamp), so a device whose clock
 * is wrong by an hour is put right by an hour. Without sentAt there is nothing to correct by; without either it is now.
 */
export function correctedTime(
  receivedAtMs: number,
  sentAtMs: number | undefined,
  originalMs: number | undefined,
): number {
  if (originalMs === undefined) return receivedAtMs;
  const corrected = sentAtMs === undefined ? originalMs : receivedAtMs - (sentAtMs - originalMs);
  return Math.min(Math.max(corrected, MIN_TIME_MS), MAX_TIME_MS);
}
