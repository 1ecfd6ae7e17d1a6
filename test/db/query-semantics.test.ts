import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  compileAudience,
  compileTrait,
  evaluateAudience,
  evaluateTrait,
  parseQuery,
  type QueryContext,
  type World,
} from '../../src/query/index.ts';
import { selectRows, type ClickHouseClient } from '../../src/store/index.ts';
import { canonicalJson, parseJson, stringifyJson } from '../../src/exact-json.ts';
import { storedToJson } from '../../src/stored-json.ts';
import { createTestStores } from '../helpers/engines.ts';
import { CONDITIONS, DATE_CONDITIONS, REDUCTIONS, eventsWith } from './query-examples.ts';
import { audienceArbitrary, traitArbitrary } from './query-definitions.ts';
import { AS_OF, insertWorld, resolverOf, worldArbitrary } from './query-worlds.ts';

let stores: Awaited<ReturnType<typeof createTestStores>>;
let clickhouse: ClickHouseClient;
beforeAll(async () => {
  stores = await createTestStores();
  clickhouse = stores.clickhouse;
});
afterAll(async () => {
  await stores.close();
});

const contextOf = (spaceId: string): QueryContext => ({ spaceId, asOf: AS_OF, traits: resolverOf(spaceId) });

/** Who is in an audience, by the engine. */
async function members(text: string, spaceId: string): Promise<number[]> {
  const { sql, params } = compileAudience(parseQuery(text), contextOf(spaceId));
  const rows = await selectRows<{ members: number[] }>(
    clickhouse,
    `SELECT bitmapToArray(members) AS members FROM (${sql})`,
    params,
  );
  expect(rows).toHaveLength(1);
  return (rows[0]?.members ?? []).sort((a, b) => a - b);
}

/** The values of a computed trait, by the engine: profile and JSON, in order. */
async function values(text: string, spaceId: string): Promise<[number, string][]> {
  const { sql, params } = compileTrait(parseQuery(text), contextOf(spaceId));
  const rows = await selectRows<{ profile: number; value: string }>(clickhouse, sql, params);
  return rows
    .map(({ profile, value }): [number, string] => [profile, normalised(storedToJson(value))])
    .sort(([a], [b]) => a - b);
}

/** JSON that means the same is the same, but numbers keep all their digits. */
function normalised(json: string): string {
  return /^["[{]/.test(json) ? canonicalJson(stringifyJson(parseJson(json))) : json;
}

const nothing: World = { profiles: [], events: [], traits: [], audienceVersions: [], traitVersions: [] };

let spaces = 0;
async function insert(world: World): Promise<string> {
  const spaceId = `spa_${++spaces}`;
  await insertWorld(clickhouse, spaceId, world);
  return spaceId;
}

describe('the compiled SQL means what the reference evaluator says', () => {
  // All worlds stay in the tables, each a space with the same profile numbers, events and traits as the others: a query
  // that is not held to its space sees them.
  const evaluation = { asOf: AS_OF, traits: resolverOf('') };

  it('for random audiences over random worlds', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        worldArbitrary,
        fc.array(audienceArbitrary, { minLength: 16, maxLength: 16 }),
        async (world, texts) => {
          const spaceId = await insert(world);
          const compare = async (text: string) => {
            const expected = evaluateAudience(parseQuery(text), evaluation, world);
            expect(await members(text, spaceId), text).toEqual(expected);
          };
          await Promise.all(texts.map(compare));
        },
      ),
      { numRuns: 30, interruptAfterTimeLimit: 10_000 },
    );
  });

  it('for random computed traits over random worlds', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        worldArbitrary,
        fc.array(traitArbitrary, { minLength: 16, maxLength: 16 }),
        async (world, texts) => {
          const spaceId = await insert(world);
          const compare = async (text: string) => {
            const expected = [...evaluateTrait(parseQuery(text), evaluation, world)];
            expect(await values(text, spaceId), text).toEqual(
              expected.map(([profile, json]) => [profile, normalised(json)]),
            );
          };
          await Promise.all(texts.map(compare));
        },
      ),
      { numRuns: 15, interruptAfterTimeLimit: 10_000 },
    );
  });
});

