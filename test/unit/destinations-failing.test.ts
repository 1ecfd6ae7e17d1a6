import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createDestinationDeps,
  deliverBatch,
  type JsonObject,
  type OpenDestination,
} from '../../src/destinations/index.ts';
import { createSecretBox } from '../../src/security/index.ts';
import { outgoing } from '../helpers/outgoing.ts';
import { startReceiver, type Reaction, type Receiver } from '../helpers/receiver.ts';

describe('a destination that really fails', () => {
  let receiver: Receiver;
  const servers: Server[] = [];
  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(async () => {
    await receiver.close();
    await Promise.all(servers.splice(0).map(async (server) => await new Promise((closed) => server.close(closed))));
  });

  async function listen(server: Server): Promise<number> {
    servers.push(server);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return (server.address() as AddressInfo).port;
  }

  const secretBox = createSecretBox('a secret for tests only, 32 characters');
  const deps = createDestinationDeps({ secretBox, allowPrivateAddresses: true, requestTimeoutMs: 2_000 });

  async function deliver(destination: OpenDestination): Promise<string> {
    const messages = outgoing([{ type: 'track', messageId: 'm-1', userId: 'u1' }]);
    const { outcomes, stopped } = await deliverBatch(deps, { destination, messages });
    if (stopped !== null) expect(outcomes).toEqual([{ status: 'retry' }]);
    if (stopped === null) return outcomes[0]?.status ?? 'nothing';
    return 'failure' in stopped ? stopped.failure.code : stopped.kind;
  }

  function webhook(url: string): OpenDestination {
    const mapping = { url, method: 'POST', data: { '@path': '$.' }, enable_batching: true };
    return open('webhook', { action: 'send', mapping }, {});
  }

  function open(
    slug: string,
    subscription: { action: string; mapping: JsonObject },
    settings: JsonObject,
  ): OpenDestination {
    const subscriptions = [{ id: 'sub_1', trigger: 'type = "track"', ...subscription }];
    return { id: 'dst_1', workspaceId: 'wrk_1', slug, name: slug, settings, subscriptions };
  }

  it('by a certificate that nobody vouches for: hard, and nothing was sent', async () => {
    const port = await listen(createTlsServer({ key: TEST_KEY, cert: TEST_CERTIFICATE }, (_, answer) => answer.end()));
    expect(await deliver(webhook(`https://127.0.0.1:${port}/`))).toBe('destination_certificate_invalid');
  });

  it('by speaking no TLS', async () => {
    expect(await deliver(webhook(`https://127.0.0.1:${receiver.port}/`))).toBe('destination_unreachable');
    expect(receiver.requests).toHaveLength(0);
  });

  it('by speaking no HTTP', async () => {
    const port = await listen(createTcpServer((socket) => socket.resume().end('220 mail.example.com ESMTP\r\n')));
    expect(await deliver(webhook(`http://127.0.0.1:${port}/`))).toBe('destination_answer_invalid');
  });

  it('by an answer that never ends', async () => {
    const flood: Reaction = { body: 'x'.repeat(21 * 1024 * 1024) };
    receiver.behave(() => flood);
    expect(await deliver(webhook(receiver.url))).toBe('destination_answer_invalid');
  });

  it('by an answer that is not compressed as it says', async () => {
    receiver.behave(() => ({ headers: { 'content-encoding': 'gzip' }, body: 'not gzip' }));
    expect(await deliver(webhook(receiver.url))).toBe('destination_answer_invalid');
  });

  it('by an address that is none: refused, because the next event may have another', async () => {
    expect(await deliver(webhook('ftp://127.0.0.1/'))).toBe('rejected');
  });

  describe('by its tokens', () => {
    const oauth = { access_token: 'old', refresh_token: 'r1', clientId: 'c', clientSecret: 's' };
    const extensible = (): OpenDestination =>
      open(
        'webhook-extensible',
        { action: 'send', mapping: { url: `${receiver.url}/hook`, method: 'POST', data: { '@path': '$.' } } },
        {
          oauth: { ...oauth },
          dynamicAuthSettings: {
            oauth: { type: 'authCode', refreshTokenServerUrl: `${receiver.url}/token`, scopes: '' },
          },
        },
      );

    it.each([
      ['destination_credentials_expired', { status: 400, body: { error: 'invalid_grant' } }],
      ['destination_credentials_expired', { status: 401 }],
      ['destination_unavailable', { status: 503 }],
      ['destination_unreachable', { reset: 'request' }],
      ['destination_rate_limited', { status: 429, headers: { 'retry-after': '60' } }],
      // New ones that it does not take either.
      ['destination_credentials_rejected', { body: { access_token: 'new', refresh_token: 'r2' } }],
    ] as const)('that it answers the renewal of: %s', async (code, reaction) => {
      receiver.behave(({ path }) => (path === '/token' ? reaction : { status: 401 }));
      expect(await deliver(extensible())).toBe(code);
      expect(receiver.requests.map(({ path }) => path).filter((path) => path === '/token').length).toBeGreaterThan(0);
    });

    it('once, and then takes the new ones', async () => {
      receiver.behave(({ path, headers }) => {
        if (path === '/token') return { body: { access_token: 'new', refresh_token: 'r2' } };
        return headers.authorization === 'Bearer new' ? {} : { status: 401 };
      });
      const kept: unknown[] = [];
      const { stopped } = await deliverBatch(deps, {
        destination: extensible(),
        messages: outgoing([{ type: 'track', messageId: 'm-1', userId: 'u1' }]),
        onTokenRefresh: async (tokens) => {
          kept.push(tokens);
          return await Promise.resolve();
        },
      });
      expect(stopped).toBeNull();
      expect(kept).toEqual([{ accessToken: 'new', refreshToken: 'r2' }]);
    });

    it('that could not be kept, which is not its fault', async () => {
      receiver.behave(({ path }) => (path === '/token' ? { body: { access_token: 'new' } } : { status: 401 }));
      const { stopped } = await deliverBatch(deps, {
        destination: extensible(),
        messages: outgoing([{ type: 'track', messageId: 'm-1', userId: 'u1' }]),
        onTokenRefresh: async () =>
          await Promise.reject(Object.assign(new Error('terminating'), { severity: 'FATAL', code: '57P01' })),
      });
      expect(stopped).toMatchObject({ kind: 'failed', failure: { code: 'postgres_unavailable' } });
    });
  });
});

