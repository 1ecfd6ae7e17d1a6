import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { advanceBaseline, freezeChanges, readChanges } from '../../src/compute/index.ts';
import { selectRows } from '../../src/store/index.ts';
import { dropUnusedVersions } from '../../src/tasks/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { addAudience, addRun, createWorld } from '../helpers/world.ts';

let stores: TestStores;

beforeAll(async () => {
  stores = await createTestStores();
});
afterAll(async () => {
  await stores?.close();
});

interface Person {
  profile: number;
  mergedInto?: number;
  email?: string;
}

let spaces = 0;

/** A space of people, with versions that are written as they are wanted, and a connection. */
function space(kind: 'audience' | 'computed_trait') {
  const id = `space-${++spaces}`;
  const connection = { id: `con-${id}`, spaceId: id, computationId: `cmp-${id}`, kind };
  let number = spaces * 1_000;
  return {
    connection,
    people: async (people: Person[]): Promise<void> => {
      const version = ++number;
      await stores.clickhouse.insert({
        table: 'profiles',
        format: 'JSONEachRow',
        values: people.map(({ profile, mergedInto = 0 }) => ({
          space_id: id,
          profile,
          user_id: `user-${profile}`,
          anonymous_id: '',
          merged_into: mergedInto,
          version,
        })),
      });
      const mails = people.filter(({ email }) => email !== undefined);
      if (mails.length === 0) return;
      await stores.clickhouse.insert({
        table: 'profile_traits',
        format: 'JSONEachRow',
        values: mails.map(({ profile, email = '' }) => ({
          space_id: id,
          trait: 'email',
          profile,
          value: email,
          timestamp: '2026-01-01 00:00:00.000',
          version,
        })),
      });
    },
    version: async (values: Record<number, string>): Promise<number> => {
      const version = ++number;
      const profiles = Object.keys(values).map(Number);
      if (kind === 'audience') {
        await stores.clickhouse.command({
          query: `INSERT INTO audience_versions (computation_id, version, members)
                  SELECT {computation:String}, {version:UInt64}, groupBitmapState(arrayJoin({profiles:Array(UInt32)}))`,
          query_params: { computation: connection.computationId, version, profiles },
        });
      } else {
        await stores.clickhouse.insert({
          table: 'trait_versions',
          format: 'JSONEachRow',
          values: [
            { computation_id: connection.computationId, version, bucket: 0, profiles, values: Object.values(values) },
          ],
        });
      }
      return version;
    },
    /** What a sync of the version would deliver. */
    freeze: async (version: number) => {
      const extractId = ++number;
      const { changes: count } = await freezeChanges(
        { clickhouse: stores.clickhouse },
        { ...connection, version },
        extractId,
      );
      const changes = await readChanges({ clickhouse: stores.clickhouse }, extractId, { from: 0, to: count });
      expect(changes).toHaveLength(count);
      expect(changes.map(({ idx }) => idx)).toEqual([...changes.keys()]);
      const before = await selectRows<{ previous: string }>(
        stores.clickhouse,
        'SELECT previous FROM sync_changes WHERE extract_id = {extractId:UInt64} ORDER BY idx',
        { extractId },
      );
      return {
        extractId,
        changes,
        told: changes.map(({ profile, value }, row) => `${profile}: ${before[row]?.previous} -> ${value}`),
      };
    },
    acknowledge: async (extractId: number, changes: { idx: number }[]) => {
      const ranges = changes.map(({ idx }) => ({ first: idx, end: idx + 1 }));
      await advanceBaseline({ clickhouse: stores.clickhouse }, connection.id, extractId, ranges);
    },
  };
}

const MEMBER = 'true';

