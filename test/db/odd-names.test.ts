import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dryRun } from '../../src/computations/index.ts';
import { getDefinition } from '../../src/destinations/index.ts';
import { mergeSettings } from '../../src/destinations/settings/settings.ts';
import { checkSubscriptions } from '../../src/destinations/settings/subscriptions.ts';
import {
  compileAudience,
  compileTrait,
  evaluateAudience,
  evaluateTrait,
  parseQuery,
  type Json,
  type QueryContext,
  type World as QueryWorld,
} from '../../src/query/index.ts';
import { selectRows } from '../../src/store/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { addAudience, addRun, connectWebhook, createWorld } from '../helpers/world.ts';
import { AS_OF, insertWorld } from './query-worlds.ts';
import { tasksOn } from './tasks-world.ts';

/* Names that JavaScript's objects have by themselves are names of a customer's traits, properties and events like any other. */
const NAMES = ['constructor', 'toString', 'hasOwnProperty', '__proto__', 'valueOf', 'prototype', '__defineGetter__'];

let stores: TestStores;
let receiver: Receiver;
beforeAll(async () => {
  stores = await createTestStores();
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver?.close();
  await stores?.close();
});

/** An object with this own key, as JSON.parse makes it. */
const withKey = (key: string, value: Json): Json =>
  JSON.parse(`{${JSON.stringify(key)}: ${JSON.stringify(value)}}`) as Json;

const nameArbitrary = fc.constantFrom(...NAMES);

let spaces = 0;

test('definitions mean the same in both implementations, whatever the names', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(nameArbitrary, nameArbitrary, nameArbitrary, async (trait, property, event) => {
      const world: QueryWorld = {
        profiles: [1, 2, 3].map((profile) => ({ profile, mergedInto: 0 })),
        events: [1, 1, 2].map((profile, at) => ({
          event,
          profile,
          timestampMs: AS_OF.getTime() - 1_000,
          messageId: `m${at}`,
          sourceId: 's',
          properties: withKey(property, withKey(trait, at + 1)),
          context: {},
        })),
        traits: [
          { profile: 1, trait, value: withKey(property, 5), version: 1 },
          { profile: 2, trait, value: 'x', version: 2 },
        ],
        audienceVersions: [],
        traitVersions: [],
      };
      const spaceId = `odd_${++spaces}`;
      await insertWorld(stores.clickhouse, spaceId, world);
      const context: QueryContext = { spaceId, asOf: AS_OF, traits: () => ({ from: 'profile' }) };
      const audience = parseQuery(
        `trait('${trait}.${property}') = 5 OR event('${event}').where(property('${property}.${trait}') > 2).count() = 1 OR trait('${trait}').absent()`,
      );
      const { sql, params } = compileAudience(audience, context);
      const [row] = await selectRows<{ members: number[] }>(
        stores.clickhouse,
        `SELECT arraySort(bitmapToArray(members)) AS members FROM (${sql})`,
        params,
      );
      expect(row?.members).toEqual(evaluateAudience(audience, context, world));
      expect(row?.members).toEqual([1, 2, 3]);
      const computed = parseQuery(`event('${event}').sum(property('${property}.${trait}'))`);
      const compiled = compileTrait(computed, context);
      const values = await selectRows<{ profile: number; value: string }>(
        stores.clickhouse,
        `SELECT * FROM (${compiled.sql}) ORDER BY profile`,
        compiled.params,
      );
      expect(values.map(({ profile, value }) => [profile, value])).toEqual([
        ...evaluateTrait(computed, context, world),
      ]);
    }),
    { numRuns: 15, interruptAfterTimeLimit: 20_000 },
  );
});

test(
  'a definition that reads such a trait is previewed, created, run and delivered',
  { timeout: 120_000 },
  async () => {
    const tasks = tasksOn(stores.pool, stores.clickhouse);
    const world = await createWorld(stores.pool);
    await insertWorld(stores.clickhouse, world.spaceId, {
      profiles: [{ profile: 1, mergedInto: 0 }],
      events: [],
      traits: NAMES.map((trait) => ({ profile: 1, trait, value: 'x', version: 1 })),
      audienceVersions: [],
      traitVersions: [],
    });
    // Without the one that is to be its key: a definition can't read itself.
    const query = NAMES.slice(1)
      .map((name) => `trait('${name}') = 'x'`)
      .join(' AND ');
    const preview = await dryRun(stores, {
      ...world,
      kind: 'audience',
      definition: { type: 'USERS', query },
      computation: null,
    });
    expect(preview.after).toBe(1);
    // Of these names, those that a key can be.
    const id = await addAudience(stores.pool, world, query, { key: 'constructor' });
    await connectWebhook(stores.pool, world, id, receiver.url);
    const [syncId = ''] = await tasks.execute(await addRun(stores.pool, world, id));
    await tasks.execute(syncId);
    expect(receiver.requests.flatMap(({ messages }) => messages)).toMatchObject([
      { event: 'Audience Entered', properties: { audience_key: 'constructor', constructor: true } },
    ]);
  },
);

describe('settings and mappings', () => {
  test.each(NAMES)('no destination is called %s', (name) => {
    expect(() => getDefinition(name)).toThrow(expect.objectContaining({ code: 'destination_unknown' }));
  });

  test.each(NAMES)('of a name that nobody knows (%s) are refused by that name, and change no other', (name) => {
    const merged = mergeSettings(getDefinition('webhook'), { kept: 1 }, withKey(name, 'x') as Record<string, unknown>);
    expect(Object.keys(merged)).toEqual(['kept', name]);
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
    const check = () =>
      checkSubscriptions(getDefinition('webhook'), [
        { mapping: { ...(withKey(name, 'x') as Record<string, unknown>), url: 'https://example.com/' } },
      ]);
    expect(check).toThrow(
      expect.objectContaining({ code: 'mapping_invalid', field: `subscriptions[0].mapping.${name}` }),
    );
  });
});
