import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loaderLag, trimEventLog, waitUntilLoaded } from '../../src/pipeline/index.ts';
import { selectRows, type ClickHouseClient } from '../../src/store/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import {
  append,
  addSpace,
  createPipelineWorld,
  loadAll,
  send,
  testLoader,
  type PipelineWorld,
} from './pipeline-world.ts';
import { startLoaderProcess } from './loader-process.ts';

let stores: TestStores;
let world: PipelineWorld;
beforeAll(async () => {
  stores = await createTestStores();
});
afterAll(async () => await stores.close());
beforeEach(async () => {
  world = await createPipelineWorld(stores.pool);
});
afterEach(async () => {
  // Whatever a test left claimed or leased, the next one starts without it.
  await loadAll(stores.pool, testLoader(stores, { leaseMs: 0 }));
});

let sent = 0;

function tracks(count: number, people = 50): Record<string, unknown>[] {
  return Array.from({ length: count }, () => {
    sent += 1;
    return {
      type: sent % 10 === 0 ? 'identify' : 'track',
      messageId: `m-${sent}`,
      userId: `user-${sent % people}`,
      ...(sent % 3 === 0 ? { anonymousId: `anonymous-${sent % people}` } : {}),
      ...(sent % 10 === 0 ? { traits: { n: sent } } : { event: 'Bought', properties: { n: sent } }),
    };
  });
}

async function countEvents(spaceId: string): Promise<{ rows: number; distinct: number }> {
  const [row] = await selectRows<{ rows: number; distinct: number }>(
    stores.clickhouse,
    'SELECT count() AS rows, uniqExact(message_id) AS distinct FROM events WHERE space_id = {space:String}',
    { space: spaceId },
  );
  return row ?? { rows: 0, distinct: 0 };
}

async function expectOnce(spaceId: string, count: number): Promise<void> {
  expect(await countEvents(spaceId)).toEqual({ rows: count, distinct: count });
  // The copy in ClickHouse says the same as the truth in PostgreSQL.
  const copy = await selectRows(
    stores.clickhouse,
    `SELECT profile, user_id, anonymous_id, merged_into FROM profiles FINAL WHERE space_id = {space:String} ORDER BY profile`,
    { space: spaceId },
  );
  const truth = await stores.pool.query(
    `select profile, coalesce(user_id, '') as user_id, coalesce(anonymous_id, '') as anonymous_id, coalesce(merged_into, 0) as merged_into
     from profiles where space_id = $1 order by profile`,
    [spaceId],
  );
  expect(copy).toEqual(truth.rows);
  const counters = await stores.pool.query<{ next_profile: number }>(
    'select next_profile from space_counters where space_id = $1',
    [spaceId],
  );
  expect(counters.rows[0]?.next_profile).toBe(truth.rows.length + 1);
}

/** The real client, with something in the way of its inserts. */
function withInserts(around: (insert: () => Promise<unknown>, table: string) => Promise<unknown>): ClickHouseClient {
  return new Proxy(stores.clickhouse, {
    get(client, name: keyof ClickHouseClient) {
      if (name !== 'insert') return client[name];
      return async (params: Parameters<ClickHouseClient['insert']>[0]) =>
        await around(async () => await client.insert(params), params.table);
    },
  });
}

