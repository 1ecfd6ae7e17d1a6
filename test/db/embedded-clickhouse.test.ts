import { ClickHouseLogLevel, createClient, type ClickHouseClient } from '@clickhouse/client';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startClickHouse, type RunningClickHouse } from '../../src/embedded/index.ts';
import { addressOf } from '../helpers/engines.ts';

let url: string;
let client: ClickHouseClient;
const database = `embedded_${randomUUID().replaceAll('-', '')}`;

beforeAll(async () => {
  const server = await addressOf('clickhouse');
  const admin = connect(server);
  await admin.command({ query: `CREATE DATABASE ${database}` });
  await admin.close();
  const address = new URL(server);
  address.pathname = database;
  url = address.href;
  client = connect(url, { max_open_connections: 50 });
});

afterAll(async () => {
  await client.command({ query: `DROP DATABASE ${database} SYNC` });
  await client.close();
});

function connect(to: string, options: Parameters<typeof createClient>[0] = {}): ClickHouseClient {
  return createClient({ ...options, url: to, log: { level: ClickHouseLogLevel.OFF } });
}

async function rows<Row>(query: string, params: Record<string, unknown> = {}): Promise<Row[]> {
  const result = await client.query({ query, query_params: params, format: 'JSONEachRow' });
  return await result.json<Row>();
}

async function makeTable(name: string): Promise<void> {
  await client.command({
    query: `CREATE TABLE ${name} (a UInt32, b String) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100`,
  });
}

const countOf = async (table: string): Promise<number> => {
  const [row] = await rows<{ n: number }>(`SELECT toUInt32(count()) AS n FROM ${table}`);
  return row?.n ?? -1;
};

