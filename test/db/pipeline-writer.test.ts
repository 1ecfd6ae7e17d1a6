import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import {
  appendEvents,
  EventWriter,
  outlastAppends,
  updateSource,
  WriterBusyError,
  type LogRequest,
} from '../../src/pipeline/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import type { PostgresPool } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { createPipelineWorld, requestOf, type PipelineWorld } from './pipeline-world.ts';

let db: TestPool;
let world: PipelineWorld;
beforeAll(async () => {
  db = await createTestPool();
  world = await createPipelineWorld(db.pool);
});
afterAll(async () => await db.close());

function request(...messageIds: string[]): LogRequest {
  return requestOf(
    world,
    messageIds.map((messageId) => ({ messageId, type: 'track', json: '{}' })),
  );
}

function requestWith(messageId: string, json: string): LogRequest {
  return requestOf(world, [{ messageId, type: 'track', json }]);
}

/** The pool, which counts its statements. */
function counting(): { pool: PostgresPool; statements: () => number } {
  let statements = 0;
  const pool = new Proxy(db.pool, {
    get(target, name: keyof PostgresPool) {
      if (name !== 'query') return target[name];
      statements += 1;
      return target.query.bind(target);
    },
  });
  return { pool, statements: () => statements };
}

async function known(prefix: string): Promise<string[]> {
  const { rows } = await db.pool.query<{ message_id: string }>(
    'select message_id from event_log where message_id like $1 order by event_log.xid, position',
    [`${prefix}%`],
  );
  return rows.map((row) => row.message_id);
}

test('requests that come while a statement is on its way share the next one', async () => {
  const { pool, statements } = counting();
  const writer = new EventWriter(pool);
  const ids = Array.from({ length: 20 }, (_, n) => `together-${String(n).padStart(2, '0')}`);
  await Promise.all(ids.map(async (id) => await writer.append(request(id))));
  expect(statements()).toBe(2);
  expect(await known('together')).toEqual(ids);
});

test("data that PostgreSQL refuses fails its own request, and nobody's else", async () => {
  const writer = new EventWriter(db.pool);
  const outcomes = await Promise.allSettled([
    writer.append(request('mixed-1')),
    writer.append(request('mixed-2', 'mixed-3')),
    writer.append(requestWith('mixed-5', '{"broken": ')),
    writer.append(request('mixed-6')),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  expect(await known('mixed')).toEqual(['mixed-1', 'mixed-2', 'mixed-3', 'mixed-6']);
});

test('two writers that write the same messages in opposite order both succeed', async () => {
  const ids = Array.from({ length: 2_000 }, (_, n) => `opposite-${n}`);
  const writers = [new EventWriter(db.pool), new EventWriter(db.pool)];
  for (let round = 0; round < 5; round += 1) {
    const own = ids.map((id) => `${id}-${round}`);
    await Promise.all([writers[0]?.append(request(...own)), writers[1]?.append(request(...own.toReversed()))]);
  }
  expect(await known('opposite')).toHaveLength(10_000);
});

test('it holds so much and no more', async () => {
  const writer = new EventWriter(db.pool);
  const large = JSON.stringify({ text: 'x'.repeat(8 * 1024 * 1024) });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 12 }, async (_, n) => await writer.append(requestWith(`large-${n}`, large))),
  );
  const refused = outcomes.filter(({ status }) => status === 'rejected');
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.every((outcome) => outcome.status === 'rejected' && outcome.reason instanceof WriterBusyError)).toBe(
    true,
  );
  expect((await known('large')).length).toBe(12 - refused.length);
  // And takes more when that is written.
  await writer.append(request('large-later'));
});

async function switchOff(source: PipelineWorld): Promise<void> {
  await updateSource(db.pool, { ...source, enabled: false, actor: SYSTEM_ACTOR });
}

test('what comes under a key that lets nothing in any more is refused, and goes together with what is not', async () => {
  const { pool, statements } = counting();
  const writer = new EventWriter(pool);
  const off = await createPipelineWorld(db.pool);
  await switchOff(off);
  const refused = requestOf(off, [{ messageId: 'door-off', type: 'track', json: '{}' }]);
  const first = writer.append(request('door-1'));
  const together = await Promise.all([
    writer.append(request('door-2')),
    writer.append(refused),
    writer.append(request('door-3')),
  ]);
  expect(await first).toBe(true);
  expect(together).toEqual([true, false, true]);
  expect(statements()).toBe(2);
  expect(await known('door')).toEqual(['door-1', 'door-2', 'door-3']);
});

test('who switches a source off waits for what was begun before, and not for what comes after', async () => {
  const off = await createPipelineWorld(db.pool);
  const under = (messageId: string): LogRequest => requestOf(off, [{ messageId, type: 'track', json: '{}' }]);
  const [before, after] = [await db.pool.connect(), await db.pool.connect()];
  try {
    await before.query('begin');
    expect((await appendEvents(before, [under('outlast-before')])).refused.size).toBe(0);
    await switchOff(off);
    let waits = true;
    const { pool, statements } = counting();
    const outlasted = outlastAppends(pool).finally(() => {
      waits = false;
    });
    await vi.waitUntil(() => statements() >= 2);
    await after.query('begin');
    const late = under('outlast-after');
    expect((await appendEvents(after, [late])).refused).toEqual(new Set([late]));
    expect(waits).toBe(true);
    await before.query('commit');
    await outlasted;
    expect(await known('outlast')).toEqual(['outlast-before']);
  } finally {
    for (const client of [before, after]) {
      await client.query('rollback');
      client.release();
    }
  }
});
