import { createSpace, createWorkspace } from '../src/access/index.ts';
import { SYSTEM_ACTOR } from '../src/audit/index.ts';
import { connectSource, createSource } from '../src/pipeline/index.ts';
import { createSecretBox } from '../src/security/index.ts';
import { inTransaction, type ClickHouseClient, type PostgresPool } from '../src/store/index.ts';

/** Puts so many people into a space, numbered from 1, each with a user id and an e-mail address. */
export async function insertPeople(clickhouse: ClickHouseClient, space: string, people: number): Promise<void> {
  const params = { query_params: { space, people } };
  await clickhouse.command({
    query: `INSERT INTO profiles SELECT {space:String}, number + 1, concat('user-', toString(number)), '', 0, 1
            FROM numbers({people:UInt32})`,
    ...params,
  });
  await clickhouse.command({
    query: `INSERT INTO profile_traits SELECT {space:String}, 'email', number + 1,
              concat('"user-', toString(number), '@example.com"'), now64(3), 1
            FROM numbers({people:UInt32})`,
    ...params,
  });
}

/** Writes a version of an audience: the first so many people; where `without` is given, every so many-th of them is out of it. */
export async function insertAudienceVersion(
  clickhouse: ClickHouseClient,
  input: { computation: string; version: number; people: number; without?: number },
): Promise<void> {
  const { without = 0 } = input;
  await clickhouse.command({
    query: `INSERT INTO audience_versions (computation_id, version, members)
            SELECT {computation:String}, {version:UInt64}, groupBitmapState(toUInt32(number + 1))
            FROM numbers({people:UInt32}) WHERE NOT (${without === 0 ? '0' : 'number % {without:UInt32} = 7'})`,
    query_params: { ...input, without },
  });
}

/** Makes a workspace with a space and a source that is connected to it. Gives the source's write key. */
export async function insertSource(pool: PostgresPool, secret: string): Promise<string> {
  return await inTransaction(pool, async (tx) => {
    const actor = SYSTEM_ACTOR;
    const workspace = await createWorkspace(tx, { slug: 'bench', name: 'Bench', plan: 'business', actor });
    const common = { workspaceId: workspace.id, actor };
    const space = await createSpace(tx, { ...common, slug: 'main', name: 'Main' });
    const { source, writeKey } = await createSource(tx, createSecretBox(secret), {
      ...common,
      slug: 'web',
      name: 'Web',
    });
    await connectSource(tx, { ...common, spaceId: space.id, sourceId: source.id });
    return writeKey.writeKey ?? '';
  });
}
