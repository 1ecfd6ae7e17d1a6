import { Connection } from '@temporalio/client';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { hasNamespace } from '../../src/embedded/temporal/temporal-probe.ts';
import { createClickHouse, createPool } from '../../src/store/index.ts';
import { Random } from '../chaos/random.ts';

// Another program may have an engine's port by now: what it says must end a question, and not this process.

let server: Server;
let port: number;
let answers: (socket: Socket, heard: Buffer, time: number) => void = () => undefined;
const sockets = new Set<Socket>();
const thrown: unknown[] = [];
const hear = (error: unknown): void => void thrown.push(error);

beforeAll(async () => {
  server = createServer((socket) => {
    let times = 0;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.on('data', (heard: Buffer) => answers(socket, heard, times++));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
  // Before those of the test run, which would end it.
  process.prependListener('uncaughtException', hear);
  process.prependListener('unhandledRejection', hear);
});

afterEach(() => {
  expect(thrown.splice(0)).toEqual([]);
});

afterAll(async () => {
  process.off('uncaughtException', hear);
  process.off('unhandledRejection', hear);
  for (const socket of sockets) socket.destroy();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

/** A message of PostgreSQL: its letter, its length as it is or as it is not, and its body. */
function message(letter: string, body: Buffer, length = body.length + 4): Buffer {
  const head = Buffer.alloc(5);
  head.write(letter, 'latin1');
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, body]);
}

const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const OK = Buffer.concat([message('R', int(0)), message('Z', Buffer.from('I'))]);
const bytesOf = (random: Random, length: number): Buffer => Buffer.from(Array.from({ length }, () => random.int(256)));

async function askPostgres(): Promise<unknown> {
  const pool = createPool({
    connectionString: `postgresql://trailmark:secret@127.0.0.1:${port}/trailmark`,
    applicationName: 'test',
    max: 1,
    onError: () => undefined,
  });
  const asked = pool.query('select 1').then(
    () => 'an answer',
    (error: unknown) => error,
  );
  const late = new Promise((resolve) => setTimeout(() => resolve('nothing'), 300));
  const outcome = await Promise.race([asked, late]);
  for (const socket of sockets) socket.destroy();
  await asked;
  await pool.end();
  return outcome;
}

test.each([
  ['an authentication that there is not', message('R', int(99))],
  ['a password with a salt that is not there', message('R', int(5), 8)],
  ['SASL without a mechanism', message('R', Buffer.concat([int(10), Buffer.from('\0')]))],
  ['SASL that goes on before it began', message('R', Buffer.concat([int(11), Buffer.from('r=x,s=x,i=x')]))],
  ['SASL that is over before it began', message('R', Buffer.concat([int(12), Buffer.from('v=x')]))],
  ['a description of columns that ends in the middle', Buffer.concat([OK, message('T', Buffer.from([0, 200, 1, 2]))])],
  ['a row without a description', Buffer.concat([OK, message('D', Buffer.from([0, 3, 0, 0, 0, 9, 1]))])],
  ['a length of nothing', message('R', Buffer.alloc(0), 0)],
  ['a key that is too short', message('K', Buffer.from([1]), 5)],
  ['rows that were to be copied', Buffer.concat([OK, message('G', Buffer.from([0]))])],
  ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
])('PostgreSQL answers with %s', async (_name, bytes) => {
  answers = (socket) => void socket.write(bytes);
  expect(await askPostgres()).not.toBe('an answer');
});

test('ClickHouse answers with anything', async () => {
  const random = new Random(23);
  const clickhouse = createClickHouse({
    url: `http://127.0.0.1:${port}/x`,
    applicationName: 'test',
    requestTimeoutMs: 300,
  });
  const heads = [
    'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip',
    'HTTP/1.1 102 Processing\r\n\r\n',
    'HTTP/1.1 200 OK\r\nX-ClickHouse-Summary: {\r\nContent-Length: 2\r\n\r\n{}',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    'HTTP/1.1 500 No\r\nX-ClickHouse-Exception-Code: x\r\n\r\n',
    'HTTP/1.1 200 OK\r\n\r\n{"a":1}\n{"b',
    'HTTP/9.9 x',
    '',
  ];
  for (const head of [...heads, ...heads]) {
    answers = (socket) => {
      socket.write(Buffer.concat([Buffer.from(head), bytesOf(random, random.int(30))]));
      if (random.chance(0.6)) socket.end();
    };
    const asked = clickhouse.query({ query: 'SELECT 1', format: 'JSONEachRow' });
    // One that never ends is given up by its caller's limit: what is looked for here is what is thrown.
    await Promise.race([
      asked.then(async (result) => await result.json()).catch(() => undefined),
      new Promise((resolve) => setTimeout(resolve, 400)),
    ]);
  }
  for (const socket of sockets) socket.destroy();
  await clickhouse.close();
});

test('Temporal answers with anything', async () => {
  const random = new Random(24);
  // An empty SETTINGS, and then frames of any kind: also a GOAWAY, a RST_STREAM, headers that are not compressed right.
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const frame = (): Buffer => {
    const body = bytesOf(random, random.int(30));
    return Buffer.concat([
      Buffer.from([0, 0, body.length, random.int(11), random.int(256), 0, 0, 0, random.pick([0, 1, 3])]),
      body,
    ]);
  };
  for (let round = 0; round < 15; round++) {
    answers = (socket) => {
      socket.write(random.chance(0.2) ? bytesOf(random, 50) : Buffer.concat([settings, frame(), frame(), frame()]));
      if (random.chance(0.6)) socket.end();
    };
    expect(await hasNamespace(`127.0.0.1:${port}`, 'default')).toBe(false);
  }
  for (let round = 0; round < 3; round++) {
    await expect(Connection.connect({ address: `127.0.0.1:${port}`, connectTimeout: 200 })).rejects.toThrow();
  }
});
