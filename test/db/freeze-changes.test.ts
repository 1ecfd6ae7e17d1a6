import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  advanceBaseline,
  diffVersions,
  freezeChanges,
  keepBaselineBitmaps,
  readBaselineState,
  readChanges,
} from '../../src/compute/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';

/*
 * What a sync freezes is held to a plain reference, over random worlds: who was merged into whom and when, whose ids and e-mail
 * addresses came in by which profile, what a version says, and what the destination has.
 */
let stores: TestStores;
beforeAll(async () => {
  stores = await createTestStores();
});
afterAll(async () => {
  await stores?.close();
});

const PROFILES = 12;

interface FrozenWorld {
  profiles: { profile: number; mergedInto: number; userId: string; anonymousId: string }[];
  /** Writes of the trait email, in their order; null takes it away. */
  emails: { profile: number; email: string | null }[];
  /** Values of the live version, by profile; and of the one before it. */
  live: Map<number, string>;
  before: Map<number, string>;
  /** Rows of the baseline, in the order in which they were written; `anonymous` is 1 where the profile was told by an anonymous id. */
  baseline: { profile: number; value: string; seq: number; anonymous: number }[];
  /** How many of them were there when the bitmaps were kept; null where they never were. */
  keptAfter: number | null;
  redriven: number[];
}

interface FrozenChange {
  profile: number;
  value: string;
  userId: string;
  anonymousId: string;
  email: string | null;
}

const profileArbitrary = fc.integer({ min: 1, max: PROFILES });

function worldArbitrary(kind: 'audience' | 'computed_trait'): fc.Arbitrary<FrozenWorld> {
  const value = kind === 'audience' ? fc.constant('true') : fc.constantFrom('1', '2', '"a"');
  const values = fc.array(fc.tuple(profileArbitrary, value), { maxLength: PROFILES }).map((pairs) => new Map(pairs));
  return fc.record({
    profiles: fc
      .array(
        fc.record({ target: fc.option(fc.nat(), { freq: 1 }), hasUser: fc.boolean(), hasAnonymous: fc.boolean() }),
        { minLength: PROFILES, maxLength: PROFILES },
      )
      .map((choices) => {
        const standing: number[] = [];
        return choices.map(({ target, hasUser, hasAnonymous }, index) => {
          const profile = index + 1;
          const mergedInto = target === null || standing.length === 0 ? 0 : (standing[target % standing.length] ?? 0);
          if (mergedInto === 0) standing.push(profile);
          return {
            profile,
            mergedInto,
            userId: hasUser ? `user-${profile}` : '',
            anonymousId: hasAnonymous ? `anonymous-${profile}` : '',
          };
        });
      }),
    emails: fc.array(
      fc.record({ profile: profileArbitrary, email: fc.constantFrom('a@x', 'b@x', 'c@x', 'd@x', null) }),
      { maxLength: 20 },
    ),
    live: values,
    before: values,
    baseline: fc.array(
      fc.record({
        profile: profileArbitrary,
        value: fc.oneof({ weight: 4, arbitrary: value }, { weight: 2, arbitrary: fc.constantFrom('', '?') }),
        seq: fc.integer({ min: 1, max: 3 }),
        anonymous: fc.constantFrom(0, 0, 1),
      }),
      { maxLength: 20 },
    ),
    keptAfter: kind === 'audience' ? fc.option(fc.nat(20)) : fc.constant(null),
    redriven: fc.array(profileArbitrary, { maxLength: 6 }),
  });
}

/** Values by person: of those that meet in a merge the standing profile's counts, then the lowest number's. */
function byPerson(world: FrozenWorld, values: ReadonlyMap<number, string>): Map<number, string> {
  const found = new Map<number, string>();
  for (const { profile, mergedInto } of world.profiles) {
    if (mergedInto === 0 && values.has(profile)) found.set(profile, values.get(profile) ?? '');
  }
  for (const { profile, mergedInto } of world.profiles) {
    if (mergedInto !== 0 && values.has(profile) && !found.has(mergedInto))
      found.set(mergedInto, values.get(profile) ?? '');
  }
  return found;
}

