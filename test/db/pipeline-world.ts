import { createSpace, createWorkspace } from '../../src/access/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import {
  appendEvents,
  connectSource,
  createLoader,
  createSource,
  parseTrackingBody,
  readBatch,
  type Loader,
  type LoaderOptions,
  type LogEntry,
  type LogRequest,
} from '../../src/pipeline/index.ts';
import { createLogger } from '../../src/logger.ts';
import { createSecretBox, hashToken } from '../../src/security/index.ts';
import { inTransaction, type ClickHouseClient, type PostgresPool } from '../../src/store/index.ts';

export const secretBox = createSecretBox('a secret for tests, of more than 32 characters');
export const silent = createLogger({ level: 'silent', program: 'test' });

export interface PipelineWorld {
  workspaceId: string;
  spaceId: string;
  sourceId: string;
  writeKey: string;
}

let worlds = 0;

/** A workspace with one space and one source that is connected to it. */
export async function createPipelineWorld(pool: PostgresPool): Promise<PipelineWorld> {
  const slug = `pipeline-${++worlds}-${Date.now().toString(36)}`;
  return await inTransaction(pool, async (tx) => {
    const actor = SYSTEM_ACTOR;
    const { id: workspaceId } = await createWorkspace(tx, { slug, name: slug, plan: 'business', actor });
    const { id: spaceId } = await createSpace(tx, { workspaceId, slug: 'main', name: 'Main', actor });
    const { source, writeKey } = await createSource(tx, secretBox, { workspaceId, slug: 'web', name: 'Web', actor });
    await connectSource(tx, { workspaceId, spaceId, sourceId: source.id, actor });
    return { workspaceId, spaceId, sourceId: source.id, writeKey: writeKey.writeKey ?? '' };
  });
}

/** A further space that the world's source is connected to. */
export async function addSpace(pool: PostgresPool, world: PipelineWorld): Promise<string> {
  const slug = `space-${++worlds}`;
  return await inTransaction(pool, async (tx) => {
    const common = { workspaceId: world.workspaceId, actor: SYSTEM_ACTOR };
    const { id: spaceId } = await createSpace(tx, { ...common, slug, name: slug });
    await connectSource(tx, { ...common, spaceId, sourceId: world.sourceId });
    return spaceId;
  });
}

/** Sends messages through all of ingest but HTTP, and waits until a loader may read them. Throws when one is refused. */
export async function send(
  pool: PostgresPool,
  world: PipelineWorld,
  messages: Record<string, unknown>[],
  receivedAtMs = Date.now(),
): Promise<number> {
  const appended = await append(pool, world, messages, receivedAtMs);
  await untilReadable(pool);
  return appended;
}

/** Sends messages, which other transactions may still hold back. */
export async function append(
  pool: PostgresPool,
  world: PipelineWorld,
  messages: Record<string, unknown>[],
  receivedAtMs = Date.now(),
): Promise<number> {
  const { accepted, refused } = readBatch(parseTrackingBody(JSON.stringify({ batch: messages })), receivedAtMs);
  if (refused.length > 0) throw new Error(JSON.stringify(refused));
  return (await appendEvents(pool, [requestOf(world, accepted)])).events;
}

/** What came in by the world's source under its write key. */
export function requestOf(
  { workspaceId, sourceId, writeKey }: PipelineWorld,
  accepted: Omit<LogEntry, 'workspaceId' | 'sourceId'>[],
): LogRequest {
  return { keyHash: hashToken(writeKey), entries: accepted.map((event) => ({ ...event, workspaceId, sourceId })) };
}

/** A transaction of another test, in another database of the same server, holds the log back until it ends. */
async function untilReadable(pool: PostgresPool): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const held = await pool.query('select from event_log where xid >= pg_snapshot_xmin(pg_current_snapshot()) limit 1');
    if (held.rowCount === 0) return;
    if (Date.now() > deadline) throw new Error('a transaction was left open on the server');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function testLoader(
  stores: { pool: PostgresPool; clickhouse: ClickHouseClient },
  options: LoaderOptions = {},
): Loader {
  return createLoader(
    { pool: stores.pool, clickhouse: stores.clickhouse, logger: silent },
    { leaseMs: 1_000, ...options },
  );
}

/** Loads until nothing is left; other databases of the server may hold the log back for a moment. */
export async function loadAll(pool: PostgresPool, loader: Loader): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    await loader.loadOnce();
    const { rowCount } = await pool.query(
      `select from event_log l left join consumers c on c.name = 'clickhouse'
       where c.name is null or (l.xid, l.position) > (c.last_xid, c.last_position) limit 1`,
    );
    if (rowCount === 0) return;
    if (Date.now() > deadline) throw new Error('the event log was not loaded in time');
  }
}
