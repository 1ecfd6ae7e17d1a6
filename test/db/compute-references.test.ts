import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pinDefinition, updateComputation } from '../../src/computations/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { classifyError } from '../../src/tasks/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { addAudience, createWorld, type World } from '../helpers/world.ts';

let stores: TestPool;
let world: World;

beforeAll(async () => {
  stores = await createTestPool();
});
beforeEach(async () => {
  world = await createWorld(stores.pool);
});
afterAll(async () => {
  await stores?.close();
});

const OWN = "event('Visited').count() >= 1";
const REFERRING = `${OWN} AND trait('base') = true`;

async function add(key: string, query: string): Promise<string> {
  return await addAudience(stores.pool, world, query, { key });
}

async function set(id: string, assignment: string): Promise<void> {
  await stores.pool.query(`update computations set ${assignment} where id = $1`, [id]);
}

/** The names that the pinned definition takes from other computations, or the code of the failure. */
async function pin(id: string): Promise<string[] | string> {
  try {
    const pinned = await inTransaction(stores.pool, async (tx) => await pinDefinition(tx, id));
    return Object.keys(pinned?.traits ?? {});
  } catch (error) {
    return classifyError(error).code;
  }
}

describe('a definition that refers to another computation', () => {
  test('is computed with its live version, and not before there is one', async () => {
    const base = await add('base', OWN);
    const referring = await add('referring', REFERRING);
    expect(await pin(referring)).toBe('definition_refers_to_uncomputed');
    await set(base, 'live_version = 7');
    expect(await pin(referring)).toEqual(['base']);
  });

  test.each(['enabled = false', 'paused_at = now()'])(
    'waits for one that is a draft (%s), and does not become another trait meanwhile',
    async (assignment) => {
      await set(await add('base', OWN), assignment);
      expect(await pin(await add('referring', REFERRING))).toBe('definition_refers_to_uncomputed');
    },
  );

  test('goes on with the version of one that was disabled', async () => {
    const base = await add('base', OWN);
    const referring = await add('referring', REFERRING);
    await set(base, 'live_version = 7, enabled = false');
    expect(await pin(referring)).toEqual(['base']);
  });

  test('fails for good where that was deleted behind its back, until someone writes it anew', async () => {
    const base = await add('base', OWN);
    await set(base, 'live_version = 7');
    const referring = await add('referring', REFERRING);
    await set(base, 'deleted_at = now()');
    expect(await pin(referring)).toBe('definition_refers_to_deleted');
    await inTransaction(
      stores.pool,
      async (tx) =>
        await updateComputation(
          tx,
          { ...world, kind: 'audience', id: referring },
          { definition: { type: 'USERS', query: `${REFERRING} AND trait('base') = true` } },
          world.actor,
        ),
    );
    // Whoever writes the name now, when there is no such computation, means the profile's trait.
    expect(await pin(referring)).toEqual([]);
  });

  test('fails for good where they lead back to it, however that came about', async () => {
    const [one, two, three] = [await add('one', OWN), await add('two', OWN), await add('three', OWN)];
    for (const [id, to] of [
      [one, 'two'],
      [two, 'three'],
      [three, 'one'],
    ] as const) {
      await set(id, `live_version = 7, definition_query = 'trait(''${to}'') = true'`);
    }
    expect([await pin(one), await pin(two), await pin(three)]).toEqual([
      'definition_cycle',
      'definition_cycle',
      'definition_cycle',
    ]);
  });

  test('is nothing to a space that has the same keys', async () => {
    await add('base', OWN);
    world = await createWorld(stores.pool);
    expect(await pin(await add('referring', REFERRING))).toEqual([]);
  });
});
