import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres } from '../../src/embedded/index.ts';
import { applyRestore, findRestore, planRestore } from '../../src/pipeline/index.ts';
import { createPool, migratePostgres, selectRows, type PostgresPool } from '../../src/store/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { append, createPipelineWorld, loadAll, send, testLoader, type PipelineWorld } from './pipeline-world.ts';

let stores: TestStores;
let world: PipelineWorld;
let scratch: string;
const clusters: { server: Awaited<ReturnType<typeof startPostgres>>; pool: PostgresPool }[] = [];
beforeAll(async () => {
  stores = await createTestStores();
  scratch = await mkdtemp(join(tmpdir(), 'trailmark-restore-'));
  await chmod(scratch, 0o711);
});
afterAll(async () => {
  for (const { server, pool } of clusters) {
    await pool.end();
    await server.stop();
  }
  await rm(scratch, { recursive: true, force: true });
  await stores.close();
});

/** A cluster of its own, whose transactions begin anew. */
async function freshCluster(): Promise<PostgresPool> {
  const name = `cluster-${clusters.length}`;
  const server = await startPostgres({
    folder: join(scratch, name),
    password: 'secret',
    logFile: join(scratch, `${name}.log`),
    durable: false,
  });
  const pool = createPool({ connectionString: server.databaseUrl, applicationName: 'test', onError: () => undefined });
  clusters.push({ server, pool });
  await migratePostgres(pool);
  return pool;
}

/** What pg_dump and psql do: each table's rows as they are, identities where they were. */
async function restoreInto(pool: PostgresPool): Promise<void> {
  const { rows: tables } = await stores.pool.query<{ name: string }>(
    `select tablename as name from pg_tables where schemaname = 'public' and tablename != 'schema_migrations'`,
  );
  const client = await pool.connect();
  try {
    await client.query('begin; set session_replication_role = replica');
    for (const { name } of tables) {
      const { rows } = await stores.pool.query<{ row: string }>(`select row_to_json(t)::text as row from ${name} t`);
      await client.query(`delete from ${name}`);
      await client.query(
        `insert into ${name} overriding system value select * from json_populate_recordset(null::${name}, $1::text::json)`,
        [`[${rows.map(({ row }) => row).join(',')}]`],
      );
    }
    await client.query(
      `select setval(pg_get_serial_sequence('event_log', 'position'), (select greatest(max(position), 1) from event_log))`,
    );
    await client.query('commit');
  } finally {
    client.release(true);
  }
}

const tracks = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => ({
    type: (from + n) % 5 === 0 ? 'identify' : 'track',
    event: 'Seen',
    messageId: `t${String(from + n).padStart(3, '0')}`,
    userId: `u${(from + n) % 7}`,
    traits: { n: from + n },
  }));
const idsOf = (messages: { messageId: string }[]) => messages.map(({ messageId }) => messageId);

async function loadedIds(): Promise<string[]> {
  const rows = await selectRows<{ id: string }>(
    stores.clickhouse,
    'SELECT message_id AS id FROM events WHERE space_id = {space:String} ORDER BY id',
    { space: world.spaceId },
  );
  return rows.map(({ id }) => id);
}

async function expectSameProfiles(pool: PostgresPool): Promise<void> {
  const copy = await selectRows(
    stores.clickhouse,
    'SELECT profile, user_id, merged_into FROM profiles FINAL WHERE space_id = {space:String} ORDER BY profile',
    { space: world.spaceId },
  );
  const truth = await pool.query(
    `select profile, coalesce(user_id, '') as user_id, coalesce(merged_into, 0) as merged_into from profiles
     where space_id = $1 order by profile`,
    [world.spaceId],
  );
  expect(copy).toEqual(truth.rows);
}

test('a dump in a cluster with lower transactions is noticed, and after restore --apply each event is loaded once', async () => {
  // Many transactions, so that the fresh cluster is far behind.
  await stores.pool.query('do $$ begin for n in 1..20000 loop perform pg_current_xact_id(); commit; end loop; end $$');
  world = await createPipelineWorld(stores.pool);
  const load = async (pool: PostgresPool) => {
    await loadAll(pool, testLoader({ pool, clickhouse: stores.clickhouse }, { leaseMs: 0 }));
  };
  await send(stores.pool, world, tracks(0, 40));
  await load(stores.pool);
  await send(stores.pool, world, tracks(40, 20));
  const restored = await freshCluster();
  await restoreInto(restored);
  // The old server went on for a while: what it loaded, ClickHouse has, and the dump has not loaded or does not know.
  await send(stores.pool, world, [...tracks(60, 10), { type: 'identify', messageId: 'lost', userId: 'somebody-new' }]);
  await load(stores.pool);

  expect(await findRestore(restored)).toContain('trailmark restore');
  const loader = testLoader({ pool: restored, clickhouse: stores.clickhouse }, { leaseMs: 0 });
  await expect(loader.loadOnce()).rejects.toThrow('restore');
  // Acknowledged after the restore, before anyone looked.
  await append(restored, world, tracks(100, 10));
  expect(await planRestore(restored, stores.clickhouse)).toMatchObject({ needed: true, logged: 70, beyond: 31 });
  // What is said changes nothing, and stays true when the server's transactions have caught up.
  await restored.query('do $$ begin for n in 1..25000 loop perform pg_current_xact_id(); commit; end loop; end $$');
  expect(await findRestore(restored)).toContain('trailmark restore');

  await applyRestore(restored, stores.clickhouse);
  expect(await findRestore(restored)).toBeUndefined();
  expect(await planRestore(restored, stores.clickhouse)).toMatchObject({ needed: false, waiting: 30, beyond: 0 });
  await append(restored, world, tracks(110, 5));
  await load(restored);
  expect(await loadedIds()).toEqual(idsOf([...tracks(0, 60), ...tracks(100, 15)]));
  await expectSameProfiles(restored);
  // A message that the log has from before is still refused a second time.
  expect(await append(restored, world, tracks(0, 5))).toBe(0);

  // Once more changes nothing.
  await applyRestore(restored, stores.clickhouse);
  await load(restored);
  expect(await loadedIds()).toHaveLength(75);
}, 180_000);
