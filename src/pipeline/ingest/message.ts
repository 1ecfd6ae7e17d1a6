import { randomUUID } from 'node:crypto';
import { correctedTime, MAX_TIME_MS, MIN_TIME_MS, parseIsoTime } from './event-time.ts';
import { WARNINGS_FIELD, type EventWarning } from './event-warnings.ts';
import { DEFAULT_ID_FILTER, nobodyMessage, usableIds, warningsOf, type IdFilter } from '../identity/blocked-ids.ts';
import { ExactNumber, findUnkept, stringifyJson, UNKEPT_NUMBER, UnkeptNumberError } from '../../exact-json.ts';
import { EVENT_TYPES, MAX_ID_LENGTH, type EventType } from '../message-types.ts';
import { isTooDeep, MAX_DEPTH, withoutLoneSurrogates } from './json-text.ts';

/** Segment's limit for one event, as the client sent it. */
export const MAX_EVENT_BYTES = 32 * 1024;
const MAX_MESSAGE_ID_LENGTH = 100;

/** An event as it is appended to the log: its own fields, completed, as one JSON text. */
export interface AcceptedEvent {
  messageId: string;
  type: EventType;
  json: string;
  /** What its sender should know, though it was taken. */
  warnings: EventWarning[];
}

/** Why a message was refused: `field` is what is wrong with it. */
export interface RefusedMessage {
  messageId: string | null;
  field: string;
  message: string;
}

/** What is the same for all messages of a request. */
export interface RequestContext {
  receivedAtMs: number;
  /** The request's path says the type, or (in a batch) each message does. */
  type?: EventType;
  /** What identifies nobody in each of the spaces that the event goes into. */
  idFilters?: readonly IdFilter[];
  /** Of the batch: for messages that have none of their own. */
  sentAt?: unknown;
  context?: Record<string, unknown>;
  integrations?: Record<string, unknown>;
}

