import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { createSpace } from '../../src/access/index.ts';
import {
  connectSource,
  createSource,
  createWriteKey,
  createWriteKeyResolver,
  deleteSource,
  disconnectSource,
  listSources,
  listSourceSpaces,
  listSpaceSources,
  listWriteKeys,
  revokeWriteKey,
  updateSource,
} from '../../src/pipeline/index.ts';
import { hashToken } from '../../src/security/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { createPipelineWorld, secretBox, type PipelineWorld } from './pipeline-world.ts';

let db: TestPool;
let world: PipelineWorld;
let stranger: PipelineWorld;
beforeAll(async () => {
  db = await createTestPool();
  world = await createPipelineWorld(db.pool);
  stranger = await createPipelineWorld(db.pool);
});
afterAll(async () => await db.close());

const actor = SYSTEM_ACTOR;

async function trailOf(resourceId: string) {
  const { rows } = await db.pool.query<{ type: string; before: unknown; after: unknown }>(
    'select type, before, after from audit_events where resource_id = $1 order by occurred_at',
    [resourceId],
  );
  return rows;
}

async function addSource(slug: string) {
  return await inTransaction(db.pool, async (tx) =>
    createSource(tx, secretBox, { workspaceId: world.workspaceId, slug, name: slug, actor }),
  );
}

describe('sources', () => {
  test('each change is in the trail, with before and after; what changes nothing is not', async () => {
    const { source } = await addSource('shop');
    const common = { workspaceId: world.workspaceId, sourceId: source.id, actor };
    await inTransaction(db.pool, async (tx) => {
      await updateSource(tx, { ...common, name: ' The shop ' });
      await updateSource(tx, { ...common, name: 'The shop', enabled: true });
      await updateSource(tx, { ...common, enabled: false });
      await updateSource(tx, { ...common, enabled: true });
      await deleteSource(tx, common);
    });
    expect(await trailOf(source.id)).toEqual([
      { type: 'Source Created', before: null, after: { slug: 'shop', name: 'shop', enabled: true } },
      { type: 'Source Modified', before: { name: 'shop' }, after: { name: 'The shop' } },
      { type: 'Source Disabled', before: { enabled: true }, after: { enabled: false } },
      { type: 'Source Enabled', before: { enabled: false }, after: { enabled: true } },
      { type: 'Source Deleted', before: { slug: 'shop', name: 'The shop', enabled: true }, after: null },
    ]);
    expect((await listSources(db.pool, world.workspaceId)).map(({ id }) => id)).not.toContain(source.id);
    // Its slug is free again.
    await addSource('shop');
  });

  test('a slug is taken once, and is checked like a name', async () => {
    await addSource('one');
    await expect(addSource('one')).rejects.toMatchObject({ code: 'slug_taken', field: 'slug' });
    await expect(addSource('Not a slug')).rejects.toMatchObject({ code: 'slug_invalid' });
    await expect(
      inTransaction(db.pool, async (tx) =>
        createSource(tx, secretBox, { workspaceId: world.workspaceId, slug: 'x', name: ' ', actor }),
      ),
    ).rejects.toMatchObject({ code: 'name_invalid' });
  });

  test("a stranger's source is not found", async () => {
    const common = { workspaceId: stranger.workspaceId, sourceId: world.sourceId, actor };
    const refused = { code: 'source_not_found' };
    const tx = db.pool;
    await expect(updateSource(tx, { ...common, enabled: false })).rejects.toMatchObject(refused);
    await expect(deleteSource(tx, common)).rejects.toMatchObject(refused);
    await expect(createWriteKey(tx, secretBox, common)).rejects.toMatchObject(refused);
    await expect(listWriteKeys(tx, secretBox, common)).rejects.toMatchObject(refused);
    await expect(revokeWriteKey(tx, secretBox, { ...common, writeKeyId: 'x' })).rejects.toMatchObject(refused);
    await expect(connectSource(tx, { ...common, spaceId: stranger.spaceId })).rejects.toMatchObject(refused);
    await expect(
      connectSource(tx, { ...common, workspaceId: world.workspaceId, spaceId: stranger.spaceId }),
    ).rejects.toMatchObject({ code: 'space_not_found' });
    await expect(listSpaceSources(tx, world.workspaceId, stranger.spaceId)).rejects.toMatchObject({
      code: 'space_not_found',
    });
  });

  test('connect and disconnect, each once', async () => {
    const { source } = await addSource('connected');
    const space = await inTransaction(db.pool, async (tx) =>
      createSpace(tx, { workspaceId: world.workspaceId, slug: 'second', name: 'Second', actor }),
    );
    const input = { workspaceId: world.workspaceId, sourceId: source.id, spaceId: space.id, actor };
    await connectSource(db.pool, input);
    await connectSource(db.pool, input);
    expect(await listSourceSpaces(db.pool, world.workspaceId, source.id)).toEqual([space.id]);
    expect(await listSpaceSources(db.pool, world.workspaceId, space.id)).toMatchObject([{ id: source.id }]);
    await disconnectSource(db.pool, input);
    await disconnectSource(db.pool, input);
    expect(await listSpaceSources(db.pool, world.workspaceId, space.id)).toEqual([]);
    expect((await trailOf(source.id)).slice(1)).toEqual([
      { type: 'Source Connected To Space', before: { connected: false }, after: { connected: true } },
      { type: 'Source Disconnected From Space', before: { connected: true }, after: { connected: false } },
    ]);
  });
});