/** What the destination has: of each profile the row of the latest extract, of one extract the one that was written last. */
function known(world: FrozenWorld): Map<number, FrozenWorld['baseline'][number]> {
  const latest = new Map<number, FrozenWorld['baseline'][number]>();
  for (const row of world.baseline) {
    if (row.seq >= (latest.get(row.profile)?.seq ?? 0)) latest.set(row.profile, row);
  }
  return latest;
}

function reference(world: FrozenWorld, scope: 'difference' | 'everything' | 'redriven'): FrozenChange[] {
  const live = byPerson(world, world.live);
  const has = known(world);
  return world.profiles.flatMap(({ profile, mergedInto, userId, anonymousId }) => {
    const before = has.get(profile)?.value ?? '';
    // Known by an anonymous id, and a user by now: first that id is taken out.
    const outgrown = before !== '' && has.get(profile)?.anonymous === 1 && userId !== '';
    const after = outgrown ? '' : (live.get(profile) ?? '');
    const differs = after !== before || (scope === 'everything' && after !== '');
    if (!differs || (scope === 'redriven' && !world.redriven.includes(profile))) return [];
    // The person is delivered as who they are now; who is out is taken out under each of their names.
    if (mergedInto !== 0 && live.has(mergedInto)) return [];
    const mine = world.profiles.filter((other) => other.profile === profile || other.mergedInto === profile);
    const numbers = mine.map((other) => other.profile);
    const first = (own: string, key: 'userId' | 'anonymousId'): string =>
      own !== '' ? own : (mine.find((other) => other[key] !== '')?.[key] ?? '');
    return [
      {
        profile,
        value: after,
        userId: outgrown ? '' : first(userId, 'userId'),
        anonymousId: first(anonymousId, 'anonymousId'),
        email: world.emails.findLast((write) => numbers.includes(write.profile))?.email ?? null,
      },
    ];
  });
}

let spaces = 0;
let numbers = 100;

/** Puts a world into ClickHouse. Each profile was there before it was merged. */
async function writeWorld(world: FrozenWorld, kind: 'audience' | 'computed_trait') {
  const { clickhouse } = stores;
  const spaceId = `space-${++spaces}`;
  const connection = { id: `con-${spaces}`, spaceId, computationId: `cmp-${spaces}`, kind };
  const insert = async (table: string, values: Record<string, unknown>[]) => {
    if (values.length > 0) await clickhouse.insert({ table, values, format: 'JSONEachRow' });
  };
  const rowOf = ({ profile, userId, anonymousId }: FrozenWorld['profiles'][number]) => ({
    space_id: spaceId,
    profile,
    user_id: userId,
    anonymous_id: anonymousId,
  });
  await insert(
    'profiles',
    world.profiles.map((row) => ({ ...rowOf(row), merged_into: 0, version: 1 })),
  );
  await insert(
    'profiles',
    world.profiles
      .filter(({ mergedInto }) => mergedInto !== 0)
      .map((row) => ({ ...rowOf(row), merged_into: row.mergedInto, version: 2 })),
  );
  await insert(
    'profile_traits',
    world.emails.map(({ profile, email }, index) => ({
      space_id: spaceId,
      trait: 'email',
      profile,
      value: JSON.stringify(email),
      timestamp: '2026-01-01 00:00:00.000',
      version: index + 1,
    })),
  );
  const version = async (values: ReadonlyMap<number, string>): Promise<number> => {
    const number = ++numbers;
    const sorted = [...values].toSorted(([a], [b]) => a - b);
    if (kind === 'audience') {
      await clickhouse.command({
        query: `INSERT INTO audience_versions (computation_id, version, members)
                SELECT {computation:String}, {version:UInt64}, groupBitmapState(arrayJoin({profiles:Array(UInt32)}))`,
        query_params: { computation: connection.computationId, version: number, profiles: sorted.map(([p]) => p) },
      });
    } else {
      await insert('trait_versions', [
        {
          computation_id: connection.computationId,
          version: number,
          bucket: 0,
          profiles: sorted.map(([profile]) => profile),
          values: sorted.map(([, value]) => value),
        },
      ]);
    }
    return number;
  };
  const notes = world.baseline.map((row) => ({ connection_id: connection.id, ...row, noted: ++numbers }));
  const kept = world.keptAfter === null ? 0 : Math.min(world.keptAfter, notes.length);
  await insert('baselines', notes.slice(0, kept));
  let since = 0;
  if (world.keptAfter !== null) {
    since = notes[kept]?.noted ?? ++numbers;
    await keepBaselineBitmaps({ clickhouse }, connection.id, { since: 0, noted: since });
  }
  await insert('baselines', notes.slice(kept));
  return { connection, since, before: await version(world.before), live: await version(world.live) };
}