describe('queries', () => {
  test.each([
    ['quotes', `it's "so"`],
    ['backslashes', 'a\\b\\\\n\\N'],
    ['control characters', 'tab\tline\nreturn\r'],
    ['other scripts', 'čeština 日本 🙂'],
    ['what looks like SQL', `'); DROP TABLE x; --`],
    ['braces', '{a:String}'],
    ['nothing', ''],
  ])('a string parameter keeps %s', async (_name, text) => {
    expect(await rows('SELECT {text:String} AS text', { text })).toEqual([{ text }]);
  });

  test('parameters of other types', async () => {
    const params = { list: [`a'b`, 'c\\d', 'e\tf'], none: null, big: 4_294_967_295, when: new Date(1_700_000_000_000) };
    const query =
      'SELECT {list:Array(String)} AS list, {none:Nullable(String)} AS none, {big:UInt32} AS big, {when:DateTime} AS at';
    expect(await rows(query, params)).toEqual([
      { list: params.list, none: null, big: params.big, at: '2023-11-14 22:13:20' },
    ]);
  });

  test('a parameter that is not given is an error, whatever other queries gave', async () => {
    await rows('SELECT {other:String} AS x', { other: 'x' });
    await expect(rows('SELECT {other:String} AS x')).rejects.toMatchObject({ code: '456' });
  });

  test('parameters in a multipart body', async () => {
    const result = await client.query({
      query: 'SELECT {text:String} AS text',
      query_params: { text: 'x'.repeat(100_000) },
      use_multipart_params: true,
      format: 'JSONEachRow',
    });
    expect(await result.json()).toEqual([{ text: 'x'.repeat(100_000) }]);
  });

  test('settings hold for their query alone', async () => {
    const read = `SELECT getSetting('max_block_size') AS size`;
    const result = await client.query({
      query: read,
      clickhouse_settings: { max_block_size: '777' },
      format: 'JSONEachRow',
    });
    expect(await result.json()).toEqual([{ size: 777 }]);
    expect(await rows(read)).not.toEqual([{ size: 777 }]);
  });

  test('errors carry their code and name', async () => {
    await expect(rows('SELEC 1')).rejects.toMatchObject({ code: '62', type: 'SYNTAX_ERROR' });
    await expect(rows('SELECT * FROM nowhere')).rejects.toMatchObject({ code: '60', type: 'UNKNOWN_TABLE' });
    await expect(client.command({ query: 'DROP TABLE nowhere' })).rejects.toMatchObject({ code: '60' });
    await expect(client.query({ query: 'SELECT 1', clickhouse_settings: { nonsense: 1 } })).rejects.toMatchObject({
      code: '115',
      type: 'UNKNOWN_SETTING',
    });
  });

  test('an answer that breaks off after its first rows is an error for the reader', async () => {
    const result = await client.query({
      query:
        'SELECT throwIf(number = 900000) AS x FROM numbers(1000000) SETTINGS max_threads = 1, max_block_size = 1000',
      format: 'JSONEachRow',
    });
    const reading = async (): Promise<void> => {
      for await (const piece of result.stream()) void piece;
    };
    await expect(reading()).rejects.toThrow();
  });

  test('a million rows arrive whole, in pieces and as one document', async () => {
    const query = 'SELECT number AS n FROM numbers(1000000)';
    let count = 0;
    const result = await client.query({ query, format: 'JSONEachRow' });
    for await (const piece of result.stream()) count += piece.length;
    expect(count).toBe(1_000_000);
    const whole = await client.query({ query: 'SELECT number AS n FROM numbers(200000)', format: 'JSON' });
    expect((await whole.json<{ n: string }>()).data).toHaveLength(200_000);
    const csv = await client.query({ query: 'SELECT number AS n FROM numbers(200000)', format: 'CSVWithNames' });
    expect((await csv.text()).match(/n/g)).toHaveLength(1);
  });

  test('statements that are not selects answer too', async () => {
    await makeTable('described');
    expect(await rows<{ name: string }>('DESCRIBE TABLE described')).toMatchObject([{ name: 'a' }, { name: 'b' }]);
    expect(await rows<{ name: string }>('SHOW TABLES')).toContainEqual({ name: 'described' });
  });

  test('answers are compressed where the client asks', async () => {
    const compressed = connect(url, { compression: { response: true, request: true } });
    const result = await compressed.query({ query: 'SELECT number AS n FROM numbers(1000)', format: 'JSONEachRow' });
    expect(await result.json()).toHaveLength(1000);
    await makeTable('compressed');
    await compressed.insert({ table: 'compressed', values: [{ a: 1, b: 'x' }], format: 'JSONEachRow' });
    expect(await countOf('compressed')).toBe(1);
    await compressed.close();
  });

  test('forty at once, none of which gets what another asked for', async () => {
    const asked = Array.from({ length: 40 }, (_, i) => `value ${i}`);
    const answers = await Promise.all(
      asked.map(
        async (text) =>
          await rows<{ text: string; slept: number }>('SELECT {text:String} AS text, sleep(0.05) AS slept', { text }),
      ),
    );
    expect(answers.map((answer) => answer[0]?.text)).toEqual(asked);
  });
});

describe('limits', () => {
  test('a query that is given up is stopped', async () => {
    const giveUp = new AbortController();
    const running = client.query({
      query: 'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) % 7 = 0',
      abort_signal: giveUp.signal,
      format: 'JSONEachRow',
    });
    const isRunning = async (): Promise<boolean> =>
      (
        await rows(
          `SELECT 1 FROM system.processes WHERE query LIKE '%sipHash64(number) \\% 7%' AND query NOT LIKE '%processes%'`,
        )
      ).length > 0;
    await expect.poll(isRunning, { timeout: 10_000 }).toBe(true);
    giveUp.abort();
    await expect(running).rejects.toThrow();
    await expect.poll(isRunning, { timeout: 10_000 }).toBe(false);
  });

  test('a query that eats its memory ends, the server does not', async () => {
    await expect(rows('SELECT groupArray(number) AS x FROM numbers(10000000000)')).rejects.toMatchObject({
      code: '241',
    });
    expect(await rows('SELECT 1 AS x')).toEqual([{ x: 1 }]);
  });

  test('a wrong password is refused, a ping needs none', async () => {
    const stranger = new URL(url);
    stranger.password = 'wrong';
    const other = connect(stranger.href);
    expect(await other.ping()).toMatchObject({ success: true });
    await expect(other.query({ query: 'SELECT 1' })).rejects.toMatchObject({ code: '516' });
    await other.close();
  });
});

