import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  createComputation,
  deleteComputation,
  dryRun,
  fillReferences,
  pinDefinition,
  updateComputation,
} from '../../src/computations/index.ts';
import { isRecordedTrait } from '../../src/profiles/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { addAudience, createWorld, type World } from '../helpers/world.ts';

/*
 * Names that definitions read are traits of profiles or other computations. Which of the two is decided when a definition is written,
 * and nothing that comes later changes it.
 */
let stores: TestStores;
let world: World;

beforeAll(async () => {
  stores = await createTestStores();
});
beforeEach(async () => {
  world = await createWorld(stores.pool);
});
afterAll(async () => {
  await stores?.close();
});

const OWN = "event('Visited').count() >= 1";
const mails = "trait('email').ends_with('example.com')";
const add = async (key: string, query = OWN) => await addAudience(stores.pool, world, query, { key });

/** Which traits of a definition are taken from other computations when it runs. */
async function computedIn(id: string): Promise<string[]> {
  const pinned = await inTransaction(stores.pool, async (tx) => await pinDefinition(tx, id));
  return Object.keys(pinned?.traits ?? {});
}

/** A computation that got in under the key of a trait: before this was refused. It is live. */
async function force(key: string): Promise<string> {
  const id = await add(`once_${key}`);
  await stores.pool.query('update computations set key = $2, live_version = 7 where id = $1', [id, key]);
  return id;
}

const edit = async (id: string, query: string) =>
  await inTransaction(stores.pool, async (tx) =>
    updateComputation(tx, { ...world, kind: 'audience', id }, { definition: { type: 'USERS', query } }, world.actor),
  );

const remove = async (id: string) =>
  await inTransaction(stores.pool, async (tx) =>
    deleteComputation(tx, { ...world, kind: 'audience', id }, world.actor),
  );

describe('a key that is a trait', () => {
  test.each(['plan', 'tier'])('is refused where definitions read it (%s), by their names', async (trait) => {
    await add('payers', `trait('${trait}') = 'pro'`);
    await add('nested', `event('Paid').where(property('x') = trait('${trait}.name')).count() > 0`);
    await expect(add(trait)).rejects.toMatchObject({
      kind: 'conflict',
      code: 'key_is_trait',
      field: 'key',
      data: { trait, definitions: ['nested', 'payers'] },
      message: expect.stringMatching(new RegExp(`nested, payers read it`)) as string,
    });
  });

  test('is refused where it is recorded, and not for another space’s sake', async () => {
    const other = await createWorld(stores.pool);
    await stores.clickhouse.insert({
      table: 'profile_traits',
      format: 'JSONEachRow',
      values: [{ space_id: world.spaceId, trait: 'plan', profile: 1, value: '"pro"', timestamp: 0, version: 1 }],
    });
    expect(await isRecordedTrait(stores.clickhouse, world.spaceId, 'plan')).toBe(true);
    expect(await isRecordedTrait(stores.clickhouse, other.spaceId, 'plan')).toBe(false);
    const create = async (keyIsRecorded: boolean) =>
      await inTransaction(stores.pool, async (tx) =>
        createComputation(
          tx,
          {
            ...world,
            kind: 'computed_trait',
            name: 'Plan',
            definition: { type: 'USERS', query: "event('Paid').last(property('plan'))" },
            schedule: { intervalSeconds: 3600 },
            keyIsRecorded,
          },
          world.actor,
        ),
      );
    await expect(create(true)).rejects.toMatchObject({ code: 'key_is_trait', data: { trait: 'plan', recorded: true } });
    await create(false);
  });

  test.each(['email', 'audience_key', 'audience_name', 'trait_key'])(
    'is refused where messages need it (%s)',
    async (key) => {
      await expect(add(key)).rejects.toMatchObject({ code: 'key_is_trait' });
    },
  );
});

describe('a definition goes on to mean what it meant when it was written', () => {
  test('where a computation has the key of its trait since', async () => {
    const id = await add('has_mail', mails);
    const later = await force('email');
    expect(await computedIn(id)).toEqual([]);
    await edit(id, `${mails} AND ${OWN}`);
    expect(await computedIn(id), 'an edit of something else').toEqual([]);
    const dry = await dryRun(stores, {
      ...world,
      kind: 'audience',
      definition: { type: 'USERS', query: mails },
      computation: { id, key: 'has_mail', liveVersion: null, liveAsOf: null },
    });
    expect(dry.after).toBe(0);
    await remove(later);
  });

  test('where a computation that it reads is a recorded trait since', async () => {
    await stores.pool.query('update computations set live_version = 7 where id = $1', [await add('vip')]);
    const id = await add('friends', "trait('vip') = true");
    await stores.clickhouse.insert({
      table: 'profile_traits',
      format: 'JSONEachRow',
      values: [{ space_id: world.spaceId, trait: 'vip', profile: 1, value: 'true', timestamp: 0, version: 1 }],
    });
    expect(await computedIn(id)).toEqual(['vip']);
  });

  test('and a computation can be deleted that it does not read, and not one that it does, and made anew', async () => {
    const vip = await add('vip');
    await stores.pool.query('update computations set live_version = 7 where id = $1', [vip]);
    const friends = await add('friends', "trait('vip') = true AND trait('plan') = 'pro'");
    await expect(remove(vip)).rejects.toMatchObject({ code: 'computation_referred_to' });
    await remove(await force('plan'));
    await edit(friends, OWN);
    await remove(vip);
    await stores.pool.query('update computations set live_version = 8 where id = $1', [await add('vip')]);
    await edit(friends, "trait('vip') = true");
    expect(await computedIn(friends)).toEqual(['vip']);
  });

  test('written before that was kept: as the next run would have read it', async () => {
    await stores.pool.query('update computations set live_version = 7 where id = $1', [await add('vip')]);
    const id = await add('friends', "trait('vip') = true AND trait('plan') = 'pro'");
    await stores.pool.query(`update computations set refers_to = '{}', computed_traits = null where id = $1`, [id]);
    expect(await computedIn(id)).toEqual(['vip']);
    await fillReferences(stores.pool);
    await force('plan');
    expect(await computedIn(id)).toEqual(['vip']);
    await expect(add('plan')).rejects.toMatchObject({ code: 'key_is_trait' });
  });
});
