import { Random } from '../chaos/random.ts';

const METHODS = [
  'GET',
  'POST',
  'PUT',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'PRI',
  'PATCH',
  'QUERY',
  'gEt',
  '',
];
// What a URL parser throws at, takes for another host, or decodes to something that nobody expects.
const TARGETS = [
  '/',
  '//',
  '///',
  '//[',
  '//:',
  '//@',
  '//%',
  '/\\',
  '/%',
  '/%00',
  '/%ff%fe',
  '/%c0%af..',
  '/../../etc/passwd',
  '/?',
  '/?query=%',
  '/?query=SELECT+1&query=SELECT+2',
  '/?query=INSERT+INTO+t+FORMAT+JSONEachRow',
  '/?query=%00%ff',
  '/?param___proto__=1&__proto__=2&constructor=3',
  '/?workspace=%00',
  '/?session_id=1&compress=1',
  '*',
  '?',
  '#',
  'x',
  ':',
  'http://',
  'http://[',
  'http://[::1',
  'http://%',
  'http:///ping',
  'http://evil.example/',
  'https://evil.example:99999/',
  'javascript:1',
  '/ping',
  '/replicas_status',
  '/metrics',
  '//metrics',
  '/metrics/%2e%2e',
  '/healthz',
  '/readyz',
  '/docs',
  '/openapi.json',
  '/sign-in',
  '/spaces',
  '/spaces/%00/audiences',
  '/spaces/%F0%9F/audiences?pagination[count]=1e999',
  '/v1/track',
  '/v1/batch',
  '/v1/import',
  '/v1/%74rack',
  '/audit-events?pagination.count=NaN',
  '/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace',
  '/api/v1/namespaces',
];
const HEADERS = [
  'Host:',
  'Host: a\r\nHost: b',
  'Host: [',
  'Host: :',
  'Host: %',
  'Host: 127.0.0.1:0',
  'Host: xn--\u00ff',
  'Content-Length: -1',
  'Content-Length: 99999999999999999999',
  'Content-Length: 5\r\nContent-Length: 6',
  'Content-Length: 10\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: gzip',
  'Transfer-Encoding: x',
  'Content-Encoding: gzip',
  'Content-Encoding: br',
  'Content-Encoding: deflate',
  'Content-Encoding: constructor',
  'Content-Encoding: __proto__',
  'Content-Type: multipart/form-data',
  'Content-Type: multipart/form-data; boundary=',
  'Content-Type: multipart/form-data; boundary=x',
  'Content-Type: application/json; charset=utf-7',
  'Content-Type: application/x-www-form-urlencoded',
  'Content-Type: \u0000',
  'Accept-Encoding: gzip;q=x',
  'Authorization: Basic',
  'Authorization: Basic ====',
  'Authorization: Basic /////w==',
  'Authorization: Bearer \u00ff\u00fe',
  'Authorization: constructor x',
  'X-ClickHouse-User: trailmark',
  'X-ClickHouse-Format: __proto__',
  'Cookie: =;=;;;',
  'Cookie: trailmark_session=%',
  'Cookie: __proto__=1; __Host-trailmark=%ff',
  'Expect: 100-continue',
  'Expect: 200-maybe',
  'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==',
  'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x',
  'Connection: close, keep-alive, upgrade',
  'Trailer: x',
  'Origin: null',
  'Origin: http://evil.example',
  'Range: bytes=-1',
  'X-Forwarded-For: x, , [',
  'X-Request-Id: \t\t\t',
  ': empty',
  'no colon',
  ' folded: line',
  '__proto__: x',
];
const BODIES = [
  '',
  '{',
  '{}',
  'null',
  '"\\ud800"',
  '{"__proto__":{"x":1},"writeKey":"\\u0000"}',
  '{"batch":[null,{},[]],"writeKey":1}',
  '[]',
  'SELECT 1',
  '--x\r\n\r\n--x--',
  '--x\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT 1\r\n--x--\r\n',
  '0\r\n\r\n',
  'zz\r\nx\r\n0\r\n\r\n',
  'ffffffffffffffff\r\nx',
  '5;ext="\r\nhello\r\n0\r\nTrailer: x\r\n\r\n',
  '1\r\na\r\n-1\r\nb\r\n',
];
const HTTP2_PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** The bytes of one connection, in the pieces that they are sent in. `authorization` opens doors behind which more is parsed. */
export function nastyPieces(random: Random, authorization: string | undefined): Buffer[] {
  const kind = random.weighted({ bytes: 2, request: 10, pipelined: 2, huge: 1, http2: 1, protocol: 1 });
  switch (kind) {
    case 'bytes':
      return [randomBytes(random, 1 + random.int(4_000))];
    case 'request':
      return cut(random, request(random, authorization));
    case 'pipelined':
      return cut(
        random,
        Buffer.concat(Array.from({ length: 2 + random.int(8) }, () => request(random, authorization))),
      );
    case 'huge':
      return [Buffer.from(hugeHead(random), 'latin1')];
    case 'http2':
      return [Buffer.from(HTTP2_PREFACE), randomBytes(random, random.int(500))];
    default:
      return [startupMessage(random), randomBytes(random, random.int(200))];
  }
}