describe('inserts', () => {
  test('a batch with the same token twice is there once', async () => {
    await makeTable('deduplicated');
    const values = Array.from({ length: 1000 }, (_, a) => ({ a, b: `row "${a}"\n` }));
    for (const token of ['one', 'one', 'two']) {
      await client.insert({
        table: 'deduplicated',
        values,
        format: 'JSONEachRow',
        clickhouse_settings: { insert_deduplication_token: token },
      });
    }
    expect(await countOf('deduplicated')).toBe(2000);
    for (const token of ['three', 'three']) {
      await client.command({
        query: `INSERT INTO deduplicated SELECT number, '' FROM numbers(10)`,
        clickhouse_settings: { insert_deduplication_token: token },
      });
    }
    expect(await countOf('deduplicated')).toBe(2010);
  });

  test('a stream of rows, larger than a block of the engine', async () => {
    await makeTable('streamed');
    const values = Readable.from(
      (function* () {
        for (let a = 0; a < 300_000; a++) yield { a, b: `row ${a}` };
      })(),
    );
    const { summary } = await client.insert({ table: 'streamed', values, format: 'JSONEachRow', columns: ['a', 'b'] });
    expect(Number(summary?.written_rows)).toBe(300_000);
    expect(await countOf('streamed')).toBe(300_000);
  });

  test('other text formats, quoted names, and a body with the whole statement', async () => {
    await client.command({
      query: 'CREATE TABLE `odd-name` (`a b` UInt32, c String) ENGINE = MergeTree ORDER BY `a b`',
    });
    await client.insert({
      table: '`odd-name`',
      columns: ['`a b`', 'c'],
      values: [[1, 'x']],
      format: 'JSONCompactEachRow',
    });
    await client.insert({
      table: '`odd-name`',
      values: Readable.from(['2,"y,z"\n'], { objectMode: false }),
      format: 'CSV',
    });
    await client.command({ query: "INSERT INTO `odd-name` VALUES (3, 'v'), (4, 'w')" });
    expect(await rows('SELECT * FROM `odd-name` ORDER BY `a b`')).toEqual([
      { 'a b': 1, c: 'x' },
      { 'a b': 2, c: 'y,z' },
      { 'a b': 3, c: 'v' },
      { 'a b': 4, c: 'w' },
    ]);
  });

  test('one bad row and none is there', async () => {
    await makeTable('whole');
    const values = [...Array.from({ length: 5000 }, (_, a) => ({ a, b: '' })), { a: 'not a number', b: '' }];
    await expect(client.insert({ table: 'whole', values, format: 'JSONEachRow' })).rejects.toMatchObject({
      code: '27',
    });
    expect(await countOf('whole')).toBe(0);
  });

  test('a body that breaks off leaves nothing', async () => {
    await makeTable('broken');
    const stop = new Error('the source broke');
    const values = Readable.from(
      (async function* () {
        yield { a: 1, b: 'x' };
        await sleep(50);
        throw stop;
      })(),
    );
    await expect(client.insert({ table: 'broken', values, format: 'JSONEachRow' })).rejects.toThrow();
    await sleep(200);
    expect(await countOf('broken')).toBe(0);
  });

  test('a bitmap state goes in, and comes out by its numbers', async () => {
    await client.command({
      query:
        'CREATE TABLE bitmaps (id UInt32, members AggregateFunction(groupBitmap, UInt32)) ENGINE = MergeTree ORDER BY id',
    });
    await client.command({
      query: 'INSERT INTO bitmaps SELECT 1, groupBitmapState(toUInt32(number * 2)) FROM numbers(100000)',
    });
    await client.command({
      query: 'INSERT INTO bitmaps SELECT 2, groupBitmapState(toUInt32(number * 3)) FROM numbers(100000)',
    });
    const [row] = await rows<{ both: number; first: number[] }>(
      `WITH (SELECT members FROM bitmaps WHERE id = 1) AS one, (SELECT members FROM bitmaps WHERE id = 2) AS two
       SELECT toUInt32(bitmapAndCardinality(one, two)) AS both, bitmapToArray(bitmapSubsetLimit(bitmapAnd(one, two), 0, 3)) AS first`,
    );
    expect(row).toEqual({ both: 33_334, first: [0, 6, 12] });
  });

  test('a gzip body that is none is refused', async () => {
    await makeTable('gzipped');
    const address = new URL(url);
    const send = async (body: Uint8Array): Promise<Response> =>
      await fetch(`${address.origin}/?database=${database}&query=INSERT+INTO+gzipped+FORMAT+JSONEachRow`, {
        method: 'POST',
        body,
        headers: {
          'content-encoding': 'gzip',
          'x-clickhouse-user': address.username,
          'x-clickhouse-key': decodeURIComponent(address.password),
        },
      });
    expect((await send(gzipSync('{"a":1,"b":"x"}\n'))).status).toBe(200);
    const refused = await send(Buffer.from('not gzip'));
    expect(refused.status).toBe(400);
    expect(refused.headers.get('x-clickhouse-exception-code')).toBe('354');
    expect(await countOf('gzipped')).toBe(1);
  });
});