describe('every event once', () => {
  test.each(['profiles', 'accounts', 'account_members', 'account_traits', 'profile_traits', 'events'])(
    'when loading fails after the insert into %s',
    async (table) => {
      const group = { type: 'group', groupId: 'g', traits: { size: 3 } };
      await send(stores.pool, world, [...tracks(20), { ...group, userId: 'user-1', messageId: `g-${table}` }]);
      const failing = withInserts(async (insert, into) => {
        const result = await insert();
        if (into === table) throw new Error('the connection broke');
        return result;
      });
      const loader = testLoader({ ...stores, clickhouse: failing }, { maxRows: 8, leaseMs: 0 });
      const seen: string[] = [];
      for (let attempt = 0; attempt < 6; attempt += 1) {
        await loader.loadOnce().catch((error: Error) => seen.push(error.message));
      }
      expect(seen).toContain('the connection broke');
      await loadAll(stores.pool, testLoader(stores, { leaseMs: 0 }));
      await expectOnce(world.spaceId, 21);
    },
  );

  test('when a process that lost its lease comes back in the middle', async () => {
    await send(stores.pool, world, tracks(20));
    let held: (() => void) | undefined;
    const hold = new Promise<void>((release) => (held = release));
    let reached: (() => void) | undefined;
    const inTheMiddle = new Promise<void>((resolve) => (reached = resolve));
    const slow = withInserts(async (insert, table) => {
      if (table === 'events') {
        reached?.();
        await hold;
      }
      return await insert();
    });
    const first = testLoader({ ...stores, clickhouse: slow }, { leaseMs: 1 });
    const outcome = first.loadOnce().then(
      () => 'loaded',
      (error: Error) => error.name,
    );
    await inTheMiddle;
    await loadAll(stores.pool, testLoader(stores, { leaseMs: 0, maxRows: 5 }));
    // A range that the first one knows nothing of changes who is who.
    await send(stores.pool, world, [{ type: 'alias', userId: 'user-1', previousId: 'user-2', messageId: 'late' }]);
    await loadAll(stores.pool, testLoader(stores, { leaseMs: 0 }));
    held?.();
    expect(await outcome).toBe('LeaseLostError');
    await expectOnce(world.spaceId, 21);
  });

  test('when a source is connected to a further space between two tries', async () => {
    await send(stores.pool, world, tracks(5));
    const failing = withInserts(async (insert, table) => {
      if (table === 'events') throw new Error('the connection broke');
      return await insert();
    });
    const broken = testLoader({ ...stores, clickhouse: failing }, { leaseMs: 0 });
    await expect(loadAll(stores.pool, broken)).rejects.toThrow('broke');
    const later = await addSpace(stores.pool, world);
    await loadAll(stores.pool, testLoader(stores, { leaseMs: 0 }));
    await send(stores.pool, world, tracks(3));
    await loadAll(stores.pool, testLoader(stores, { leaseMs: 0 }));
    await expectOnce(world.spaceId, 8);
    await expectOnce(later, 3);
  });

  test('when the process is killed again and again', { timeout: 120_000 }, async () => {
    const total = 6_000;
    let killed = 0;
    for (let at = 0; at < total; at += 500) await send(stores.pool, world, tracks(500, 400));
    for (;;) {
      const before = (await countEvents(world.spaceId)).rows;
      if (before >= total || killed >= 16) break;
      // Two at once: the second waits for the lease of the first, and takes over when it is gone.
      const children = await Promise.all([startLoaderProcess(stores), startLoaderProcess(stores)]);
      while ((await countEvents(world.spaceId)).rows <= before) await wait(1);
      // Mostly at once: then its events are in ClickHouse, and its offset has perhaps not moved.
      if (killed % 8 === 0) await wait(Math.random() * 100);
      for (const child of children) child.kill();
      await Promise.all(children.map(async (child) => await child.ended));
      killed += 2;
    }
    expect(killed).toBeGreaterThanOrEqual(4);
    await loadAll(stores.pool, testLoader(stores, { leaseMs: 0 }));
    await expectOnce(world.spaceId, total);
  });
});