describe('what a sync freezes', () => {
  test('an audience: entries, then exits, each until it is acknowledged', async () => {
    const s = space('audience');
    await s.people([{ profile: 1 }, { profile: 2 }, { profile: 3 }]);
    const first = await s.freeze(await s.version({ 1: MEMBER, 2: MEMBER }));
    expect(first.told).toEqual(['1:  -> true', '2:  -> true']);
    await s.acknowledge(first.extractId, first.changes.slice(0, 1));

    const second = await s.version({ 3: MEMBER });
    const exits = await s.freeze(second);
    expect(exits.told, '2 never arrived, so nothing is told of it').toEqual(['1: true -> ', '3:  -> true']);
    await s.acknowledge(exits.extractId, exits.changes);
    expect((await s.freeze(second)).told).toEqual([]);

    const back = await s.freeze(await s.version({ 1: MEMBER, 3: MEMBER }));
    expect(back.told, 'one who left comes back').toEqual(['1:  -> true']);
  });

  test('a computed trait: new, changed and gone values; one that came and went again is nothing', async () => {
    const s = space('computed_trait');
    await s.people([{ profile: 1 }, { profile: 2 }, { profile: 3 }, { profile: 4 }]);
    const first = await s.freeze(await s.version({ 1: '5', 2: '"a"', 3: 'false', 4: '1' }));
    await s.acknowledge(
      first.extractId,
      first.changes.filter(({ profile }) => profile !== 4),
    );
    const second = await s.version({ 1: '5', 2: '"b"' });
    const frozen = await s.freeze(second);
    expect(frozen.told).toEqual(['2: "a" -> "b"', '3: false -> ']);
    await s.acknowledge(frozen.extractId, frozen.changes);
    await s.acknowledge(frozen.extractId, frozen.changes);
    expect((await s.freeze(second)).told).toEqual([]);
  });

  test('an extract that was acknowledged late does not undo a later one', async () => {
    const s = space('computed_trait');
    await s.people([{ profile: 1 }]);
    const early = await s.freeze(await s.version({ 1: '1' }));
    const latest = await s.version({ 1: '2' });
    const late = await s.freeze(latest);
    await s.acknowledge(late.extractId, late.changes);
    await s.acknowledge(early.extractId, early.changes);
    expect((await s.freeze(latest)).told).toEqual([]);
  });

  test('a person whose profile was merged: the one it became counts', async () => {
    const s = space('audience');
    await s.people([{ profile: 1 }, { profile: 2 }]);
    const both = await s.freeze(await s.version({ 1: MEMBER, 2: MEMBER }));
    await s.acknowledge(both.extractId, both.changes);
    await s.people([{ profile: 2, mergedInto: 1 }]);
    expect((await s.freeze(await s.version({ 1: MEMBER }))).told, 'the person is in, as profile 1').toEqual([]);
    const out = await s.freeze(await s.version({}));
    expect(out.told, 'the person is out, under both names').toEqual(['1: true -> ', '2: true -> ']);
    await s.acknowledge(out.extractId, out.changes);
    expect((await s.freeze(await s.version({}))).told).toEqual([]);
  });

  test('a merged profile that was a member, and the one it became is none, is taken out under its own ids', async () => {
    const s = space('audience');
    await s.people([{ profile: 1 }, { profile: 2 }]);
    const one = await s.freeze(await s.version({ 2: MEMBER }));
    await s.acknowledge(one.extractId, one.changes);
    await s.people([{ profile: 2, mergedInto: 1 }]);
    const out = await s.freeze(await s.version({}));
    expect(out.changes.map(({ profile, userId, value }) => [profile, userId, value])).toEqual([[2, 'user-2', '']]);
  });

  test('a merged profile is never told to enter, though a version from before the merge has it', async () => {
    const s = space('audience');
    await s.people([{ profile: 1 }, { profile: 2 }]);
    const version = await s.version({ 2: MEMBER });
    await s.people([{ profile: 2, mergedInto: 1 }]);
    expect((await s.freeze(version)).told, 'the person is in, as profile 1').toEqual(['1:  -> true']);
  });

  test('the e-mail address that people are matched by, as it is now', async () => {
    const s = space('audience');
    await s.people([
      { profile: 1, email: '"old@example.com"' },
      { profile: 2, email: '"b@example.com"' },
      { profile: 3 },
    ]);
    await s.people([
      { profile: 1, email: '"new@example.com"' },
      { profile: 2, email: 'null' },
    ]);
    const { changes } = await s.freeze(await s.version({ 1: MEMBER, 2: MEMBER, 3: MEMBER }));
    expect(changes.map(({ traits }) => traits)).toEqual([{ email: 'new@example.com' }, {}, {}]);
  });
});

test('a clean-up drops versions that are old and nothing refers to, and no other', async () => {
  const { pool, clickhouse } = stores;
  const world = await createWorld(pool);
  const computation = await addAudience(pool, world, "event('Visited').count() >= 1");
  const deleted = await addAudience(pool, world, "event('Visited').count() >= 1", { key: 'deleted' });
  const [live, previous, pinnedLive, pinnedTrait, computed, orphan, gone, young] = [1, 2, 3, 4, 5, 6, 7, 8];
  await pool.query('update computations set live_version = $2, previous_version = $3 where id = $1', [
    computation,
    live,
    previous,
  ]);
  await pool.query('update computations set live_version = $2, deleted_at = now() where id = $1', [deleted, gone]);
  const run = await addRun(pool, world, computation);
  const outputs = {
    pin: { liveVersion: pinnedLive, traits: { other: { from: 'audience', computationId: 'x', version: pinnedTrait } } },
    compute: { version: computed, size: 0 },
  };
  for (const [name, output] of Object.entries(outputs)) {
    await pool.query('update steps set completed_at = now(), output = $3 where task_id = $1 and name = $2', [
      run,
      name,
      JSON.stringify(output),
    ]);
  }
  const write = async (versions: (number | undefined)[], age: string) => {
    await clickhouse.command({
      query: `INSERT INTO trait_versions (computation_id, version, bucket, profiles, values, created_at)
              SELECT 'clean', arrayJoin({versions:Array(UInt64)}), 0, [1], ['1'], now() - INTERVAL ${age}`,
      query_params: { versions },
    });
    await clickhouse.command({
      query: `INSERT INTO audience_versions (computation_id, version, members, created_at)
              SELECT 'clean', version, groupBitmapState(toUInt32(1)), now() - INTERVAL ${age}
              FROM (SELECT arrayJoin({versions:Array(UInt64)}) AS version) GROUP BY version`,
      query_params: { versions },
    });
  };
  await write([live, previous, pinnedLive, pinnedTrait, computed, orphan, gone], '2 DAY');
  await write([young], '1 HOUR');
  expect(await dropUnusedVersions(stores)).toBe(4);
  for (const table of ['trait_versions', 'audience_versions']) {
    const rows = await selectRows<{ version: number }>(
      clickhouse,
      `SELECT DISTINCT version FROM ${table} WHERE computation_id = 'clean' ORDER BY version`,
    );
    expect(rows.map(({ version }) => version)).toEqual([live, previous, pinnedLive, pinnedTrait, computed, young]);
  }
  expect(await dropUnusedVersions(stores)).toBe(0);
  await pool.query(`update tasks set status = 'succeeded', ended_at = now() where id = $1`, [run]);
  expect(await dropUnusedVersions(stores)).toBe(6);
});