describe('kill -9', () => {
  test('in the middle of inserts loses nothing that was acknowledged, and doubles nothing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'trailmark-kill-'));
    const start = async (): Promise<RunningClickHouse> =>
      await startClickHouse({
        folder: join(folder, 'clickhouse'),
        password: 'secret',
        port: undefined,
        logFile: join(folder, 'clickhouse.log'),
        memoryLimitMb: 1_024,
        durable: true,
        env: process.env,
      });
    const acknowledged = new Set<number>();
    let batch = 0;
    let server = await start();
    let own = connect(server.clickhouseUrl);
    await own.command({
      query: `CREATE TABLE batches (batch UInt32, row UInt32) ENGINE = MergeTree ORDER BY (batch, row)
              SETTINGS non_replicated_deduplication_window = 1000`,
    });
    try {
      for (let round = 0; round < 3; round++) {
        const { pid } = server;
        setTimeout(() => process.kill(pid, 'SIGKILL'), 300 + round * 170);
        for (;;) {
          try {
            await own.insert({
              table: 'batches',
              values: Array.from({ length: 500 }, (_, row) => ({ batch, row })),
              format: 'JSONEachRow',
              clickhouse_settings: { insert_deduplication_token: `batch ${batch}` },
            });
          } catch {
            break;
          }
          acknowledged.add(batch++);
        }
        await server.exited;
        await own.close();
        server = await start();
        own = connect(server.clickhouseUrl);
      }
      // The batch that was cut off is sent again, and is there once.
      for (const token of [batch, batch]) {
        await own.insert({
          table: 'batches',
          values: Array.from({ length: 500 }, (_, row) => ({ batch: token, row })),
          format: 'JSONEachRow',
          clickhouse_settings: { insert_deduplication_token: `batch ${token}` },
        });
      }
      acknowledged.add(batch);
      const result = await own.query({
        query: 'SELECT batch, toUInt32(count()) AS n FROM batches GROUP BY batch ORDER BY batch',
        format: 'JSONEachRow',
      });
      const found = await result.json<{ batch: number; n: number }>();
      expect(found).toEqual([...acknowledged].map((number) => ({ batch: number, n: 500 })));
      expect(acknowledged.size).toBeGreaterThan(3);
    } finally {
      await own.close();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
