import { afterAll, beforeAll, expect, test } from 'vitest';
import { EventWriter, WriterBusyError, type LogEntry } from '../../src/pipeline/index.ts';
import type { PostgresPool } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { createPipelineWorld, type PipelineWorld } from './pipeline-world.ts';

let db: TestPool;
let world: PipelineWorld;
beforeAll(async () => {
  db = await createTestPool();
  world = await createPipelineWorld(db.pool);
});
afterAll(async () => await db.close());

function entry(messageId: string, json = '{}'): LogEntry {
  return { workspaceId: world.workspaceId, sourceId: world.sourceId, messageId, type: 'track', json };
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
  await Promise.all(ids.map(async (id) => await writer.append([entry(id)])));
  expect(statements()).toBe(2);
  expect(await known('together')).toEqual(ids);
});

test("data that PostgreSQL refuses fails its own request, and nobody's else", async () => {
  const writer = new EventWriter(db.pool);
  const outcomes = await Promise.allSettled([
    writer.append([entry('mixed-1')]),
    writer.append([entry('mixed-2'), entry('mixed-3')]),
    writer.append([entry('mixed-4'), entry('mixed-5', '{"broken": ')]),
    writer.append([entry('mixed-6')]),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  expect(await known('mixed')).toEqual(['mixed-1', 'mixed-2', 'mixed-3', 'mixed-6']);
});

test('two writers that write the same messages in opposite order both succeed', async () => {
  const ids = Array.from({ length: 2_000 }, (_, n) => `opposite-${n}`);
  const writers = [new EventWriter(db.pool), new EventWriter(db.pool)];
  for (let round = 0; round < 5; round += 1) {
    const own = ids.map((id) => entry(`${id}-${round}`));
    await Promise.all([writers[0]?.append(own), writers[1]?.append(own.toReversed())]);
  }
  expect(await known('opposite')).toHaveLength(10_000);
});

test('it holds so much and no more', async () => {
  const writer = new EventWriter(db.pool);
  const large = JSON.stringify({ text: 'x'.repeat(8 * 1024 * 1024) });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 12 }, async (_, n) => await writer.append([entry(`large-${n}`, large)])),
  );
  const refused = outcomes.filter(({ status }) => status === 'rejected');
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.every((outcome) => outcome.status === 'rejected' && outcome.reason instanceof WriterBusyError)).toBe(
    true,
  );
  expect((await known('large')).length).toBe(12 - refused.length);
  // And takes more when that is written.
  await writer.append([entry('large-later')]);
});