for (const kind of ['audience', 'computed_trait'] as const) {
  test(`what a sync of ${kind} freezes is what the reference says, in any world`, { timeout: 300_000 }, async () => {
    const { clickhouse } = stores;
    await fc.assert(
      fc.asyncProperty(
        worldArbitrary(kind),
        fc.constantFrom('difference', 'difference', 'everything', 'redriven'),
        async (world, scope) => {
          const { connection, since, before, live } = await writeWorld(world, kind);
          const extractId = ++numbers;
          if (scope === 'redriven' && world.redriven.length > 0) {
            await clickhouse.insert({
              table: 'redriven_profiles',
              values: world.redriven.map((profile) => ({ extract_id: extractId, profile })),
              format: 'JSONEachRow',
            });
          }
          const frozen = { ...connection, version: live };
          const { changes: total } = await freezeChanges({ clickhouse }, frozen, extractId, scope, since, 5);
          const changes = await readChanges({ clickhouse }, extractId, { from: 0, to: 1_000 });
          expect(changes.map(({ idx }) => idx)).toEqual([...changes.keys()]);
          expect(total).toBe(changes.length);
          expect(
            changes.map(({ profile, value, userId, anonymousId, traits }) => ({
              profile,
              value,
              userId,
              anonymousId,
              email: traits['email'] ?? null,
            })),
          ).toEqual(reference(world, scope));

          const from = byPerson(world, world.before);
          const to = byPerson(world, world.live);
          const diff = await diffVersions(
            { clickhouse },
            { ...connection, id: connection.computationId },
            before,
            live,
          );
          expect(diff).toEqual({
            entered: [...to.keys()].filter((profile) => !from.has(profile)).length,
            exited: [...from.keys()].filter((profile) => !to.has(profile)).length,
            changed: [...to].filter(([profile, value]) => from.has(profile) && from.get(profile) !== value).length,
          });
        },
      ),
      { numRuns: 20, interruptAfterTimeLimit: 10_000 },
    );
  });
}

test('what was noted after the bitmaps counts, in whatever order it comes, and they are kept anew', async () => {
  const { clickhouse } = stores;
  const nobody: FrozenWorld = {
    profiles: [1, 2, 3].map((profile) => ({ profile, mergedInto: 0, userId: `user-${profile}`, anonymousId: '' })),
    emails: [],
    live: new Map(),
    before: new Map(),
    baseline: [],
    keptAfter: null,
    redriven: [],
  };
  const { connection } = await writeWorld({ ...nobody, live: new Map([1, 2, 3].map((p) => [p, 'true'])) }, 'audience');
  const context = { clickhouse };
  const freeze = async (version: number, since: number) => {
    const extractId = ++numbers;
    await freezeChanges(context, { ...connection, version }, extractId, 'difference', since);
    const changes = await readChanges(context, extractId, { from: 0, to: 10 });
    return { extractId, told: changes.map(({ profile, value }) => `${profile}:${value}`) };
  };
  const live = numbers;
  const first = await freeze(live, 0);
  expect(first.told).toEqual(['1:true', '2:true', '3:true']);
  await advanceBaseline(context, connection.id, first.extractId, [{ first: 0, end: 1 }], { noted: ++numbers });
  const kept = ++numbers;
  await keepBaselineBitmaps(context, connection.id, { since: 0, noted: kept });
  await advanceBaseline(context, connection.id, first.extractId, [{ first: 1, end: 2 }], { noted: ++numbers });
  expect(await readBaselineState(context, connection.id)).toEqual({ since: kept, rows: 1 });
  expect((await freeze(live, kept)).told).toEqual(['3:true']);
  const again = ++numbers;
  await keepBaselineBitmaps(context, connection.id, { since: kept, noted: again });
  expect(await readBaselineState(context, connection.id)).toEqual({ since: again, rows: 0 });
  expect((await freeze(live, again)).told).toEqual(['3:true']);
  await expect(freeze(live, 999_999), 'bitmaps that are not there are not taken for none').rejects.toThrow();
});
