import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { countQuarantined, listQuarantined, redriveQuarantined } from '../../src/pipeline/index.ts';
import { createClickHouse, inTransaction, selectRows } from '../../src/store/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { createPipelineWorld, loadAll, send, testLoader, type PipelineWorld } from './pipeline-world.ts';
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

const loader = () => testLoader(stores, { leaseMs: 0 });

/** Loads on as a running loader does: a try that fails is followed by another. */
async function loadOn(): Promise<string[]> {
  const errors: string[] = [];
  for (let n = 0; n < 200; n += 1) {
    try {
      await loadAll(stores.pool, loader());
      return errors;
    } catch (error) {
      errors.push((error as Error).message);
    }
  }
  throw new Error(`not loaded: ${errors.at(-1)}`);
}

/** Writes rows into the log past all checks of ingest. */
async function bypass(events: unknown[], target: PipelineWorld = world): Promise<void> {
  for (const [index, event] of events.entries()) {
    await stores.pool.query(
      `insert into event_log (workspace_id, source_id, message_id, type, event) values ($1, $2, $3, 'track', $4::text::json)`,
      [target.workspaceId, target.sourceId, `raw-${index}`, typeof event === 'string' ? event : JSON.stringify(event)],
    );
  }
}

const at = { timestamp: '2026-01-01T00:00:00.000Z', receivedAt: '2026-01-01T00:00:00.000Z' };
const good = { type: 'track', event: 'Seen', messageId: 'm', userId: 'ann', ...at };
const tracks = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => ({
    type: 'track',
    event: 'Seen',
    messageId: `t${from + n}`,
    userId: `u${n % 7}`,
  }));

async function loadedIds(): Promise<string[]> {
  const rows = await selectRows<{ id: string }>(
    stores.clickhouse,
    'SELECT message_id AS id FROM events WHERE space_id = {space:String} ORDER BY id',
    { space: world.spaceId },
  );
  return rows.map(({ id }) => id);
}

async function expectSameProfiles(): Promise<void> {
  const copy = await selectRows(
    stores.clickhouse,
    `SELECT profile, user_id, anonymous_id, merged_into FROM profiles FINAL WHERE space_id = {space:String} ORDER BY profile`,
    { space: world.spaceId },
  );
  const truth = await stores.pool.query(
    `select profile, coalesce(user_id, '') as user_id, coalesce(anonymous_id, '') as anonymous_id, coalesce(merged_into, 0) as merged_into
     from profiles where space_id = $1 order by profile`,
    [world.spaceId],
  );
  expect(copy).toEqual(truth.rows);
}

async function trail(type: string): Promise<unknown[]> {
  const { rows } = await stores.pool.query(
    'select details from audit_events where workspace_id = $1 and type = $2 order by occurred_at',
    [world.workspaceId, type],
  );
  return rows.map(({ details }: { details: unknown }) => details);
}

