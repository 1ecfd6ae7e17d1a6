import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePorts } from '../helpers/ports.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startProgram, type Program } from '../helpers/program.ts';

// What someone without any credential can make a real api process hold.

const HEAP_MB = 256;
const REQUESTS = 8_000;
const KB = 1024;

let stores: TestStores;
let api: Program;
let port: number;
const agent = new Agent({ keepAlive: true, maxSockets: 16 });

beforeAll(async () => {
  stores = await createTestStores();
  port = await freePorts(1);
  api = await startProgram(['api'], {
    DATABASE_URL: stores.databaseUrl,
    CLICKHOUSE_URL: stores.clickhouseUrl,
    TEMPORAL_ADDRESS: stores.temporalAddress,
    TRAILMARK_SECRET: 'a secret that is long enough for tests',
    TRAILMARK_PORT: String(port),
    NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}`,
  });
  await api.says('api ready');
});
afterAll(async () => {
  agent.destroy();
  await api?.kill();
  await stores?.close();
});

test(`${REQUESTS} requests with different write keys of up to 500 KB leave the process alive, and its memory as it was`, async () => {
  const sent = new Map<number | string, number>();
  let number = 0;
  const before = await residentMegabytes();
  let most = before;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (number < REQUESTS) {
        const answer = await sendKey(number++);
        sent.set(answer, (sent.get(answer) ?? 0) + 1);
        if (number % 500 === 0) most = Math.max(most, await residentMegabytes());
      }
    }),
  );
  // What has the form of a key is a guess, and those have a limit.
  expect(new Set(sent.keys())).toEqual(new Set([401, 429]));
  expect((sent.get(401) ?? 0) + (sent.get(429) ?? 0)).toBe(REQUESTS);
  // The heap may grow to its limit before it is collected. Half of these keys would not fit into that.
  expect(most).toBeLessThan(before + HEAP_MB);
  expect(api.process.exitCode).toBeNull();
}, 900_000);

test('bodies that were announced and never come keep nobody out', async () => {
  const head = `POST /v1/track HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${500 * KB}\r\n\r\n{"writeKey": "`;
  const stalled = Array.from({ length: 400 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  const answers: string[] = [];
  for (const socket of stalled) {
    socket.setEncoding('utf8').on('data', (text: string) => answers.push(text));
    socket.write(head + 'x'.repeat(100 * KB));
  }
  try {
    expect(await sendKey(6)).toBe(401);
    // Some were given up for those that came after them, and told so.
    await expect
      .poll(() => answers.filter((text) => text.startsWith('HTTP/1.1 503')).length, { timeout: 20_000 })
      .toBeGreaterThan(200);
    expect(await sendKey(7)).toBe(401);
  } finally {
    for (const socket of stalled) socket.destroy();
  }
}, 120_000);

// One of eight large, some of the right form, some beside it, some in the header.
async function sendKey(number: number): Promise<number | string> {
  const random = randomBytes(24).toString('base64url');
  switch (number % 16) {
    case 0:
    case 8:
      return await post({ body: JSON.stringify({ writeKey: random + 'k'.repeat(499 * KB - 100 - (number % 100)) }) });
    case 1:
    case 2:
      return await post({ body: JSON.stringify({ writeKey: `tm_write_${random}` }) });
    case 3:
      return await post({ body: '{}', key: `tm_write_${random}${'x'.repeat(8 * KB)}` });
    case 4:
      return await post({ body: '{}', key: `tm_write_${random}` });
    case 5:
      return await post({ body: JSON.stringify({ writeKey: `tm_write_${random}${'x'.repeat(50 * KB)}` }) });
    default:
      return await post({ body: JSON.stringify({ writeKey: random.repeat(1 + (number % 64)) }) });
  }
}

async function post({ body, key }: { body: string; key?: string }): Promise<number | string> {
  return await new Promise((resolve) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...(key === undefined ? {} : { authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` }),
    };
    const sent = request({ agent, port, host: '127.0.0.1', path: '/v1/track', method: 'POST', headers }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    sent.end(body);
  });
}

/** What the process has of the machine's memory. */
async function residentMegabytes(): Promise<number> {
  const status = await readFile(`/proc/${api.process.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024;
}
