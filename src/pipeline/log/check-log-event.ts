import { isStorable } from '../../store/index.ts';
import { MAX_TIME_MS, MIN_TIME_MS, parseIsoTime } from '../ingest/event-time.ts';
import { WARNINGS_FIELD, type EventWarning } from '../ingest/event-warnings.ts';
import { EVENT_TYPES, MAX_ID_LENGTH, type EventType } from '../message-types.ts';

/** An event of the log, as readMessage completed it: checked there, so it is believed here. */
export interface LogEvent {
  type: EventType;
  messageId: string;
  /** ISO 8601, UTC, milliseconds. */
  timestamp: string;
  receivedAt: string;
  userId?: string | null;
  anonymousId?: string | null;
  groupId?: string | null;
  previousId?: string | null;
  event?: string | null;
  name?: string | null;
  category?: unknown;
  properties?: Record<string, unknown> | null;
  traits?: Record<string, unknown> | null;
  context?: Record<string, unknown> | null;
  [WARNINGS_FIELD]?: EventWarning[];
}

/** An event of the log that can't be loaded, however often it is tried: the message says which field is wrong, and how. */
export class UnloadableEventError extends Error {
  override readonly name = 'UnloadableEventError';
}

/**
 * Checks what the loader relies on. Ingest has checked all of it; but the log is a table, and what is written into it in another way,
 * or by another version, must not stop everybody's loading. Gives the event with its times spelt in one way. Throws
 * UnloadableEventError.
 */
export function checkLogEvent(value: unknown): LogEvent {
  if (!isObject(value)) throw new UnloadableEventError('the event is no JSON object');
  const { type } = value;
  if (!EVENT_TYPES.some((name) => name === type)) {
    throw new UnloadableEventError(`type is one of ${EVENT_TYPES.join(', ')}`);
  }
  if (typeof value['messageId'] !== 'string') throw new UnloadableEventError('messageId is no text');
  for (const field of ['userId', 'anonymousId', 'previousId', 'groupId']) checkId(value[field], field);
  for (const field of type === 'alias' ? ['userId', 'previousId'] : []) {
    if (!value[field]) throw new UnloadableEventError(`an alias without ${field}`);
  }
  if (!value['userId'] && !value['anonymousId']) throw new UnloadableEventError('neither userId nor anonymousId');
  for (const field of ['event', 'name']) {
    const text = value[field];
    if (text !== undefined && text !== null && typeof text !== 'string') {
      throw new UnloadableEventError(`${field} is no text`);
    }
  }
  for (const field of ['properties', 'traits', 'context']) {
    const object = value[field];
    if (object !== undefined && object !== null && !isObject(object)) {
      throw new UnloadableEventError(`${field} is no object`);
    }
  }
  const event = value as unknown as LogEvent;
  const timestamp = timeOf(value['timestamp'], 'timestamp');
  const receivedAt = timeOf(value['receivedAt'], 'receivedAt');
  return timestamp === event.timestamp && receivedAt === event.receivedAt ? event : { ...event, timestamp, receivedAt };
}

function checkId(id: unknown, field: string): void {
  if (id === undefined || id === null) return;
  if (typeof id !== 'string') throw new UnloadableEventError(`${field} is no text`);
  if (id.length > MAX_ID_LENGTH) throw new UnloadableEventError(`${field} has over ${MAX_ID_LENGTH} characters`);
  if (!isStorable(id)) throw new UnloadableEventError(`${field} has a NUL or half a surrogate pair in it`);
}

const CANONICAL = /^\d{4}-(0\d|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;

function timeOf(value: unknown, field: string): string {
  const ms = typeof value === 'string' ? parseIsoTime(value) : Number.NaN;
  if (!(ms >= MIN_TIME_MS && ms <= MAX_TIME_MS)) {
    throw new UnloadableEventError(`${field} is no ISO 8601 time between 1900 and 2299`);
  }
  // 31 February is written in the same way, and is another day.
  if (CANONICAL.test(value as string) && Number((value as string).slice(8, 10)) <= 28) return value as string;
  return new Date(ms).toISOString();
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
