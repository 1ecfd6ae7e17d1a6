import { RequestError } from '../../errors.ts';
import type { EventWarning } from './event-warnings.ts';
import type { IdFilter } from '../identity/blocked-ids.ts';
import { ExactNumber, findUnkept, parseJson, stringifyJson, UNKEPT_NUMBER } from '../../exact-json.ts';
import { isAccepted, readMessage, type AcceptedEvent, type RefusedMessage } from './message.ts';
import { type EventType } from '../message-types.ts';

/** Segment's limit for the body of a batch. */
export const MAX_BATCH_BYTES = 500 * 1024;
// No batch within MAX_BATCH_BYTES has so many messages that are valid.
const MAX_MESSAGES = 10_000;
// A batch's own context is copied into each of its messages: so many bytes may come of it.
const MAX_SHARED_BYTES = 16 * MAX_BATCH_BYTES;

/** What a body of the tracking API comes to. */
export interface TrackingBody {
  accepted: AcceptedEvent[];
  /** `index` is the message's place in the batch; 0 for a single message. */
  refused: (RefusedMessage & { index: number })[];
  /** Of messages that were taken, in another way than they say. */
  warnings: (EventWarning & { index: number; messageId: string })[];
}

/** A body of the tracking API as an object. Throws 'malformed_body'. */
export function parseTrackingBody(text: string): Record<string, unknown> {
  let body: unknown;
  try {
    body = parseJson(text);
  } catch (error) {
    throw new RequestError('invalid', 'malformed_body', 'The body is not well-formed JSON.', { cause: error });
  }
  if (isObject(body)) return body;
  throw new RequestError('invalid', 'malformed_body', 'The body is a JSON object.');
}

/** The message of `/v1/track` and its like: the body itself. */
export function readSingle(
  body: Record<string, unknown>,
  type: EventType,
  receivedAtMs: number,
  idFilters?: readonly IdFilter[],
): TrackingBody {
  const result = emptyBody();
  addMessage(result, 0, readMessage(body, { type, receivedAtMs, ...(idFilters === undefined ? {} : { idFilters }) }));
  return result;
}

/**
 * The messages of `/v1/batch`, each checked for itself: one that is refused does not take the others with it.
 * Throws 'batch_invalid' where there is no list of messages, and 'batch_too_large'.
 */
export function readBatch(
  body: Record<string, unknown>,
  receivedAtMs: number,
  idFilters?: readonly IdFilter[],
): TrackingBody {
  const { batch, sentAt } = body;
  if (!Array.isArray(batch)) {
    throw new RequestError('invalid', 'batch_invalid', 'batch is a list of messages.', { field: 'batch' });
  }
  if (batch.length > MAX_MESSAGES) {
    throw new RequestError('too_large', 'batch_too_large', `A batch has at most ${MAX_MESSAGES} messages.`, {
      field: 'batch',
    });
  }
  const context = readShared(body, 'context', batch.length);
  const integrations = readShared(body, 'integrations', batch.length);
  const request = {
    receivedAtMs,
    sentAt,
    ...(idFilters === undefined ? {} : { idFilters }),
    ...(context === undefined ? {} : { context }),
    ...(integrations === undefined ? {} : { integrations }),
  };
  const result = emptyBody();
  for (const [index, message] of batch.entries()) addMessage(result, index, readMessage(message, request));
  return result;
}

function emptyBody(): TrackingBody {
  return { accepted: [], refused: [], warnings: [] };
}

function addMessage(body: TrackingBody, index: number, read: AcceptedEvent | RefusedMessage): void {
  if (!isAccepted(read)) {
    body.refused.push({ index, ...read });
    return;
  }
  body.accepted.push(read);
  const { messageId } = read;
  body.warnings.push(...read.warnings.map((warning) => ({ index, messageId, ...warning })));
}

function readShared(
  body: Record<string, unknown>,
  field: 'context' | 'integrations',
  messages: number,
): Record<string, unknown> | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw new RequestError('invalid', 'batch_invalid', `${field} is an object.`, { field });
  if (Object.keys(value).length === 0) return undefined;
  const unkept = findUnkept(value);
  if (unkept !== null) {
    const path = `${field}.${unkept.path}`;
    throw new RequestError('invalid', 'batch_invalid', `${path} is ${UNKEPT_NUMBER}.`, { field: path });
  }
  if (stringifyJson(value).length * messages > MAX_SHARED_BYTES) {
    throw new RequestError('too_large', 'batch_too_large', `The batch's ${field} is too large for so many messages.`, {
      field,
    });
  }
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}
