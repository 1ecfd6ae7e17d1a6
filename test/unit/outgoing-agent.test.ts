import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fetch, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOutgoingAgent, createOutgoingHttpAgents, isRefusedAddress } from '../../src/security/index.ts';

const servers: Server[] = [];
const seen: string[] = [];
let port = 0;
let portIpv6 = 0;

async function listen(host: string): Promise<number> {
  const server = createServer((incoming, answer) => {
    seen.push(incoming.url ?? '');
    if (incoming.url === '/redirect') answer.writeHead(302, { location: `http://127.0.0.1:${port}/reached` }).end();
    else answer.end('hello');
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, host, done));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  port = await listen('127.0.0.1');
  portIpv6 = await listen('::1');
});
afterAll(async () => {
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
});

/** The codes of an error and of all that caused it. */
function codes(error: unknown): unknown[] {
  return error instanceof Error ? [(error as { code?: unknown }).code, ...codes(error.cause)] : [];
}

async function failureOf(promise: Promise<unknown>): Promise<unknown[]> {
  return await promise.then(
    () => ['no failure'],
    (error: unknown) => codes(error),
  );
}

/** One GET by Node's own client through the agent. */
async function get(url: string, agents = createOutgoingHttpAgents({ allowPrivateAddresses: false })): Promise<number> {
  return await new Promise((resolve, reject) => {
    httpRequest(url, { agent: agents.agentFor(new URL(url)) }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
    })
      .on('error', reject)
      .end();
  });
}

describe('createOutgoingAgent', () => {
  it('keeps connections to the origins that were used last, and not to all there ever were', async () => {
    const agent = createOutgoingAgent({ allowPrivateAddresses: true });
    let open = 0;
    let most = 0;
    const server = createServer((_, answer) => answer.end('hello')).on('connection', (socket) => {
      most = Math.max(most, ++open);
      socket.on('close', () => (open -= 1));
    });
    servers.push(server);
    const own = await new Promise<number>((done) =>
      server.listen(0, '0.0.0.0', () => done((server.address() as AddressInfo).port)),
    );
    // Loopback has sixteen million addresses, each an origin of its own.
    for (let n = 1; n <= 400; n += 1) {
      const answer = await request(`http://127.1.${n >> 8}.${n & 255}:${own}/`, { dispatcher: agent });
      expect(await answer.body.text()).toBe('hello');
    }
    await expect.poll(() => open).toBeLessThanOrEqual(256);
    expect(most).toBeLessThanOrEqual(260);
    await agent.close();
    await expect.poll(() => open).toBe(0);
  });
});

describe('isRefusedAddress', () => {
  it.each([
    ['127.0.0.1'],
    ['127.255.255.254'],
    ['0.0.0.0'],
    ['10.1.2.3'],
    ['100.64.0.1'],
    ['100.127.255.255'],
    ['169.254.169.254'],
    ['172.16.0.1'],
    ['172.31.255.255'],
    ['192.168.0.1'],
    ['198.19.0.1'],
    ['224.0.0.1'],
    ['255.255.255.255'],
    ['::'],
    ['::1'],
    ['::ffff:127.0.0.1'],
    ['::ffff:8.8.8.8'],
    ['::7f00:1'],
    ['64:ff9b::7f00:1'],
    ['64:ff9b:1::a00:1'],
    ['2002:7f00:1::'],
    ['2001::1'],
    ['2001:db8::1'],
    ['fc00::1'],
    ['fd12:3456::1'],
    ['fe80::1'],
    ['fe80::1%eth0'],
    ['fec0::1'],
    ['ff02::1'],
    ['example.com'],
    [''],
  ])('refuses %s', (address) => {
    expect(isRefusedAddress(address)).toBe(true);
  });

  it.each([['8.8.8.8'], ['100.63.255.255'], ['100.128.0.0'], ['172.32.0.1'], ['2606:4700::1111'], ['2a00:1450::1']])(
    'lets %s through',
    (address) => {
      expect(isRefusedAddress(address)).toBe(false);
    },
  );
});

describe('createOutgoingAgent', () => {
  const dispatcher = createOutgoingAgent({ allowPrivateAddresses: false });

  it('refuses loopback by address, by name, and by what a name resolves to, before anything is sent', async () => {
    const before = seen.length;
    for (const url of [
      `http://127.0.0.1:${port}/`,
      `http://127.1:${port}/`,
      `http://2130706433:${port}/`,
      `http://localhost:${port}/`,
      `http://[::1]:${portIpv6}/`,
      `http://[::ffff:127.0.0.1]:${port}/`,
      `https://127.0.0.1:${port}/`,
    ]) {
      expect(await failureOf(request(url, { dispatcher })), url).toContain('ERR_ADDRESS_REFUSED');
      expect(await failureOf(fetch(url, { dispatcher })), url).toContain('ERR_ADDRESS_REFUSED');
    }
    expect(seen).toHaveLength(before);
  });

  it('sends to private addresses where the installation allows them, and does not follow a redirect', async () => {
    const allowed = createOutgoingAgent({ allowPrivateAddresses: true });
    const answer = await request(`http://127.0.0.1:${port}/redirect`, { dispatcher: allowed });
    await answer.body.dump();
    expect(answer.statusCode).toBe(302);
    expect(seen).not.toContain('/reached');
    expect((await request(`http://[::1]:${portIpv6}/`, { dispatcher: allowed })).statusCode).toBe(200);
  });
});

describe('createOutgoingHttpAgents', () => {
  it('refuses for clients on Node’s own http and https', async () => {
    for (const url of [
      `http://127.0.0.1:${port}/`,
      `http://localhost:${port}/`,
      `http://[::1]:${portIpv6}/`,
      `https://localhost:${port}/`,
    ]) {
      expect(await failureOf(get(url)), url).toContain('ERR_ADDRESS_REFUSED');
    }
  });

  it('sends where it is allowed', async () => {
    expect(await get(`http://localhost:${port}/`, createOutgoingHttpAgents({ allowPrivateAddresses: true }))).toBe(200);
  });
});
