import { randomBytes, randomInt } from 'node:crypto';
import { Agent, request } from 'node:http';
import type { Flood } from './sign-in-flood.ts';

// Strangers, in a process of their own: so many requests at once, each followed by the next as soon as it is answered.
const AT_ONCE = 200;

const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
let stopping = new AbortController();
let lanes: Promise<void>[] = [];
let answers: Record<string, number> = {};

process.on('message', (message: { flood: Flood; port: number } | 'stop') => {
  if (message === 'stop') {
    stopping.abort();
    void Promise.all(lanes).then(() => process.send?.(answers));
    return;
  }
  answers = {};
  stopping = new AbortController();
  lanes = Array.from({ length: AT_ONCE }, async () => await floodUntil(stopping.signal, message));
});
process.once('disconnect', () => process.exit(0));

async function floodUntil(signal: AbortSignal, { port, flood }: { flood: Flood; port: number }): Promise<void> {
  while (!signal.aborted) {
    const status = await ask(port, flood);
    answers[status] = (answers[status] ?? 0) + 1;
  }
}

async function ask(port: number, flood: Flood): Promise<number> {
  const body =
    flood === 'sign-ins' ? `email=nobody-${randomInt(1e9)}%40example.com&password=wrong` : '{"event":"A","userId":"u"}';
  const headers: Record<string, string | number> = {
    'content-length': body.length,
    // From everywhere: each try is from another address, for another account.
    'x-forwarded-for': Array.from({ length: 4 }, () => randomInt(1, 223)).join('.'),
    ...(flood === 'sign-ins'
      ? { 'content-type': 'application/x-www-form-urlencoded', origin: `http://127.0.0.1:${port}` }
      : { 'content-type': 'application/json', authorization: `Basic ${wrongKey()}` }),
  };
  const path = flood === 'sign-ins' ? '/sign-in' : '/v1/track';
  return await new Promise((resolve) => {
    const sent = request({ agent, port, host: '127.0.0.1', path, method: 'POST', headers }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.once('error', () => resolve(0));
    sent.end(body);
  });
}

function wrongKey(): string {
  return Buffer.from(`tm_write_${randomBytes(24).toString('base64url')}:`).toString('base64');
}