describe('write keys', () => {
  test('a key is read back, resolved, revoked, and nowhere in clear', async () => {
    const { source, writeKey } = await addSource('keys');
    const key = writeKey.writeKey ?? '';
    const common = { workspaceId: world.workspaceId, sourceId: source.id, actor };
    const second = await createWriteKey(db.pool, secretBox, common);
    expect((await listWriteKeys(db.pool, secretBox, common)).map((view) => view.writeKey)).toEqual([
      second.writeKey,
      key,
    ]);
    const resolve = createWriteKeyResolver(db.pool, { ttlMs: 0 });
    const resolved = { keyHash: hashToken(key), sourceId: source.id, workspaceId: world.workspaceId, enabled: true };
    expect(await resolve(key)).toEqual(resolved);
    expect(await resolve(`${key}x`)).toBeNull();
    expect(await resolve('\0')).toBeNull();

    const revoked = await revokeWriteKey(db.pool, secretBox, { ...common, writeKeyId: writeKey.id });
    expect(revoked).toMatchObject({ writeKey: null });
    expect(await revokeWriteKey(db.pool, secretBox, { ...common, writeKeyId: writeKey.id })).toEqual(revoked);
    expect(await resolve(key)).toBeNull();
    expect(await resolve(second.writeKey ?? '')).toMatchObject({ sourceId: source.id, enabled: true });
    expect((await trailOf(writeKey.id)).map(({ type }) => type)).toEqual([
      'Source Write Key Created',
      'Source Write Key Revoked',
    ]);
    const trail = await db.pool.query('select * from audit_events where workspace_id = $1', [world.workspaceId]);
    expect(JSON.stringify(trail.rows)).not.toContain(key);
    const rows = await db.pool.query<{ key_box: Buffer }>('select key_box from write_keys');
    expect(rows.rows.some(({ key_box: box }) => box.includes(key))).toBe(false);

    await deleteSource(db.pool, common);
    expect(await resolve(second.writeKey ?? '')).toBeNull();
  });

  test('an answer is remembered for its time, a failure is not', async () => {
    const { source, writeKey } = await addSource('remembered');
    let queries = 0;
    let fail = true;
    const counted: Pick<typeof db.pool, 'query'> = new Proxy(db.pool, {
      get(pool, name: 'query') {
        if (name !== 'query') return pool[name];
        queries += 1;
        if (fail) return async () => await Promise.reject(new Error('away'));
        return pool.query.bind(pool);
      },
    });
    const resolve = createWriteKeyResolver(counted, { ttlMs: 60_000 });
    const key = writeKey.writeKey ?? '';
    await expect(resolve(key)).rejects.toThrow('away');
    fail = false;
    queries = 0;
    await Promise.all([resolve(key), resolve(key), resolve(key)]);
    await updateSource(db.pool, { workspaceId: world.workspaceId, sourceId: source.id, enabled: false, actor });
    expect(await resolve(key)).toMatchObject({ enabled: true });
    expect(queries).toBe(1);
    expect(await resolve(key, { anew: true })).toMatchObject({ enabled: false });
    expect(await resolve(key)).toMatchObject({ enabled: false });
    expect(queries).toBe(2);
    expect(await createWriteKeyResolver(db.pool)(key)).toMatchObject({ enabled: false });
  });
});
