import { createServer, request as send, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { computeVersion, diffVersions, freezeChanges } from '../../src/compute/index.ts';
import { createClickHouse, runStatement, selectRows, type ClickHouseClient } from '../../src/store/index.ts';
import { classifyError } from '../../src/tasks/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';

let stores: TestStores;
const clients: ClickHouseClient[] = [];
const servers: Server[] = [];

beforeAll(async () => {
  stores = await createTestStores();
  await stores.clickhouse.command({ query: 'CREATE TABLE numbers_of (n UInt64) ENGINE = MergeTree ORDER BY n' });
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map(async (client) => await client.close()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
});
afterAll(async () => {
  await stores?.close();
});

/** Works for ten minutes at the least, and then would write one row. Its number tells it from others. */
function slowInsert(number: number): string {
  return `INSERT INTO numbers_of SELECT max(sipHash64(number + ${number})) FROM numbers(10000000000000)`;
}

async function isRunning(what: string): Promise<boolean> {
  const rows = await selectRows(
    stores.clickhouse,
    `SELECT 1 FROM system.processes WHERE position(query, {what:String}) > 0 AND position(query, 'system.processes') = 0`,
    { what },
  );
  return rows.length > 0;
}

async function begun(what: string): Promise<void> {
  await expect.poll(async () => await isRunning(what), { timeout: 20_000, interval: 50 }).toBe(true);
}

async function ended(what: string): Promise<void> {
  await expect.poll(async () => await isRunning(what), { timeout: 10_000, interval: 50 }).toBe(false);
}

function connect(url: string, requestTimeoutMs?: number): ClickHouseClient {
  const client = createClickHouse({
    url,
    applicationName: 'trailmark-test',
    ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs }),
  });
  clients.push(client);
  return client;
}

/**
 * A way to the engine on which nothing is heard of a client that has hung up: for an INSERT … SELECT a ClickHouse server is like
 * that. `answer` may answer in its place.
 */
async function wayThatHearsNothing(
  answer: (query: string, response: ServerResponse) => boolean = () => false,
): Promise<{ url: string; sent: URL[] }> {
  const engine = new URL(stores.clickhouseUrl);
  const sent: URL[] = [];
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readText(request);
    const url = new URL(request.url ?? '/', engine.origin);
    url.searchParams.set('the-query', body);
    sent.push(url);
    if (answer(body, response)) return;
    // Not by the client's headers of its connection: it is another one.
    const headers = { authorization: request.headers.authorization };
    const upstream = send(
      { host: engine.hostname, port: engine.port, method: request.method, path: request.url, headers },
      (answered) => {
        response.writeHead(answered.statusCode ?? 500, answered.headers);
        answered.on('error', () => undefined);
        answered.pipe(response);
      },
    );
    upstream.on('error', () => response.destroy());
    upstream.end(body);
  };
  const server = createServer((request, response) => void pass(request, response));
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = new URL(stores.clickhouseUrl);
  url.port = String((server.address() as AddressInfo).port);
  return { url: url.href, sent };
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
  return text;
}

function kills(sent: readonly URL[]): (string | null)[] {
  return sent
    .filter((url) => url.searchParams.get('the-query')?.startsWith('KILL QUERY'))
    .map((url) => url.searchParams.get('param_queryId'));
}

describe('a statement that is aborted', () => {
  test('ends on the server, throws the reason, and has written nothing', async () => {
    const giveUp = new AbortController();
    const running = runStatement(stores.clickhouse, slowInsert(1), {}, { signal: giveUp.signal });
    running.catch(() => undefined);
    await begun('number + 1)');
    const reason = new Error('the task is paused');
    giveUp.abort(reason);
    await expect(running).rejects.toBe(reason);
    await ended('number + 1)');
    expect(await selectRows(stores.clickhouse, 'SELECT n FROM numbers_of')).toEqual([]);
  });

  test('ends also on a server that does not hear of a client that hangs up', async () => {
    const { url, sent } = await wayThatHearsNothing();
    const giveUp = new AbortController();
    const running = runStatement(connect(url), slowInsert(2), {}, { signal: giveUp.signal });
    running.catch(() => undefined);
    await begun('number + 2)');
    giveUp.abort();
    await expect(running).rejects.toThrow('aborted');
    await ended('number + 2)');
    const [statement] = sent;
    expect(kills(sent)).toEqual([statement?.searchParams.get('query_id')]);
  });

  test('before it was sent is not sent', async () => {
    const { url, sent } = await wayThatHearsNothing();
    const reason = new Error('too late');
    const running = runStatement(connect(url), slowInsert(3), {}, { signal: AbortSignal.abort(reason) });
    await expect(running).rejects.toBe(reason);
    expect(sent).toEqual([]);
  });

  test('where the server can’t be reached throws the reason all the same, and soon', async () => {
    const giveUp = new AbortController();
    const { url } = await wayThatHearsNothing(() => true);
    const running = runStatement(connect(url), 'SELECT 1', {}, { signal: giveUp.signal });
    running.catch(() => undefined);
    const abortedAt = performance.now();
    setTimeout(() => giveUp.abort(new Error('enough')), 100);
    await expect(running).rejects.toThrow('enough');
    expect(performance.now() - abortedAt).toBeLessThan(5_000);
  });
});