describe('order', () => {
  test('an event whose transaction commits late is not missed', async () => {
    const late = await stores.pool.connect();
    try {
      await late.query('begin');
      await late.query(
        `insert into event_log (workspace_id, source_id, message_id, type, event)
         values ($1, $2, 'late-1', 'track', $3)`,
        [
          world.workspaceId,
          world.sourceId,
          JSON.stringify({
            type: 'track',
            event: 'Late',
            messageId: 'late-1',
            userId: 'u',
            timestamp: '2026-01-01T00:00:00.000Z',
            receivedAt: '2026-01-01T00:00:00.000Z',
          }),
        ],
      );
      await append(stores.pool, world, tracks(3));
      // What came after it waits for it.
      await testLoader(stores, { leaseMs: 0 }).loadOnce();
      expect(await waitUntilLoaded(stores.pool, 0)).toBe(false);
      expect(await countEvents(world.spaceId)).toEqual({ rows: 0, distinct: 0 });
      await late.query('commit');
    } finally {
      late.release();
    }
    await loadAll(stores.pool, testLoader(stores, { leaseMs: 0 }));
    await expectOnce(world.spaceId, 4);
  });
});

describe('a running loader', () => {
  test('loads what comes, says so, and gives its lease back', async () => {
    const stop = new AbortController();
    const running = testLoader(stores, { pollMs: 10, leaseMs: 60_000 }).run(stop.signal);
    await send(stores.pool, world, tracks(30));
    expect(await waitUntilLoaded(stores.pool, 20_000)).toBe(true);
    expect(await loaderLag(stores.pool)).toEqual({ rows: 0, bytes: 0, seconds: 0 });
    await expectOnce(world.spaceId, 30);
    stop.abort();
    await running;
    await send(stores.pool, world, tracks(2));
    expect(await waitUntilLoaded(stores.pool, 0)).toBe(false);
    const lag = await loaderLag(stores.pool);
    expect(lag).toMatchObject({ rows: 2 });
    expect(lag.bytes).toBeGreaterThan(100);
    expect(lag.seconds).toBeGreaterThan(0);
    await loadAll(stores.pool, testLoader(stores));
    await expectOnce(world.spaceId, 32);
  });

  test('waits while another has the lease', async () => {
    await send(stores.pool, world, tracks(2));
    const holder = testLoader(stores, { leaseMs: 60_000 });
    await loadAll(stores.pool, holder);
    expect(await testLoader(stores).loadOnce()).toEqual({ rows: 0, full: false, leased: false });
    await stores.pool.query(`update consumers set lease_owner = null where name = 'clickhouse'`);
    await stores.pool.query(`update consumers set leased_until = null where name = 'clickhouse'`);
  });

  test('goes on after an engine was away', async () => {
    let failures = 3;
    const flaky = withInserts(async (insert) => {
      failures -= 1;
      if (failures >= 0) throw new Error('connect ECONNREFUSED');
      return await insert();
    });
    await send(stores.pool, world, tracks(4));
    const stop = new AbortController();
    const running = testLoader({ ...stores, clickhouse: flaky }, { pollMs: 5 }).run(stop.signal);
    expect(await waitUntilLoaded(stores.pool, 20_000)).toBe(true);
    stop.abort();
    await running;
    await expectOnce(world.spaceId, 4);
  });
});

