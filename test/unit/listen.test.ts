import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { startListener, targetOf, type Listener } from '../../src/listen/index.ts';

let listener: Listener | undefined;
const errors: unknown[] = [];
const answered: string[] = [];

afterEach(async () => {
  await listener?.closeNow();
  errors.length = 0;
  answered.length = 0;
});

async function listen(options: Partial<Parameters<typeof startListener>[0]> = {}): Promise<number> {
  listener = await startListener({
    host: '127.0.0.1',
    port: 0,
    refuseWebPages: true,
    onError: (error) => errors.push(error),
    answer: (request, response) => {
      answered.push(request.url ?? '');
      response.end('fine');
    },
    ...options,
  });
  return listener.port;
}

/** Everything that comes back for these bytes until the other side closes. */
async function say(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return heard;
}

const get = (headers: string, target = '/'): string => `GET ${target} HTTP/1.1\r\n${headers}Connection: close\r\n\r\n`;

describe('a web page', () => {
  test.each([
    ['an image on any page', 'Host: 127.0.0.1:8123\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n'],
    ['a page of another port of this machine', 'Host: localhost:8123\r\nSec-Fetch-Site: same-site\r\n'],
    ['a script', 'Host: 127.0.0.1:8123\r\nOrigin: http://evil.example\r\n'],
    ['a sandboxed frame', 'Host: 127.0.0.1:8123\r\nOrigin: null\r\n'],
    ['a page in a browser that is old', 'Host: 127.0.0.1:8123\r\nReferer: http://evil.example/\r\n'],
    ['a name that was made to resolve to this machine', 'Host: evil.example:8123\r\n'],
    ['such a name, as the same origin', 'Host: evil.example\r\nSec-Fetch-Site: same-origin\r\n'],
    ['a name that begins like this machine', 'Host: 127.0.0.1.evil.example\r\n'],
    ['a name that ends like this machine', 'Host: evil-localhost\r\n'],
  ])('is refused before anything is done: %s', async (_name, headers) => {
    expect(await say(await listen(), get(headers))).toMatch(/^HTTP\/1\.1 403 /);
    expect(answered).toEqual([]);
  });

  test.each([
    ['a client', 'Host: 127.0.0.1:8123\r\n'],
    ['a client by name', 'Host: localhost\r\n'],
    ['a client by IPv6', 'Host: [::1]:8123\r\n'],
    ['someone who types the address', 'Host: 127.0.0.1:8123\r\nSec-Fetch-Site: none\r\n'],
  ])('is not what this is: %s', async (_name, headers) => {
    expect(await say(await listen(), get(headers))).toContain('fine');
  });

  test('is answered where the server is for pages', async () => {
    expect(
      await say(await listen({ refuseWebPages: false }), get('Host: trailmark.example\r\nOrigin: null\r\n')),
    ).toContain('fine');
  });
});

test.each([
  '//',
  '///',
  '//[',
  'http://[',
  '*',
  '/\\',
  '/%',
  '/%00?a=%',
  '?',
  'http://evil.example/ping',
  '//evil.example/ping',
])('the target %s has an answer', async (target) => {
  expect(targetOf({ url: target }).path).not.toBe('/ping');
  expect(await say(await listen(), get('Host: 127.0.0.1\r\n', target))).toMatch(/^HTTP\/1\.1 (200|400) /);
});

test.each([
  [
    'throws',
    () => {
      throw new Error('at once');
    },
  ],
  [
    'rejects',
    async () => {
      await Promise.resolve();
      throw new Error('later');
    },
  ],
])('an answer that %s is a 500 of its own request', async (_name, answer) => {
  const port = await listen({ answer });
  expect(await say(port, get('Host: 127.0.0.1\r\n'))).toMatch(/^HTTP\/1\.1 500 /);
  expect(errors).toHaveLength(1);
});

test('an answer that fails in the middle breaks off', async () => {
  const port = await listen({
    answer: (_request, response) => {
      response.write('half');
      throw new Error('in the middle');
    },
  });
  await say(port, get('Host: 127.0.0.1\r\n'));
  expect(errors).toHaveLength(1);
});

test('what is written after the end is heard of, and ends nothing', async () => {
  const port = await listen({
    answer: (_request, response) => {
      response.end('done');
      response.write('more');
    },
  });
  await say(port, get('Host: 127.0.0.1\r\n'));
  await expect.poll(() => errors.length).toBe(1);
});

test('a client that leaves in the middle of its body is no error of ours', async () => {
  let asked: Socket | undefined;
  const reading: Promise<unknown>[] = [];
  const port = await listen({
    answer: async (request, response) => {
      asked?.resetAndDestroy();
      const read = request.toArray();
      reading.push(read.catch(() => undefined));
      await read;
      response.end();
    },
  });
  asked = connect(port, '127.0.0.1');
  asked.on('error', () => undefined);
  asked.write('POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nhalf');
  await expect.poll(() => reading.length).toBe(1);
  await reading[0];
  expect(errors).toEqual([]);
});

test('a head that drips is cut off, also where a body may take its time', async () => {
  const port = await listen({ headTimeoutMs: 200, requestTimeoutMs: 0 });
  expect(await say(port, 'GET / HTTP/1.1\r\nHost: 127')).toMatch(/^HTTP\/1\.1 408 /);
});

test('an error of the server itself has a listener', async () => {
  await listen();
  listener?.server.emit('error', new Error('accept EMFILE'));
  expect(errors).toHaveLength(1);
});