class Refusal extends Error {
  readonly field: string;

  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

/**
 * Checks one message of the tracking API by Segment's spec, and completes it: messageId, receivedAt, and timestamp by our
 * clock with the client's own as originalTimestamp. Fields that nobody knows are kept. Does not throw.
 */
export function readMessage(input: unknown, request: RequestContext): AcceptedEvent | RefusedMessage {
  try {
    return complete(asObject(input), request);
  } catch (error) {
    const messageId = (input as { messageId?: unknown } | null)?.messageId;
    const known = typeof messageId === 'string' ? messageId.slice(0, MAX_MESSAGE_ID_LENGTH) : null;
    if (error instanceof Refusal) return { messageId: known, field: error.field, message: error.message };
    // JSON.stringify runs out of stack where a document is thousands of levels deep.
    if (error instanceof RangeError) return { messageId: known, field: '', message: TOO_DEEP };
    throw error;
  }
}

/** Whether readMessage took it. */
export function isAccepted(read: AcceptedEvent | RefusedMessage): read is AcceptedEvent {
  return 'json' in read;
}

const TOO_DEEP = `objects and lists may be ${MAX_DEPTH} deep in each other, no more`;

function complete(message: Record<string, unknown>, request: RequestContext): AcceptedEvent {
  const type = request.type ?? readType(message['type']);
  const ids = readIds(type, message);
  const idWarnings = checkIds({ type, ...ids }, request.idFilters ?? [DEFAULT_ID_FILTER]);
  if (type === 'track' && readText(message, 'event') === undefined) throw new Refusal('event', 'event is required');
  readText(message, 'name');
  for (const field of ['properties', 'traits', 'context', 'integrations']) checkObject(message, field);
  const originalMs = readTime(message, 'originalTimestamp') ?? readTime(message, 'timestamp');
  const sentAtMs = readTime(message['sentAt'] == null ? { sentAt: request.sentAt } : message, 'sentAt');
  const { ms: timestampMs, warning } = correctedTime(request.receivedAtMs, sentAtMs, originalMs);
  const warnings = warning === undefined ? [] : [warning];
  const messageId = readMessageId(message['messageId']) ?? `trailmark-${randomUUID()}`;
  const event: Record<string, unknown> = {
    ...message,
    ...ids,
    type,
    messageId,
    timestamp: isoTime(timestampMs),
    receivedAt: isoTime(request.receivedAtMs),
    // Without any time of the client's these stay away.
    ...(originalMs === undefined ? {} : { originalTimestamp: isoTime(originalMs) }),
    ...(sentAtMs === undefined ? {} : { sentAt: isoTime(sentAtMs) }),
    ...(request.context === undefined
      ? {}
      : { context: { ...request.context, ...(message['context'] as object | null) } }),
    ...(request.integrations === undefined
      ? {}
      : { integrations: { ...request.integrations, ...(message['integrations'] as object | null) } }),
  };
  if ('writeKey' in event) delete event['writeKey'];
  if (WARNINGS_FIELD in event) delete event[WARNINGS_FIELD];
  if (warnings.length > 0) event[WARNINGS_FIELD] = warnings;
  const json = withoutLoneSurrogates(write(event));
  // What we add must not push a message over the limit, so a long one is measured as it came.
  if (isOver(json) && isOver(stringifyJson(message))) {
    throw new Refusal('', `an event has at most ${MAX_EVENT_BYTES / 1024} KB`);
  }
  if (isTooDeep(json)) throw new Refusal('', TOO_DEEP);
  // Which ids identify somebody is each space's to say, so those warnings are the loader's to keep.
  return { messageId, type, json, warnings: [...warnings, ...idWarnings] };
}

function isOver(json: string): boolean {
  // No character takes more than three bytes for each of its UTF-16 units: most need no second look.
  return json.length * 3 > MAX_EVENT_BYTES && Buffer.byteLength(json) > MAX_EVENT_BYTES;
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function asObject(value: unknown): Record<string, unknown> {
  if (isObject(value)) return value;
  throw new Refusal('', 'a message is a JSON object');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}

/** The event as JSON, every number with its digits. What can't be kept is refused, and not changed. */
function write(event: Record<string, unknown>): string {
  try {
    return stringifyJson(event);
  } catch (error) {
    const found = error instanceof UnkeptNumberError ? findUnkept(event) : null;
    if (found === null) throw error;
    throw new Refusal(found.path, `${found.path} is ${UNKEPT_NUMBER}`);
  }
}

function readType(value: unknown): EventType {
  const type = EVENT_TYPES.find((name) => name === value);
  if (type === undefined) throw new Refusal('type', `type is one of ${EVENT_TYPES.join(', ')}`);
  return type;
}

/** The ids of a message as texts, each that it has; absent, null and '' are all no id. */
function readIds(type: EventType, message: Record<string, unknown>): Record<string, string> {
  const ids: Record<string, string> = {};
  for (const field of ['userId', 'anonymousId', 'groupId', 'previousId']) {
    const id = readId(message[field], field);
    if (id !== undefined) ids[field] = id;
  }
  if (type === 'alias') {
    for (const field of ['previousId', 'userId']) {
      if (ids[field] === undefined) throw new Refusal(field, `${field} is required`);
    }
  } else if (ids['userId'] === undefined && ids['anonymousId'] === undefined) {
    throw new Refusal('userId', 'userId or anonymousId is required');
  }
  if (type === 'group' && ids['groupId'] === undefined) throw new Refusal('groupId', 'groupId is required');
  return ids;
}

/** What to tell of ids that identify nobody. Refuses a message that has no other in any of its spaces: it would be nowhere. */
function checkIds(
  message: { type: EventType; userId?: string; previousId?: string },
  filters: readonly IdFilter[],
): EventWarning[] {
  const usable = filters.map((filter) => usableIds(message, filter));
  const [first] = usable;
  if (first !== undefined && usable.every((ids) => ids.message === null)) {
    const field = first.blocked.find((name) => name !== 'groupId') ?? 'userId';
    throw new Refusal(field, nobodyMessage(message, field));
  }
  const byField = new Map<string, EventWarning>();
  for (const ids of usable) {
    for (const warning of warningsOf(message, ids)) byField.set(warning.field, warning);
  }
  return [...byField.values()];
}

// Half a surrogate pair is what UTF-8 can't hold, as PostgreSQL's text can't hold NUL: two such ids would become one.
const LONE_SURROGATE = /\p{Cs}/u;

function readId(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  // Many clients send a database's number as it is: its id is the text of exactly these digits.
  const id = typeof value === 'number' ? String(value) : value instanceof ExactNumber ? value.source : value;
  if (typeof id !== 'string') throw new Refusal(field, `${field} is a string`);
  if (id.length > MAX_ID_LENGTH) throw new Refusal(field, `${field} has at most ${MAX_ID_LENGTH} characters`);
  if (id.includes('\0') || LONE_SURROGATE.test(id)) {
    throw new Refusal(field, `${field} has a NUL or half a surrogate pair in it`);
  }
  return id;
}

function readMessageId(value: unknown): string | undefined {
  const id = readId(value, 'messageId');
  if (id !== undefined && id.length > MAX_MESSAGE_ID_LENGTH) {
    throw new Refusal('messageId', `messageId has at most ${MAX_MESSAGE_ID_LENGTH} characters`);
  }
  return id;
}

function readText(message: Record<string, unknown>, field: string): string | undefined {
  const value = message[field];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw new Refusal(field, `${field} is a string`);
  return value;
}

function checkObject(message: Record<string, unknown>, field: string): void {
  const value = message[field];
  if (value !== undefined && value !== null && !isObject(value)) throw new Refusal(field, `${field} is an object`);
}

function readTime(message: Record<string, unknown>, field: string): number | undefined {
  const value = message[field];
  if (value === undefined || value === null || value === '') return undefined;
  const ms = typeof value === 'string' ? parseIsoTime(value) : Number.NaN;
  if (ms >= MIN_TIME_MS && ms <= MAX_TIME_MS) return ms;
  throw new Refusal(
    field,
    Number.isNaN(ms)
      ? `${field} is an ISO 8601 date, such as 2026-01-31T12:00:00.000Z`
      : `${field} is between 1900 and 2299`,
  );
}