describe('the compiled SQL', () => {
  it('agrees with every example', { timeout: 60_000 }, async () => {
    const conditions = [...CONDITIONS, ...DATE_CONDITIONS];
    const profiles = conditions.map((_, index) => ({ profile: index + 1, mergedInto: 0 }));
    const traits = conditions.flatMap(([value], index) =>
      value === undefined ? [] : [{ profile: index + 1, trait: 't', value, version: index }],
    );
    const events = REDUCTIONS.flatMap(([reduced], index) => eventsWith(reduced, index + 1));
    const spaceId = await insert({ ...nothing, profiles, traits, events });
    for (const [index, [value, condition, holds]] of conditions.entries()) {
      const isMember = (await members(`trait('t')${condition}`, spaceId)).includes(index + 1);
      expect(isMember, `${JSON.stringify(value)}${condition}`).toBe(holds);
    }
    for (const [index, [reduced, chain, result]] of REDUCTIONS.entries()) {
      const json = new Map(await values(`event('A')${chain}`, spaceId)).get(index + 1);
      const value: unknown = json === undefined ? undefined : JSON.parse(json);
      expect(value, `${JSON.stringify(reduced)}${chain}`).toEqual(result);
    }
  });

  const event = { event: 'A', sourceId: 's', context: {}, timestampMs: AS_OF.getTime() };

  it('adds amounts up exactly, in whatever order', async () => {
    const events = Array.from({ length: 1000 }, (_, index) => ({
      ...event,
      profile: 1,
      messageId: `m${index}`,
      properties: { price: index % 2 === 0 ? 0.1 : 0.2 },
    }));
    const spaceId = await insert({ ...nothing, profiles: [{ profile: 1, mergedInto: 0 }], events });
    expect(await values("event('A').sum(property('price'))", spaceId)).toEqual([[1, '150']]);
    expect(await members("event('A').sum(property('price')) > 150", spaceId)).toEqual([]);
    expect(
      await members("event('A').sum(property('price')) = 150 AND event('A').avg(property('price')) = 0.15", spaceId),
    ).toEqual([1]);
  });

  it('does not overflow: what is too large to compute with is no number', async () => {
    const digits = '9'.repeat(28);
    const events = [digits, digits, `${digits}9`].map((price, index) => ({
      ...event,
      profile: 1,
      messageId: `m${index}`,
      properties: { price },
    }));
    const spaceId = await insert({ ...nothing, profiles: [{ profile: 1, mergedInto: 0 }], events });
    expect(await values("event('A').sum(property('price'))", spaceId)).toEqual([[1, `1${'9'.repeat(27)}8`]]);
    expect(await members(`event('A').sum(property('price')) > ${digits}`, spaceId)).toEqual([1]);
    expect(await members(`event('A').avg(property('price')) = ${digits}`, spaceId)).toEqual([1]);
  });

  it('has profiles without any event where their absence is what is asked for, and no others', async () => {
    const profiles = [
      { profile: 1, mergedInto: 0 },
      { profile: 2, mergedInto: 0 },
      { profile: 3, mergedInto: 2 },
    ];
    const events = [{ ...event, profile: 3, messageId: 'm', properties: { price: 5 } }];
    const spaceId = await insert({ ...nothing, profiles, events });
    expect(await members("event('A').count() = 0", spaceId)).toEqual([1]);
    expect(await members("event('A').count() < 2", spaceId)).toEqual([1, 2]);
    expect(await members("event('A').sum(property('price')).absent()", spaceId)).toEqual([1]);
    expect(await members("event('A').sum(property('price')) != 4", spaceId)).toEqual([2]);
    expect(await members("NOT event('A').sum(property('price')) = 4", spaceId)).toEqual([1, 2]);
    expect(await values("event('A').count()", spaceId)).toEqual([[2, '1']]);
  });

  it('breaks ties of first and last by message id', async () => {
    const events = ['m2', 'm10', 'M3'].map((messageId, index) => ({
      ...event,
      profile: 1,
      messageId,
      properties: { p: index },
    }));
    const spaceId = await insert({ ...nothing, profiles: [{ profile: 1, mergedInto: 0 }], events });
    expect(await values("event('A').first(property('p'))", spaceId)).toEqual([[1, '2']]);
    expect(await values("event('A').last(property('p'))", spaceId)).toEqual([[1, '0']]);
  });

  it('carries nothing of a definition in its text', () => {
    const nasty = `x') OR 1=1 --`;
    const text = `event("${nasty}").where(property("${nasty}") = "${nasty}" AND property('p').one_of("${nasty}", 4711)).sources({exclude: "${nasty}"}).max(context("${nasty}")) > 4711 OR trait("${nasty}").contains("${nasty}")`;
    const { sql, params } = compileAudience(parseQuery(text), contextOf(nasty));
    expect(sql).not.toContain('OR 1=1');
    expect(sql).not.toContain('4711');
    expect(Object.values(params)).toContain(nasty);
  });

  it('runs the largest definitions that the language allows', { timeout: 120_000 }, async () => {
    const spaceId = await insert({ ...nothing, profiles: [{ profile: 1, mergedInto: 0 }] });
    const comparison = (index: number) =>
      `event('A').first(property('p${index}')) != event('B').mode(property('q${index}'), 2)`;
    const audience = Array.from({ length: 50 }, (_, index) => comparison(index)).join(' OR ');
    expect(await members(audience, spaceId)).toEqual([]);
    const field = (index: number) => `property('p${index}') != trait('t${index}')`;
    const trait = `event('A').where(${Array.from({ length: 49 }, (_, index) => field(index)).join(' OR ')}).count()`;
    expect(await values(trait, spaceId)).toEqual([]);
    const list = `trait('t').none_of(${Array.from({ length: 1600 }, (_, index) => index).join(',')}) OR trait('t').absent()`;
    expect(await members(list, spaceId)).toEqual([1]);
  });
});
