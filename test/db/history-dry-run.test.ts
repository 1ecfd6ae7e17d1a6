import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dryRun } from '../../src/computations/index.ts';
import { RequestError } from '../../src/errors.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { addPeople, createWorld, type World } from '../helpers/world.ts';
import { addLive, countEverything } from './history-world.ts';

let stores: TestStores;
let world: World;

const PEOPLE = 100;

beforeAll(async () => {
  stores = await createTestStores();
  world = await createWorld(stores.pool);
  await addPeople(stores.clickhouse, world, PEOPLE);
});
afterAll(async () => {
  await stores?.close();
});

type Live = Awaited<ReturnType<typeof addLive>>;

const upTo = (n: number): string => `event('Visited').where(property('n') <= ${n}).count() >= 1`;
const users = (query: string) => ({ type: 'USERS' as const, query });

/** A dry run, and the proof that it left everything as it was. */
async function tryOut(
  kind: 'audience' | 'computed_trait',
  query: string,
  computation: Live | null,
  options: Parameters<typeof dryRun>[2] = {},
): Promise<Awaited<ReturnType<typeof dryRun>>> {
  const before = await countEverything(stores);
  try {
    return await dryRun(stores, { ...world, kind, definition: users(query), computation }, options);
  } finally {
    expect(await countEverything(stores)).toEqual(before);
  }
}

async function refusalOf(work: Promise<unknown>): Promise<RequestError> {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (error instanceof RequestError) return error;
  throw new Error(`this should have been refused: ${String(error)}`);
}

describe('a dry run of an audience', () => {
  test('counts who would enter, leave and stay, with examples, and touches nothing', async () => {
    const live = await addLive(stores, world, upTo(40), { key: 'audience_edit' });
    const started = Date.now();
    const result = await tryOut(
      'audience',
      "event('Visited').where(property('n') > 10).where(property('n') <= 65).count() >= 1",
      live,
    );
    expect(result).toMatchObject({
      comparedWith: { version: live.liveVersion, asOf: live.liveAsOf },
      before: 40,
      after: 55,
      entered: 25,
      exited: 10,
      changed: 0,
      unchanged: 30,
    });
    expect(Math.abs(result.asOf.getTime() - started)).toBeLessThan(60_000);
    const { entered, exited, changed } = result.examples;
    expect(entered).toHaveLength(20);
    expect(entered[0]).toEqual({ profile: 41, userId: 'user-41', anonymousId: '', before: null, after: true });
    expect(entered.map(({ profile }) => profile)).toEqual(Array.from({ length: 20 }, (_, index) => 41 + index));
    expect(exited.map(({ userId }) => userId)).toEqual(Array.from({ length: 10 }, (_, index) => `user-${index + 1}`));
    expect(exited[0]).toMatchObject({ before: true, after: null });
    expect(changed).toEqual([]);
  });

  test('of the definition that it has changes nothing', async () => {
    const live = await addLive(stores, world, upTo(40), { key: 'audience_same' });
    expect(await tryOut('audience', upTo(40), live)).toMatchObject({ entered: 0, exited: 0, unchanged: 40 });
  });

  test('that is not there yet, or has no live version, has everybody enter', async () => {
    for (const computation of [null, { id: 'aud_x', key: 'x', liveVersion: null, liveAsOf: null }]) {
      const result = await dryRun(stores, { ...world, kind: 'audience', definition: users(upTo(3)), computation });
      expect(result).toMatchObject({ comparedWith: null, before: 0, after: 3, entered: 3, exited: 0, unchanged: 0 });
      expect(result.examples.entered.map(({ userId }) => userId)).toEqual(['user-1', 'user-2', 'user-3']);
    }
  });

  test('reads other computations at their live versions, as a run does', async () => {
    await addLive(stores, world, upTo(8), { key: 'early_birds' });
    const live = await addLive(stores, world, upTo(5), { key: 'refers' });
    expect(await tryOut('audience', "trait('early_birds') = true", live)).toMatchObject({
      before: 5,
      after: 8,
      entered: 3,
    });
  });
});

describe('a dry run of a computed trait', () => {
  test('counts new, changed and gone values, and shows them', async () => {
    const live = await addLive(stores, world, "event('Visited').where(property('n') <= 30).sum(property('n'))", {
      key: 'trait_edit',
      kind: 'computed_trait',
    });
    const result = await tryOut(
      'computed_trait',
      "event('Visited').where(property('n') > 5).where(property('n') <= 60).max(property('n'))",
      live,
    );
    expect(result).toMatchObject({ before: 30, after: 55, entered: 30, exited: 5, changed: 0, unchanged: 25 });
    expect(result.examples.entered[0]).toEqual({
      profile: 31,
      userId: 'user-31',
      anonymousId: '',
      before: null,
      after: 31,
    });
    expect(result.examples.exited.map(({ before, after }) => [before, after])).toEqual(
      [1, 2, 3, 4, 5].map((n) => [n, null]),
    );

    const counted = await tryOut('computed_trait', "event('Visited').where(property('n') <= 30).count()", live);
    expect(counted).toMatchObject({ before: 30, after: 30, entered: 0, exited: 0, changed: 29, unchanged: 1 });
    expect(counted.examples.changed).toHaveLength(20);
    expect(counted.examples.changed[0]).toMatchObject({ profile: 2, before: 2, after: 1 });
  });
});

describe('a dry run is refused', () => {
  test('for a definition that is wrong, with field and place, as in creating one', async () => {
    const refusal = await refusalOf(tryOut('audience', "event('Visited').cuont() >= 1", null));
    expect(refusal).toMatchObject({
      kind: 'invalid',
      code: 'definition_invalid',
      field: 'definition.query',
      data: { line: 1, column: 18 },
    });
  });

  test('for one that leads back to itself', async () => {
    const live = await addLive(stores, world, upTo(3), { key: 'snake' });
    await addLive(stores, world, "trait('snake') = true", { key: 'tail' });
    const refusal = await refusalOf(tryOut('audience', "trait('tail') = true", live));
    expect(refusal).toMatchObject({ kind: 'invalid', code: 'definition_cycle', field: 'definition.query' });
  });

  test('when it takes longer than it may, in words that say what to do', async () => {
    const large = await createWorld(stores.pool);
    await addPeople(stores.clickhouse, large, 300_000);
    const heavy = Array.from(
      { length: 12 },
      (_, index) => `event('Visited').where(property('n') > ${index}).mode(property('n'), 1) > ${index}`,
    ).join(' OR ');
    const before = await countEverything(stores);
    const refusal = await refusalOf(
      dryRun(stores, { ...large, kind: 'audience', definition: users(heavy), computation: null }, { maxSeconds: 0.05 }),
    );
    expect(refusal).toMatchObject({ kind: 'invalid', code: 'dry_run_too_long', field: 'definition.query' });
    expect(refusal.message).toContain('longer than 0.05 s');
    expect(await countEverything(stores)).toEqual(before);
  });

  test('when who asked has gone', async () => {
    await expect(tryOut('audience', upTo(3), null, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });
});
