import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { waitUntilLoaded } from '../src/pipeline/index.ts';
import { selectRows, type ClickHouseClient } from '../src/store/index.ts';
import { startBenchEngines, type BenchEngines } from './engines.ts';
import { median, type Figure } from './figure.ts';
import { insertSource } from './fill.ts';

const RUNS = 3;
const BATCHES = 400;
const BATCH_SIZE = 100;
const CONNECTIONS = 8;
const PEOPLE = 20_000;
const EVENTS = BATCHES * BATCH_SIZE;

/**
 * Events per second from the first request to /v1/batch until all of them are in ClickHouse, with identity resolved.
 * The reference is what one would write by hand for the same guarantee and no more: a row in PostgreSQL that a messageId
 * makes unique, then ClickHouse by offset and token; no HTTP, no checks, no profiles.
 */
export async function ingest(): Promise<Figure> {
  const engines = await startBenchEngines();
  try {
    const { ours, reference } = await measure(engines);
    return {
      name: 'ingest',
      unit: 'events/s',
      ours: median(ours),
      reference: median(reference),
      ratio: median(ours) / median(reference),
      runs: RUNS,
      notes: { events: EVENTS, 'events a batch': BATCH_SIZE, connections: CONNECTIONS },
    };
  } finally {
    await engines.stop();
  }
}

async function measure(engines: BenchEngines): Promise<{ ours: number[]; reference: number[] }> {
  const writeKey = await insertSource(engines.pool, randomUUID());
  const children: ChildProcess[] = [];
  const ours: number[] = [];
  const reference: number[] = [];
  try {
    const port = await startChild(children, 'api', engines);
    await startChild(children, 'loader', engines);
    // The first round warms both up and does not count.
    for (let round = 0; round <= RUNS; round += 1) {
      const one = await timeOurs(engines, port, writeKey);
      const other = await timeReference(engines);
      if (round === 0) continue;
      ours.push(one);
      reference.push(other);
    }
  } finally {
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || !child.connected) return;
        child.disconnect();
        await new Promise((resolve) => child.once('exit', resolve));
      }),
    );
  }
  return { ours, reference };
}

async function timeOurs(engines: BenchEngines, port: number, writeKey: string): Promise<number> {
  const bodies = makeBatches().map((batch) => JSON.stringify({ batch, writeKey, sentAt: new Date().toISOString() }));
  const before = await countEvents(engines.clickhouse);
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const startedAt = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (next < bodies.length) {
        const body = bodies[next] ?? '';
        next += 1;
        await post(agent, port, body);
      }
    }),
  );
  if (!(await waitUntilLoaded(engines.pool, 120_000))) throw new Error('the loader did not keep up');
  const seconds = (performance.now() - startedAt) / 1000;
  agent.destroy();
  const loaded = (await countEvents(engines.clickhouse)) - before;
  if (loaded !== EVENTS) throw new Error(`${EVENTS} events were sent, and ${loaded} are in ClickHouse`);
  return EVENTS / seconds;
}

async function post(agent: Agent, port: number, body: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const sent = request(
      {
        agent,
        port,
        host: '127.0.0.1',
        path: '/v1/batch',
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          if (text === '{"success":true}') resolve();
          else reject(new Error(`${response.statusCode}: ${text}`));
        });
      },
    );
    sent.once('error', reject);
    sent.end(body);
  });
}

async function timeReference({ pool, clickhouse }: BenchEngines): Promise<number> {
  await pool.query(
    'create table if not exists by_hand (id bigint generated always as identity primary key, message_id text unique, event json)',
  );
  await clickhouse.command({
    query: `CREATE TABLE IF NOT EXISTS by_hand (user_id String, event LowCardinality(String), timestamp DateTime64(3, 'UTC'), message_id String, properties String)
            ENGINE = MergeTree ORDER BY (event, user_id, timestamp) SETTINGS non_replicated_deduplication_window = 10000`,
  });
  const batches = makeBatches().map((batch) => batch.map((event) => [event.messageId, JSON.stringify(event)] as const));
  const from = await pool.query<{ last: number }>('select coalesce(max(id), 0) as last from by_hand');
  const startedAt = performance.now();
  for (let at = 0; at < batches.length; at += 10) {
    const rows = batches.slice(at, at + 10).flat();
    await pool.query(
      'insert into by_hand (message_id, event) select * from unnest($1::text[], $2::json[]) on conflict do nothing',
      [rows.map(([id]) => id), rows.map(([, event]) => event)],
    );
  }
  let last = from.rows[0]?.last ?? 0;
  for (;;) {
    const { rows } = await pool.query<{ id: number; event: BenchEvent }>(
      'select id, event from by_hand where id > $1 order by id limit 10000',
      [last],
    );
    const end = rows.at(-1)?.id;
    if (end === undefined) break;
    await clickhouse.insert({
      table: 'by_hand',
      values: rows.map(({ event }) => [
        event.userId,
        event.event,
        event.timestamp,
        event.messageId,
        JSON.stringify(event.properties),
      ]),
      format: 'JSONCompactEachRow',
      clickhouse_settings: { insert_deduplication_token: `by_hand ${last}..${end}` },
    });
    last = end;
  }
  return EVENTS / ((performance.now() - startedAt) / 1000);
}

interface BenchEvent {
  type: 'track' | 'identify';
  messageId: string;
  userId: string;
  anonymousId: string;
  event: string;
  timestamp: string;
  properties: Record<string, unknown>;
  traits?: Record<string, unknown>;
  context: Record<string, unknown>;
}

/** What a shop's server sends: about 500 bytes an event, one in ten an identify. */
function makeBatches(): BenchEvent[][] {
  return Array.from({ length: BATCHES }, () =>
    Array.from({ length: BATCH_SIZE }, (_, at): BenchEvent => {
      const person = Math.floor(Math.random() * PEOPLE);
      return {
        type: at % 10 === 0 ? 'identify' : 'track',
        messageId: `node-next-${Date.now()}-${randomUUID()}`,
        userId: `user-${person}`,
        anonymousId: `anonymous-${person}`,
        event: at % 3 === 0 ? 'Product Viewed' : 'Order Completed',
        timestamp: new Date().toISOString(),
        properties: {
          orderId: randomUUID(),
          total: person / 7,
          currency: 'EUR',
          products: [{ sku: 'a-1', price: 12.5 }],
        },
        ...(at % 10 === 0 ? { traits: { email: `user-${person}@example.com`, plan: 'pro', logins: person } } : {}),
        context: { library: { name: '@segment/analytics-node', version: '3.1.0' } },
      };
    }),
  );
}

async function startChild(children: ChildProcess[], role: 'api' | 'loader', engines: BenchEngines): Promise<number> {
  const source = fileURLToPath(new URL('./ingest-process.ts', import.meta.url));
  const file = import.meta.url.endsWith('.ts') ? source : source.replace(/\.ts$/, '.js');
  const child = fork(file, [role, engines.databaseUrl, engines.clickhouseUrl]);
  children.push(child);
  const { port } = await new Promise<{ port: number }>((resolve, reject) => {
    child.once('message', (message) => resolve(message as { port: number }));
    child.once('exit', (code) => reject(new Error(`the ${role} ended with ${code}`)));
  });
  return port;
}

async function countEvents(clickhouse: ClickHouseClient): Promise<number> {
  const [row] = await selectRows<{ count: number }>(clickhouse, 'SELECT count() AS count FROM events');
  return row?.count ?? 0;
}