describe('an event that can not be loaded', () => {
  const BAD: [string, unknown][] = [
    ['the event is no JSON object', 'null'],
    ['the event is no JSON object', '"text"'],
    ['the event is no JSON object', '[1]'],
    ['type is one of', { ...good, type: 'trak' }],
    ['type is one of', { ...good, type: undefined }],
    ['messageId', { ...good, messageId: 7 }],
    ['userId', { ...good, userId: 'a\0b' }],
    ['userId', { ...good, userId: 'x'.repeat(5_000) }],
    ['userId', { ...good, userId: { id: 1 } }],
    [
      'anonymousId',
      '{"type":"track","event":"E","messageId":"m","anonymousId":"\\ud800","timestamp":"2026-01-01","receivedAt":"2026-01-01"}',
    ],
    ['neither userId nor anonymousId', { ...good, userId: undefined }],
    ['an alias without previousId', { ...good, type: 'alias' }],
    ['event is no text', { ...good, event: { a: 1 } }],
    ['properties is no object', { ...good, properties: 'text' }],
    ['traits is no object', { ...good, type: 'identify', traits: [1] }],
    ['context is no object', { ...good, context: 3 }],
    ['timestamp', { ...good, timestamp: 'yesterday' }],
    ['timestamp', { ...good, timestamp: undefined }],
    ['timestamp', { ...good, timestamp: '0001-01-01T00:00:00.000Z' }],
    ['receivedAt', { ...good, receivedAt: 7 }],
  ];

  test('stops nobody: it is put aside with its reason, and told; the rest is loaded, once', async () => {
    const other = await createPipelineWorld(stores.pool);
    await send(stores.pool, world, tracks(20));
    await bypass(BAD.map(([, event]) => event));
    await send(stores.pool, other, tracks(5));
    await send(stores.pool, world, tracks(20, 20));
    expect(await loadOn()).toEqual([]);
    expect(await loadedIds()).toEqual(
      tracks(40)
        .map(({ messageId }) => messageId)
        .sort(),
    );
    await expectSameProfiles();
    const listed = await listQuarantined(stores.pool, { workspaceId: world.workspaceId, limit: 100 });
    const byId = new Map(listed.map((row) => [row.message_id, row]));
    for (const [index, [reason]] of BAD.entries()) {
      expect(byId.get(`raw-${index}`)).toMatchObject({ code: 'event_invalid', tries: 1, source_id: world.sourceId });
      expect(byId.get(`raw-${index}`)?.reason).toContain(reason);
    }
    expect(listed).toHaveLength(BAD.length);
    expect((await countQuarantined(stores.pool)).events).toBeGreaterThanOrEqual(BAD.length);
    expect(await trail('Events Quarantined')).toMatchObject([{ count: BAD.length, codes: ['event_invalid'] }]);
    expect(await listQuarantined(stores.pool, { workspaceId: other.workspaceId, limit: 1 })).toEqual([]);
  });

  test('of a workspace and source that there are not', async () => {
    await bypass(['7'], { ...world, workspaceId: 'ws_none', sourceId: world.sourceId });
    await stores.pool.query(
      `insert into event_log (workspace_id, source_id, message_id, type, event) values ('none', 'none', 'x', 'track', '7')`,
    );
    await send(stores.pool, world, tracks(2));
    expect(await loadOn()).toEqual([]);
    expect(await loadedIds()).toEqual(['t0', 't1']);
  });

  test('is loaded by a redrive, once, when what it failed for is gone; else it comes back', async () => {
    await bypass(['7', { ...good, messageId: 'raw-1', timestamp: 'x' }]);
    await send(stores.pool, world, tracks(3));
    await loadOn();
    await stores.pool.query(`update event_quarantine set event = $2 where source_id = $1 and message_id = 'raw-1'`, [
      world.sourceId,
      JSON.stringify({ ...good, messageId: 'raw-1' }),
    ]);
    const redrive = async () =>
      await inTransaction(
        stores.pool,
        async (tx) => await redriveQuarantined(tx, { sourceId: world.sourceId, actor: SYSTEM_ACTOR }),
      );
    expect(await redrive()).toBe(2);
    await send(stores.pool, world, tracks(1, 3));
    await loadOn();
    expect(await loadedIds()).toEqual(['raw-1', 't0', 't1', 't2', 't3']);
    expect(await listQuarantined(stores.pool, { sourceId: world.sourceId, limit: 9 })).toMatchObject([
      { message_id: 'raw-0', tries: 1 },
    ]);
    expect(await trail('Events Redriven')).toMatchObject([{ count: 2 }]);
  });
});

const identify = (n: number, email: string) => ({
  type: 'identify',
  messageId: `i${String(n).padStart(2, '0')}`,
  userId: `person-${n}`,
  traits: { email },
  timestamp: '2026-02-01T00:00:00.000Z',
});

