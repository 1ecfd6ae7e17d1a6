import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outgoingRules } from '../../src/bin/outgoing.ts';
import { readConfig } from '../../src/config.ts';
import { createOutgoingAgent, createOutgoingHttpAgents, type AddressRules } from '../../src/security/index.ts';

const servers: Server[] = [];
let seen = 0;
/** An engine, on every address of this machine. */
let engine: number;
/** Another server of this machine. */
let other: number;

beforeAll(async () => {
  const listen = async (): Promise<number> => {
    const server = createServer((_request, answer) => {
      seen++;
      answer.end('hello');
    });
    servers.push(server);
    await new Promise<void>((done) => server.listen(0, '::', done));
    return (server.address() as AddressInfo).port;
  };
  engine = await listen();
  other = await listen();
});

afterAll(async () => {
  for (const server of servers) server.closeAllConnections();
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
});

/** 'sent' or the code of the refusal, by both ways out. */
async function outcomes(url: string, rules: AddressRules): Promise<string[]> {
  const codeOf = (error: unknown): string =>
    (error as { code?: string; cause?: { code?: string } }).code ?? (error as Error).message;
  const dispatcher = createOutgoingAgent(rules);
  const byDispatcher = await request(url, { dispatcher, method: 'POST', body: '{}' }).then(
    async (answer) => {
      await answer.body.dump();
      return 'sent';
    },
    (error: unknown) => codeOf(error),
  );
  const byAgent = await new Promise<string>((resolve) => {
    httpRequest(url, { agent: createOutgoingHttpAgents(rules).agentFor(new URL(url)), method: 'POST' }, (answer) => {
      answer.resume().on('end', () => resolve('sent'));
    })
      .on('error', (error) => resolve(codeOf(error)))
      .end('{}');
  });
  await dispatcher.destroy();
  return [byDispatcher, byAgent];
}

const REFUSED = ['ERR_ADDRESS_REFUSED', 'ERR_ADDRESS_REFUSED'];
const SENT = ['sent', 'sent'];

describe('an engine is refused where private addresses are allowed', () => {
  const own = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

  it.each([
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0.0.0.0',
    'localhost',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    ...(own === undefined ? [] : [own]),
  ])('as %s', async (host) => {
    const before = seen;
    for (const known of [`127.0.0.1:${engine}`, `localhost:${engine}`, `0.0.0.0:${engine}`]) {
      const rules = { allowPrivateAddresses: true, refusedAddresses: () => [known] };
      expect(await outcomes(`http://${host}:${engine}/`, rules), known).toEqual(REFUSED);
    }
    expect(seen).toBe(before);
  });

  it('and others of this machine are not', async () => {
    const rules = {
      allowPrivateAddresses: true,
      refusedAddresses: () => [`127.0.0.1:${engine}`, `nowhere.invalid:${other}`],
    };
    expect(await outcomes(`http://127.0.0.1:${other}/`, rules)).toEqual(SENT);
    expect(await outcomes(`http://localhost:${other}/`, rules)).toEqual(SENT);
  });

  it('also where its address is allowed by name', async () => {
    const address = `127.0.0.1:${engine}`;
    const rules = { allowPrivateAddresses: false, allowedAddresses: [address], refusedAddresses: () => [address] };
    expect(await outcomes(`http://${address}/`, rules)).toEqual(REFUSED);
  });
});

describe('one address is allowed', () => {
  it('with its port, and no other', async () => {
    const rules = { allowPrivateAddresses: false, allowedAddresses: [`127.0.0.1:${other}`] };
    expect(await outcomes(`http://127.0.0.1:${other}/`, rules)).toEqual(SENT);
    expect(await outcomes(`http://127.0.0.1:${engine}/`, rules)).toEqual(REFUSED);
    expect(await outcomes(`http://[::1]:${other}/`, rules)).toEqual(REFUSED);
    expect(await outcomes(`http://0.0.0.0:${other}/`, rules)).toEqual(REFUSED);
  });
});

describe('the rules of an installation', () => {
  const base = {
    DATABASE_URL: 'postgresql://a:b@db.internal/x',
    CLICKHOUSE_URL: 'http://a:b@127.0.0.1:8123/x',
    TEMPORAL_ADDRESS: 'temporal.internal:7233',
    TEMPORAL_UI_URL: 'http://127.0.0.1:8233',
    TRAILMARK_METRICS_PORT: '9464',
  };

  it('refuse its engines, and what programs tell of themselves', () => {
    expect(outgoingRules(readConfig(base)).refusedAddresses?.()).toEqual([
      'db.internal:5432',
      '127.0.0.1:8123',
      '127.0.0.1:8233',
      'temporal.internal:7233',
      '127.0.0.1:9464',
      '127.0.0.1:9465',
    ]);
  });

  it('refuse what is in the file, as it is now', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'trailmark-outgoing-'));
    const file = join(folder, 'refused.json');
    const rules = outgoingRules(readConfig({ TRAILMARK_REFUSED_ADDRESSES_FILE: file }));
    expect(rules.refusedAddresses?.()).toEqual([]);
    await writeFile(file, '["127.0.0.1:1"]');
    expect(rules.refusedAddresses?.()).toEqual(['127.0.0.1:1']);
    await writeFile(file, '["127.0.0.1:2"]');
    await utimes(file, new Date(), new Date(Date.now() + 5_000));
    expect(rules.refusedAddresses?.()).toEqual(['127.0.0.1:2']);
    await rm(folder, { recursive: true });
    expect(rules.refusedAddresses?.()).toEqual(['127.0.0.1:2']);
  });

  it.each(['localhost:80', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:99999', '::1:80', '[127.0.0.1]:80', '10.0.0.0/8:80'])(
    'do not allow %s',
    (text) => {
      expect(() => readConfig({ TRAILMARK_ALLOWED_ADDRESSES: text })).toThrow(/TRAILMARK_ALLOWED_ADDRESSES/);
    },
  );

  it('allow a list', () => {
    expect(readConfig({ TRAILMARK_ALLOWED_ADDRESSES: '127.0.0.1:80, [::1]:8080' }).TRAILMARK_ALLOWED_ADDRESSES).toEqual(
      ['127.0.0.1:80', '[::1]:8080'],
    );
  });
});