describe('a query that is aborted', () => {
  test('before its answer begins ends on the server', async () => {
    const { url } = await wayThatHearsNothing();
    const giveUp = new AbortController();
    const query = 'SELECT max(sipHash64(number + 4)) AS n FROM numbers(10000000000000)';
    const running = selectRows(connect(url), query, {}, { signal: giveUp.signal });
    running.catch(() => undefined);
    await begun('number + 4)');
    giveUp.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    await ended('number + 4)');
  });

  test('while its answer is read ends too', async () => {
    const giveUp = new AbortController();
    const query = 'SELECT number + 5 AS n, sleepEachRow(0.01) AS s FROM numbers(100000) SETTINGS max_block_size = 10';
    const running = selectRows(stores.clickhouse, query, {}, { signal: giveUp.signal });
    running.catch(() => undefined);
    await begun('number + 5');
    await new Promise((resolve) => setTimeout(resolve, 500));
    giveUp.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    await ended('number + 5');
  });

  test('is one that the caller can’t mistake for an answer: all of its rows, or none', async () => {
    const rows = await selectRows(
      stores.clickhouse,
      'SELECT number FROM numbers(3)',
      {},
      { signal: new AbortController().signal },
    );
    expect(rows).toHaveLength(3);
  });
});

describe('a statement whose connection was lost', () => {
  test('is ended on the server: nobody waits for it any more', async () => {
    const { url, sent } = await wayThatHearsNothing();
    const running = runStatement(connect(url, 1_000), slowInsert(6));
    running.catch(() => undefined);
    await begun('number + 6)');
    const error: unknown = await running.catch((thrown: unknown) => thrown);
    expect(classifyError(error).code).toBe('clickhouse_unavailable');
    await ended('number + 6)');
    expect(kills(sent)).toHaveLength(1);
  });

  test('is not taken for lost while the server says that it is at work', async () => {
    const client = connect(stores.clickhouseUrl, 900);
    const insert = (n: number): string => `INSERT INTO numbers_of SELECT sleepEachRow(0.5) + ${n} FROM numbers(5)`;
    await expect(client.command({ query: insert(77) })).rejects.toThrow('Timeout');
    await client.command({
      query: insert(7),
      clickhouse_settings: { send_progress_in_http_headers: 1, http_headers_progress_interval_ms: '200' },
    });
    expect(await selectRows(stores.clickhouse, 'SELECT n FROM numbers_of WHERE n > 0')).toEqual(
      Array.from({ length: 5 }, () => ({ n: 7 })),
    );
    const { url, sent } = await wayThatHearsNothing();
    await runStatement(connect(url), 'INSERT INTO numbers_of SELECT 8');
    expect(sent[0]?.searchParams.get('send_progress_in_http_headers')).toBe('1');
  });
});

describe('a limit of time', () => {
  test('is kept by the server, and says so', async () => {
    const running = runStatement(stores.clickhouse, slowInsert(9), {}, { timeoutMs: 6_000 });
    const error: unknown = await running.catch((thrown: unknown) => thrown);
    expect(classifyError(error)).toMatchObject({ code: 'clickhouse_timeout' });
    await ended('number + 9)');
  });

  test('comes from the step, and goes with each of its queries', async () => {
    const { url, sent } = await wayThatHearsNothing();
    const context = { clickhouse: connect(url), timeoutMs: 300_000, signal: new AbortController().signal };
    const computation = { id: 'aud_1', spaceId: 'spa_1', kind: 'audience' as const };
    await computeVersion(
      context,
      {
        computationId: 'aud_1',
        kind: 'audience',
        spaceId: 'spa_1',
        definitionQuery: "event('Visited').count() >= 1",
        asOf: new Date(),
        traits: () => ({ from: 'profile' }),
      },
      1,
    );
    await diffVersions(context, computation, null, 1);
    await freezeChanges(
      context,
      { ...computation, id: 'con_1', spaceId: 'spa_1', computationId: 'aud_1', version: 1 },
      2,
    );
    expect(sent.map((one) => one.searchParams.get('max_execution_time'))).toEqual(sent.map(() => '295'));
    expect(sent).toHaveLength(8);
  });
});

test('a query that someone kills says so to its client', async () => {
  const running = stores.clickhouse.command({ query: slowInsert(10), query_id: 'to-be-killed' });
  running.catch(() => undefined);
  await begun('number + 10)');
  const admin = connect(stores.clickhouseUrl);
  const killed = await admin.query({
    query: 'KILL QUERY WHERE query_id = {queryId:String} ASYNC',
    query_params: { queryId: 'to-be-killed' },
    format: 'JSONEachRow',
  });
  expect(await killed.json()).toEqual([{ kill_status: 'waiting', query_id: 'to-be-killed' }]);
  const error: unknown = await running.catch((thrown: unknown) => thrown);
  expect(classifyError(error).code).toBe('clickhouse_killed');
  const nobody = await admin.query({ query: `KILL QUERY WHERE query_id = 'nobody' ASYNC`, format: 'JSONEachRow' });
  expect(await nobody.json()).toEqual([]);
});

test('a version that was not written is a failure, and not an audience without members', async () => {
  const { url } = await wayThatHearsNothing((query, response) => {
    if (!query.startsWith('INSERT INTO audience_versions')) return false;
    response.end();
    return true;
  });
  const input = {
    computationId: 'aud_2',
    kind: 'audience' as const,
    spaceId: 'spa_1',
    definitionQuery: "event('Visited').count() >= 1",
    asOf: new Date(),
    traits: () => ({ from: 'profile' as const }),
  };
  await expect(computeVersion({ clickhouse: connect(url) }, input, 1)).rejects.toMatchObject({
    code: 'clickhouse_unavailable',
  });
  expect(await computeVersion({ clickhouse: stores.clickhouse }, input, 2)).toBe(0);
});