function request(random: Random, authorization: string | undefined): Buffer {
  const version = random.chance(0.9) ? 'HTTP/1.1' : random.pick(['HTTP/1.0', 'HTTP/0.9', 'HTTP/2', 'HTTP/1.', '']);
  const lines = [`${random.pick(METHODS)} ${random.chance(0.8) ? random.pick(TARGETS) : mutated(random)} ${version}`];
  // Most are let past the first door, or only that would be tried.
  if (random.chance(0.7)) lines.push('Host: 127.0.0.1');
  if (authorization !== undefined && random.chance(0.6)) lines.push(`Authorization: ${authorization}`);
  for (let left = random.int(4); left > 0; left--) lines.push(random.pick(HEADERS));
  const body = Buffer.from(random.chance(0.8) ? random.pick(BODIES) : mutated(random), 'latin1');
  if (random.chance(0.4)) lines.push(`Content-Length: ${body.length + random.pick([0, 0, 0, 7, -1, 1_000])}`);
  else if (random.chance(0.3)) lines.push('Transfer-Encoding: chunked');
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}

/** A known target with some bytes that are others. */
function mutated(random: Random): string {
  const bytes = Buffer.from(random.pick(TARGETS).repeat(1 + random.int(3)), 'latin1');
  for (let left = 1 + random.int(4); left > 0 && bytes.length > 0; left--)
    bytes[random.int(bytes.length)] = random.int(256);
  return bytes.toString('latin1');
}

function hugeHead(random: Random): string {
  const size = random.pick([20_000, 200_000, 2_000_000]);
  return random.pick([
    `GET /${'x'.repeat(size)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(size)}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: x\r\n${'a: b\r\n'.repeat(size / 6)}\r\n`,
    `GET /?${'query=%20&'.repeat(size / 10)} HTTP/1.1\r\nHost: x\r\n\r\n`,
  ]);
}

/** What a client of PostgreSQL begins with, with a length and a version that may be anything. */
function startupMessage(random: Random): Buffer {
  const text = Buffer.from(`user\0trailmark\0database\0${'x'.repeat(random.int(50))}\0\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(random.pick([text.length + 8, 0, 4, 2 ** 31, 8]), 0);
  head.writeUInt32BE(random.pick([196_608, 80_877_103, 80_877_102, 0, 2 ** 32 - 1]), 4);
  return Buffer.concat([head, text]);
}

function cut(random: Random, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  let rest = bytes;
  while (random.chance(0.4) && rest.length > 1) {
    const at = 1 + random.int(rest.length - 1);
    pieces.push(rest.subarray(0, at));
    rest = rest.subarray(at);
  }
  // Now and then the last piece never comes.
  return random.chance(0.85) ? [...pieces, rest] : pieces;
}

function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.int(256)));
}