// Of nobody: for a name that is not this machine's, and signed by itself.
const TEST_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgCNf0q59PAhuxYMGk
JqxUlBN9s6gHaxULga17tfDl5oChRANCAAQNKTIB2QXb1QoTccHXISZeanfU692j
Yol2n/9wVucSCI3icI7AWAw2b5EAF5lPDzBW5n0KpcUQFW7HmiRKTNe2
-----END PRIVATE KEY-----`;
const TEST_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBijCCAS+gAwIBAgIUVnnib5acskAFIDNHpmniPbyHdkkwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwObm9ib2R5LmludmFsaWQwIBcNMjYxMTI0MTI0OTI0WhgPMjEy
NjEwMzExMjQ5MjRaMBkxFzAVBgNVBAMMDm5vYm9keS5pbnZhbGlkMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEDSkyAdkF29UKE3HB1yEmXmp31Ovdo2KJdp//cFbn
EgiN4nCOwFgMNm+RABeZTw8wVuZ9CqXFEBVux5okSkzXtqNTMFEwHQYDVR0OBBYE
FGzrtzzrCNn6qhexUb4o/WLVmTbrMB8GA1UdIwQYMBaAFGzrtzzrCNn6qhexUb4o
/WLVmTbrMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAMmxA7zW
qAYlUoJMH8aa+UBePr2fGepGV/xj2YFz0jCbAiEAxmKi90njS/vI5qMQ7VkAV7Q4
svJcNiVhP9QUoYZm98s=
-----END CERTIFICATE-----`;
