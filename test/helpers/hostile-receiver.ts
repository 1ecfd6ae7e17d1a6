import { NASTY_BYTES, NASTY_JSON, NASTY_TEXTS } from './nasty.ts';
import type { Reaction } from './receiver.ts';

/** A way in which a hostile receiver answers, whatever it is asked. */
export interface HostileAnswer {
  name: string;
  reaction: Reaction;
}

const STATUSES = [204, 304, 307, 401, 403, 404, 408, 410, 413, 425, 499];
const SERVER_STATUSES = [500, 501, 503, 599, 700, 999];
const RETRY_AFTER = ['1e400', '-5', '0', '99999999999999999999', 'Wed, 99 Foo 2999', '0x10', ' ', '1e-9', 'Infinity'];
const MEGABYTES = 'x'.repeat(3 * 1_048_576);

/**
 * The answers of a hostile receiver: nasty texts with a status that refuses, which then are reasons and details; the same where an
 * answer says yes and is read; and what is wrong with statuses, headers, sizes and times.
 */
export const HOSTILE_ANSWERS: readonly HostileAnswer[] = [
  ...NASTY_TEXTS.map(({ name, text }) => ({ name: `400 with ${name}`, reaction: { status: 400, body: text } })),
  ...NASTY_TEXTS.filter(({ storable }) => !storable).map(({ name, text }) => ({
    name: `200 with ${name} as an id`,
    reaction: { body: JSON.stringify({ externalId: text }) },
  })),
  ...NASTY_BYTES.map(({ name, bytes }) => ({ name: `400 with ${name}`, reaction: { status: 400, body: bytes } })),
  ...NASTY_JSON.map(({ name, json }) => ({ name: `200 with ${name}`, reaction: { body: json } })),
  ...[...STATUSES, ...SERVER_STATUSES].map((status) => ({
    name: `${status}`,
    reaction: { status, body: 'a\0b', headers: { location: 'http://127.0.0.1:9/\u00ff' } },
  })),
  ...RETRY_AFTER.map((after) => ({
    name: `429 with Retry-After ${after}`,
    reaction: { status: 429, headers: { 'retry-after': after } },
  })),
  { name: 'megabytes', reaction: { status: 400, body: MEGABYTES } },
  { name: 'megabytes of yes', reaction: { body: JSON.stringify({ externalId: MEGABYTES }) } },
  {
    name: 'another media type',
    reaction: { status: 400, body: '<\0>', headers: { 'content-type': 'text/html; charset=\u00ff' } },
  },
  { name: 'gzip that is none', reaction: { status: 400, body: 'a\0b', headers: { 'content-encoding': 'gzip' } } },
  { name: 'a slow answer', reaction: { delayMs: 500, status: 400, body: '\0' } },
  { name: 'no answer', reaction: { hang: 'request' } },
  { name: 'half an answer', reaction: { hang: 'body' } },
  { name: 'an answer byte by byte', reaction: { status: 400, body: '\0'.repeat(20), trickleMs: 20 } },
  { name: 'a reset', reaction: { reset: 'request' } },
  { name: 'a reset in the middle', reaction: { reset: 'body' } },
  { name: 'no HTTP', reaction: { raw: 'SSH-2.0-OpenSSH_9.6\r\n' } },
  { name: 'nothing', reaction: { raw: '' } },
  { name: 'NUL in a header', reaction: { raw: 'HTTP/1.1 400 No\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n' } },
  { name: 'NUL in the status line', reaction: { raw: 'HTTP/1.1 400 N\0o\r\nContent-Length: 0\r\n\r\n' } },
  {
    name: 'bytes in the status line',
    reaction: { raw: Buffer.from('HTTP/1.1 400 N\u00ff\u0080\r\nContent-Length: 0\r\n\r\n', 'latin1') },
  },
  {
    name: 'a header that is split',
    reaction: { raw: 'HTTP/1.1 400 No\r\nX-A: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n' },
  },
  {
    name: 'two answers',
    reaction: { raw: 'HTTP/1.1 400 No\r\nContent-Length: 1\r\n\r\n\0HTTP/1.1 200 Yes\r\nContent-Length: 0\r\n\r\n' },
  },
  { name: 'a header without an end', reaction: { raw: `HTTP/1.1 400 No\r\nX-A: ${'a'.repeat(100_000)}` } },
  {
    name: 'a chunk that is none',
    reaction: { raw: 'HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\0\r\n' },
  },
  { name: 'a length that is none', reaction: { raw: 'HTTP/1.1 400 No\r\nContent-Length: -1\r\n\r\n\0' } },
  { name: 'a status that is none', reaction: { raw: 'HTTP/1.1 99999999999 No\r\nContent-Length: 0\r\n\r\n' } },
];