describe('what only an engine finds', () => {
  test.each([
    ['ClickHouse', 'events', `ALTER TABLE events ADD CONSTRAINT poison CHECK event != 'Poison'`, 'clickhouse_failed'],
    ['PostgreSQL, after ClickHouse has all of the range', 'external_ids', '', 'postgres_statement'],
  ])('%s: the range is halved until the poison is alone', async (_, where, constraint, code) => {
    const inClickHouse = constraint !== '';
    // A merge and a trait that the range writes over, and that must be as before where the range is given up.
    await send(stores.pool, world, [
      identify(1, 'old@x'),
      { ...good, messageId: 'first', userId: undefined, anonymousId: 'a' },
    ]);
    await loadOn();
    if (inClickHouse) await stores.clickhouse.command({ query: constraint });
    else await stores.pool.query(`alter table external_ids add constraint poison check (value <> 'poison') not valid`);
    try {
      await send(stores.pool, world, [
        ...tracks(10),
        identify(1, 'new@x'),
        { ...good, messageId: 'poison', event: 'Poison', userId: 'poison', anonymousId: 'a', ...at },
        ...tracks(11, 10),
        { type: 'group', messageId: 'group', userId: 'u1', groupId: 'acme', traits: { size: 3 } },
      ]);
      const errors = await loadOn();
      expect(errors.length).toBeGreaterThanOrEqual(3);
      expect(await loadedIds()).toEqual(
        ['first', 'group', 'i01', 'i01', ...tracks(21).map(({ messageId }) => messageId)]
          .filter((id, index, all) => all.indexOf(id) === index)
          .sort(),
      );
    } finally {
      if (inClickHouse) await stores.clickhouse.command({ query: 'ALTER TABLE events DROP CONSTRAINT poison' });
      else await stores.pool.query('alter table external_ids drop constraint poison');
    }
    await expectSameProfiles();
    const [row] = await listQuarantined(stores.pool, { sourceId: world.sourceId, limit: 9 });
    expect(row).toMatchObject({ message_id: 'poison', code });
    expect(where).not.toBe('');
    await inTransaction(
      stores.pool,
      async (tx) => await redriveQuarantined(tx, { sourceId: world.sourceId, actor: SYSTEM_ACTOR }),
    );
    await send(stores.pool, world, tracks(1, 21));
    expect(await loadOn()).toEqual([]);
    expect((await loadedIds()).filter((id) => id === 'poison')).toEqual(['poison']);
    await expectSameProfiles();
    const state = await stores.pool.query('select cut_rows, careful_xid, undo, claimed_tries from consumers');
    expect(state.rows).toEqual([{ cut_rows: null, careful_xid: null, undo: null, claimed_tries: 0 }]);
  });

  test('a loader that is killed on the way goes on in the same way', { timeout: 240_000 }, async () => {
    await stores.pool.query(
      `alter table external_ids add constraint poison check (value not like 'poison%') not valid`,
    );
    try {
      const poison = (n: number) => ({
        ...good,
        messageId: `poison-${n}`,
        userId: `poison-${n}`,
        anonymousId: `d${n}`,
      });
      await send(stores.pool, world, [...tracks(60), poison(1), ...tracks(60, 60), poison(2), ...tracks(60, 120)]);
      const passed = async () =>
        (
          await stores.pool.query(
            `select from event_log l, consumers c where (l.xid, l.position) > (c.last_xid, c.last_position) limit 1`,
          )
        ).rowCount === 0;
      for (let kills = 0; kills < 12 && !(await passed()); kills += 1) {
        const child = await startLoaderProcess(stores);
        const before = JSON.stringify(
          (await stores.pool.query('select claimed_tries, undo, loaded_batches from consumers')).rows,
        );
        const deadline = Date.now() + 15_000;
        while (Date.now() < deadline && !(await passed())) {
          const now = JSON.stringify(
            (await stores.pool.query('select claimed_tries, undo, loaded_batches from consumers')).rows,
          );
          if (now !== before) break;
          await wait(2);
        }
        await wait(Math.random() * 40);
        child.kill();
        await child.ended;
      }
      await loadOn();
    } finally {
      await stores.pool.query('alter table external_ids drop constraint poison');
    }
    expect(await loadedIds()).toEqual(
      tracks(180)
        .map(({ messageId }) => messageId)
        .sort(),
    );
    await expectSameProfiles();
    const listed = await listQuarantined(stores.pool, { sourceId: world.sourceId, limit: 9 });
    expect(listed.map((row) => row.message_id)).toEqual(['poison-1', 'poison-2']);
  });

  test('an engine that is away is waited for: nothing is halved, nothing put aside', async () => {
    await send(stores.pool, world, tracks(10));
    const away = createClickHouse({ url: 'http://127.0.0.1:9/none', applicationName: 'test' });
    try {
      const waiting = testLoader({ ...stores, clickhouse: away }, { leaseMs: 0 });
      for (let n = 0; n < 8; n += 1) await expect(waiting.loadOnce()).rejects.toThrow();
    } finally {
      await away.close();
    }
    const { rows } = await stores.pool.query('select cut_rows, undo, claimed_tries from consumers');
    expect(rows).toEqual([{ cut_rows: null, undo: null, claimed_tries: 0 }]);
    expect(await loadOn()).toEqual([]);
    expect(await loadedIds()).toHaveLength(10);
    expect(await listQuarantined(stores.pool, { sourceId: world.sourceId, limit: 9 })).toEqual([]);
  });
});