describe('what is loaded', () => {
  test('names, properties, traits, members, and texts of every kind', async () => {
    const time = '2026-01-02T03:04:05.678Z';
    const person = { userId: 'ann', timestamp: time };
    await send(
      stores.pool,
      world,
      [
        { type: 'page', name: 'Home', category: 'Docs', properties: { url: '/', name: 'under' }, ...person },
        { type: 'screen', name: 'Start', ...person },
        { type: 'track', event: 'Bought\0 "it" \\ \ud83d\ude00\ud83d', properties: { 'k\0': '\0', n: 1.5 }, ...person },
        { type: 'identify', traits: { plan: 'pro', 'odd key.\0': { deep: [null, 'é'] }, gone: null }, ...person },
        { type: 'group', groupId: 'acme', traits: { size: 10 }, ...person },
        { type: 'alias', previousId: 'before', ...person },
      ].map((message, index) => ({ ...message, messageId: `kind-${index}` })),
      Date.parse('2026-01-02T04:00:00.000Z'),
    );
    await loadAll(stores.pool, testLoader(stores));
    const events = await selectRows<Record<string, unknown>>(
      stores.clickhouse,
      `SELECT type, event, profile, timestamp, received_at, source_id, properties FROM events
       WHERE space_id = {space:String} ORDER BY message_id`,
      { space: world.spaceId },
    );
    const common = {
      profile: 1,
      timestamp: '2026-01-02 03:04:05.678',
      received_at: '2026-01-02 04:00:00.000',
      source_id: world.sourceId,
    };
    expect(
      events.map(({ properties, ...row }) => ({ ...row, properties: JSON.parse(String(properties)) as unknown })),
    ).toEqual([
      { ...common, type: 'page', event: 'Page Viewed', properties: { url: '/', name: 'Home', category: 'Docs' } },
      { ...common, type: 'screen', event: 'Screen Viewed', properties: { name: 'Start' } },
      {
        ...common,
        type: 'track',
        event: 'Bought\0 "it" \\ \ud83d\ude00\ufffd',
        properties: { 'k\0': '\0', n: 1.5 },
      },
      {
        ...common,
        type: 'identify',
        event: '',
        properties: { traits: { plan: 'pro', 'odd key.\0': { deep: [null, 'é'] }, gone: null } },
      },
      { ...common, type: 'group', event: '', properties: { groupId: 'acme', traits: { size: 10 } } },
      { ...common, type: 'alias', event: '', properties: { previousId: 'before' } },
    ]);
    expect(
      await selectRows(
        stores.clickhouse,
        'SELECT trait, value FROM profile_traits WHERE space_id = {space:String} ORDER BY trait',
        { space: world.spaceId },
      ),
    ).toEqual([
      { trait: 'gone', value: 'null' },
      { trait: 'odd key.\0', value: '{"deep":[null,"é"]}' },
      { trait: 'plan', value: '"pro"' },
    ]);
    const known = await stores.pool.query(
      'select type, value from external_ids where space_id = $1 order by type, value',
      [world.spaceId],
    );
    expect(known.rows).toEqual([
      { type: 'anonymous_id', value: 'before' },
      { type: 'user_id', value: 'ann' },
    ]);
  });

  test('the events of a source without a space are passed, and go nowhere', async () => {
    await stores.pool.query('delete from space_sources where source_id = $1', [world.sourceId]);
    await send(stores.pool, world, tracks(3));
    await loadAll(stores.pool, testLoader(stores));
    expect(await countEvents(world.spaceId)).toEqual({ rows: 0, distinct: 0 });
    expect(await waitUntilLoaded(stores.pool, 0)).toBe(true);
  });
});

describe('the log', () => {
  test('takes a message once, as long as it keeps it', async () => {
    const messages = tracks(5);
    expect(await send(stores.pool, world, messages)).toBe(5);
    expect(await send(stores.pool, world, [...messages, ...tracks(1)])).toBe(1);
    const other = await createPipelineWorld(stores.pool);
    expect(await send(stores.pool, other, messages)).toBe(5);
    await loadAll(stores.pool, testLoader(stores));
    await expectOnce(world.spaceId, 6);
    await expectOnce(other.spaceId, 5);
  });

  test('is trimmed of what all consumers have passed and what is old', async () => {
    await send(stores.pool, world, tracks(5));
    await loadAll(stores.pool, testLoader(stores));
    const count = async () => (await stores.pool.query('select from event_log')).rowCount;
    const before = await count();
    expect(await trimEventLog(stores.pool, { olderThanMs: 3_600_000 })).toBe(0);
    await send(stores.pool, world, tracks(2));
    // A consumer that has read nothing yet.
    await stores.pool.query(`insert into consumers (name) values ('behind')`);
    expect(await trimEventLog(stores.pool, { olderThanMs: 0 })).toBe(0);
    await stores.pool.query(`delete from consumers where name = 'behind'`);
    expect(await trimEventLog(stores.pool, { olderThanMs: 0, chunkRows: 2 })).toBe(before);
    expect(await count()).toBe(2);
    expect(await trimEventLog(stores.pool, { olderThanMs: 0 })).toBe(0);
  });
});
