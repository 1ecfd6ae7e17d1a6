import { computeVersion, nextVersion } from '../../src/compute/index.ts';
import type { ClickHouseClient } from '../../src/store/index.ts';
import type { TestStores } from '../helpers/engines.ts';
import { addAudience, type World } from '../helpers/world.ts';

/** A computation whose live version is what its definition says now. */
export async function addLive(
  { pool, clickhouse }: Pick<TestStores, 'pool' | 'clickhouse'>,
  world: World,
  query: string,
  options: { key: string; kind?: 'audience' | 'computed_trait' },
): Promise<{ id: string; key: string; liveVersion: number; liveAsOf: Date }> {
  const id = await addAudience(pool, world, query, options);
  const version = await nextVersion(pool);
  const asOf = new Date();
  const size = await computeVersion(
    { clickhouse },
    {
      computationId: id,
      kind: options.kind ?? 'audience',
      spaceId: world.spaceId,
      definitionQuery: query,
      asOf,
      traits: () => ({ from: 'profile' }),
    },
    version,
  );
  await pool.query(
    `update computations set live_version = $2, live_as_of = $3, live_size = $4, live_definition_version = 1 where id = $1`,
    [id, version, asOf, size],
  );
  return { id, key: options.key, liveVersion: version, liveAsOf: asOf };
}

/** How many rows every table has: what must be as it was. */
export async function countEverything({
  pool,
  clickhouse,
}: Pick<TestStores, 'pool' | 'clickhouse'>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const tables = await pool.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'public' and c.relkind in ('r', 'p') order by 1`,
  );
  for (const { name } of tables.rows) {
    const { rows } = await pool.query<{ count: number }>(`select count(*) as count from ${name}`);
    counts[`postgres.${name}`] = rows[0]?.count ?? 0;
  }
  const sequence = await pool.query<{ last_value: number }>('select last_value from version_seq');
  counts['postgres.version_seq'] = sequence.rows[0]?.last_value ?? 0;
  for (const name of await clickhouseTables(clickhouse)) {
    counts[`clickhouse.${name}`] = await clickhouseCount(clickhouse, name);
  }
  return counts;
}

async function clickhouseTables(clickhouse: ClickHouseClient): Promise<string[]> {
  const result = await clickhouse.query({
    query: 'SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name',
    format: 'JSONEachRow',
  });
  return (await result.json<{ name: string }>()).map(({ name }) => name);
}

async function clickhouseCount(clickhouse: ClickHouseClient, name: string): Promise<number> {
  const result = await clickhouse.query({ query: `SELECT count() AS count FROM ${name}`, format: 'JSONEachRow' });
  const [row] = await result.json<{ count: number }>();
  return row?.count ?? 0;
}
