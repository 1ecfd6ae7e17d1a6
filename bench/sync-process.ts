import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';
import { createClickHouse, type ClickHouseClient } from '../src/store/index.ts';

// Two of the programs of bench/sync. `receiver`: a tool that takes whatever is posted to it, as cheaply as Node can. `by-hand`: the
// script of a person who needs these messages sent and nothing else.
const [role = '', ...args] = process.argv.slice(2);
if (role === 'receiver') receive();
else sendByHand(args);

export interface Received {
  requests: number;
  bytes: number;
}

/** Reads bodies, counts, answers 200. Any message from the parent is answered with the counts since the one before. */
function receive(): void {
  let seen: Received = { requests: 0, bytes: 0 };
  const server = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => {
      seen.bytes += chunk.length;
    });
    request.on('end', () => {
      seen.requests += 1;
      response.end('ok');
    });
  });
  server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
  process.on('message', () => {
    process.send?.(seen);
    seen = { requests: 0, bytes: 0 };
  });
  process.once('disconnect', () => process.exit(0));
}

export interface ByHandJob {
  /** Of the messages' ids: what the engine's own are made of. */
  connectionId: string;
  extractId: number;
  timestamp: string;
  url: string;
  messagesPerBatch: number;
  version: number;
  computation: { id: string; key: string; name: string; spaceId: string; spaceSlug: string };
}

interface ByHandRow {
  userId: string;
  /** JSON. */
  email: string;
}

const MEMBERS = `
  SELECT people.user_id AS userId, mail.email AS email
  FROM (
    SELECT arrayJoin(bitmapToArray(members)) AS profile FROM audience_versions
    WHERE computation_id = {computation:String} AND version = {version:UInt64}
  ) AS members
  INNER JOIN (
    SELECT profile AS id, argMax(user_id, version) AS user_id FROM profiles WHERE space_id = {space:String} GROUP BY profile
  ) AS people ON people.id = members.profile
  LEFT JOIN (
    SELECT profile AS id, argMax(value, version) AS email FROM profile_traits
    WHERE space_id = {space:String} AND trait = 'email' GROUP BY profile
  ) AS mail ON mail.id = members.profile
  ORDER BY members.profile`;

/** Does each job that the parent sends, and answers with its seconds. */
function sendByHand([clickhouseUrl = '']: string[]): void {
  const clickhouse = createClickHouse({ url: clickhouseUrl, applicationName: 'bench-by-hand' });
  process.on('message', (message) => {
    void (async () => {
      const startedAt = performance.now();
      await sendMembers(clickhouse, message as ByHandJob);
      process.send?.({ seconds: (performance.now() - startedAt) / 1_000 });
    })();
  });
  process.once('disconnect', () => process.exit(0));
  process.send?.({ port: 0 });
}

/** One select, read as a stream, so the next rows come in while a batch is posted; objects, and JSON.stringify for a batch of them. */
async function sendMembers(clickhouse: ClickHouseClient, job: ByHandJob): Promise<void> {
  const { id, key, name, spaceId, spaceSlug } = job.computation;
  const pool = new Pool(new URL(job.url).origin, { connections: 1 });
  const rows = await clickhouse.query({
    query: MEMBERS,
    query_params: { computation: id, version: job.version, space: spaceId },
    format: 'JSONEachRow',
  });
  const personas = {
    computation_class: 'audience',
    computation_id: id,
    computation_key: key,
    namespace: spaceSlug,
    space_id: spaceId,
  };
  let batch: object[] = [];
  const post = async (): Promise<void> => {
    const { statusCode, body } = await pool.request({
      path: '/',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(batch),
    });
    await body.dump();
    if (statusCode !== 200) throw new Error(`the receiver answered ${statusCode}`);
    batch = [];
  };
  let idx = 0;
  for await (const lines of rows.stream<ByHandRow>()) {
    for (const line of lines) {
      const { userId, email } = line.json();
      const traits = { email: JSON.parse(email) as string };
      const common = { timestamp: job.timestamp, context: { personas, traits } };
      const messageId = `${job.connectionId}-ext${job.extractId}-${idx}`;
      batch.push(
        {
          messageId: `${messageId}-track`,
          type: 'track',
          userId,
          event: 'Audience Entered',
          properties: { audience_key: key, audience_name: name, [key]: true },
          ...common,
        },
        { messageId: `${messageId}-identify`, type: 'identify', userId, traits: { ...traits, [key]: true }, ...common },
      );
      idx += 1;
      if (batch.length >= job.messagesPerBatch) await post();
    }
  }
  if (batch.length > 0) await post();
  await pool.close();
}
