import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { updateComputation } from '../../src/computations/index.ts';
import { inTransaction, type PostgresPool } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { createWorld, type World } from '../helpers/world.ts';
import { addScheduled, tick, endTask, take } from './schedule-world.ts';

let stores: TestPool;
let pool: PostgresPool;
let world: World;

beforeAll(async () => {
  stores = await createTestPool();
  ({ pool } = stores);
});
beforeEach(newWorld);
afterAll(async () => {
  await stores?.close();
});

/** A space of its own; what was there before is not due any more. */
async function newWorld(): Promise<void> {
  await pool.query('update computations set enabled = false');
  await pool.query(`update tasks set status = 'cancelled', ended_at = now() where ended_at is null`);
  world = await createWorld(pool);
}

/** Audiences by name, each with the names of those it refers to; all of them due. Those referred to come first. */
async function addAll(graph: Record<string, readonly string[]>): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const [key, refersTo] of Object.entries(graph)) {
    names.set(await addScheduled(pool, world, { key, refersTo, overdueSeconds: 5 }), key);
  }
  return names;
}

interface OpenRun {
  taskId: string;
  name: string;
}

/** One tick; the names of what it wrote runs for. */
async function tickNames(names: Map<string, string>): Promise<OpenRun[]> {
  const { ids } = await tick(pool);
  const { rows } = await pool.query<{ id: string; computation_id: string }>(
    'select id, computation_id from tasks where id = any ($1)',
    [ids],
  );
  return rows
    .map((row) => ({ taskId: row.id, name: names.get(row.computation_id) ?? '?' }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** Ticks until nothing is due, each run ended before the next tick; what was run in each. */
async function rounds(graph: Record<string, readonly string[]>): Promise<string[]> {
  const names = await addAll(graph);
  const done: string[] = [];
  for (;;) {
    const runs = await tickNames(names);
    if (runs.length === 0) return done;
    done.push(runs.map(({ name }) => name).join(' '));
    for (const { taskId } of runs) await endTask(pool, taskId);
  }
}

async function set(name: string, change: string): Promise<void> {
  await pool.query(`update computations set ${change} where space_id = $1 and key = $2`, [world.spaceId, name]);
}

describe('audiences that refer to others', () => {
  test('run in a chain one after the other, whatever the order in which they were due', async () => {
    expect(await rounds({ first: [], second: ['first'], third: ['second'] })).toEqual(['first', 'second', 'third']);
  });

  test('run in a diamond: both sides at once, and the end when both are done', async () => {
    expect(await rounds({ top: [], left: ['top'], right: ['top'], end: ['left', 'right'], apart: [] })).toEqual([
      'apart top',
      'left right',
      'end',
    ]);
  });

  test('wait for a run that is open, also one that is between its attempts or not admitted yet', async () => {
    const names = await addAll({ first: [], second: ['first'] });
    const [first] = await tickNames(names);
    for (const state of [`status = 'running'`, `status = 'backing_off'`, `status = 'pending', admitted_at = null`]) {
      await pool.query(`update tasks set ${state} where id = $1`, [first?.taskId]);
      expect((await take(pool)).due).toEqual([]);
    }
    await endTask(pool, first?.taskId ?? '');
    expect((await tickNames(names)).map(({ name }) => name)).toEqual(['second']);
  });

  test('wait for a slot that has come, while its run is behind it by jitter', async () => {
    await addAll({ first: [], second: ['first'] });
    await set('first', `next_run_at = now() + interval '1 second'`);
    expect((await take(pool)).due).toEqual([]);
  });

  test('wait for an edit of what they refer to', async () => {
    const names = await addAll({ first: [], second: ['first'] });
    await set('first', `next_slot_at = now() + interval '1 hour', next_run_at = now() + interval '1 hour'`);
    const address = { ...world, kind: 'audience' as const, id: [...names.keys()][0] ?? '' };
    const definition = { type: 'USERS' as const, query: "event('Visited').count() >= 3" };
    await inTransaction(pool, async (tx) => await updateComputation(tx, address, { definition }, world.actor));
    expect((await tickNames(names)).map(({ name }) => name)).toEqual(['first']);
  });

  test.each([
    ['is not due', `next_slot_at = now() + interval '1 hour', next_run_at = now() + interval '1 hour'`],
    ['is disabled', 'enabled = false'],
    ['is paused', 'paused_at = now()'],
    ['was deleted', 'deleted_at = now()'],
  ])('do not wait for one that %s', async (_what, change) => {
    const names = await addAll({ first: [], second: ['first'] });
    await set('first', change);
    expect((await tickNames(names)).map(({ name }) => name)).toEqual(['second']);
  });

  test('do not wait for one whose run failed, nor for one that waits for people, though its next slot has come', async () => {
    const names = await addAll({ first: [], second: ['first'] });
    const [failing] = await tickNames(names);
    await endTask(pool, failing?.taskId ?? '', 'failed');
    const [second] = await tickNames(names);
    expect(second?.name).toBe('second');
    await endTask(pool, second?.taskId ?? '');
    await set('first', 'next_run_at = now(), next_slot_at = now()');
    await set('second', 'next_run_at = now(), next_slot_at = now()');
    const [asking] = await tickNames(names);
    expect(asking?.name).toBe('first');
    await pool.query(`update tasks set status = 'awaiting_approval' where id = $1`, [asking?.taskId]);
    await set('first', 'next_run_at = now(), next_slot_at = now()');
    expect((await tickNames(names)).map(({ name }) => name)).toEqual(['second']);
  });

  test('wait for one that is always due only until it has had a run since', async () => {
    const names = await addAll({ first: [], second: ['first'] });
    const [before] = await tickNames(names);
    await set('second', `next_run_at = clock_timestamp(), next_slot_at = clock_timestamp()`);
    const again = async (): Promise<void> => {
      await set('first', `next_run_at = now() - interval '1 minute', next_slot_at = now() - interval '1 minute'`);
    };
    await again();
    // The run that was open when the second became due has not seen what this one would.
    await endTask(pool, before?.taskId ?? '');
    const [since] = await tickNames(names);
    expect(since?.name).toBe('first');
    await again();
    expect(await tickNames(names)).toEqual([]);
    await endTask(pool, since?.taskId ?? '', 'failed');
    expect((await tickNames(names)).map(({ name }) => name)).toEqual(['first', 'second']);
  });

  test('do not wait for one of the same key in another space', async () => {
    const { spaceId } = await createWorld(pool);
    const first = await addScheduled(pool, world, { key: 'first', overdueSeconds: 5 });
    await addAll({ second: ['first'] });
    await pool.query(`update computations set space_id = $1 where id = $2`, [spaceId, first]);
    expect((await take(pool)).due.map(({ name }) => name).sort()).toEqual(['first', 'second']);
  });

  test('that wait take no place in the batch from those that need not', async () => {
    await addAll({ first: [], ...Object.fromEntries([1, 2, 3, 4, 5].map((n) => [`waiting_${n}`, ['first']])) });
    const [run] = (await tick(pool)).ids;
    await addScheduled(pool, world, { key: 'free' });
    expect(await take(pool, 1)).toMatchObject({ due: [{ name: 'free' }] });
    await endTask(pool, run ?? '');
  });
});

/** What a computation is in, by the rules alone. */
interface Model {
  refersTo: number[];
  due: boolean;
  run: 'none' | 'open' | 'awaiting';
  on: boolean;
  /** By the count of what happened: when it became due, when its open run began, and when the latest of those that ended did. */
  dueSince: number;
  begunAt: number;
  endedBegunAt: number;
}

/** Whether one that refers to it waits for it. */
function holdsUp(model: Model, referrer: Model): boolean {
  if (!model.on || model.endedBegunAt >= referrer.dueSince) return false;
  return model.run === 'none' ? model.due : model.run === 'open';
}

test('in any graph, whatever becomes of the runs: none runs before what it refers to, and all come to run', async () => {
  const size = 7;
  // References go to lower numbers only: the API refuses cycles.
  const graph = fc.tuple(
    ...Array.from({ length: size }, (_, n) =>
      n === 0 ? fc.constant<number[]>([]) : fc.uniqueArray(fc.integer({ min: 0, max: n - 1 }), { maxLength: 3 }),
    ),
  );
  const command = fc.oneof(
    { weight: 4, arbitrary: fc.constant({ do: 'tick' as const, n: 0 }) },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constantFrom('due', 'succeed', 'fail', 'ask', 'switch', 'pause'),
        n: fc.nat(size - 1),
      }),
    },
  );
  await fc.assert(
    fc.asyncProperty(graph, fc.array(command, { maxLength: 25 }), async (references, commands) => {
      await newWorld();
      const names = await addAll(
        Object.fromEntries(references.map((refersTo, n) => [`a${n}`, refersTo.map((to) => `a${to}`)])),
      );
      const ids = [...names.keys()];
      let clock = 0;
      const models: Model[] = references.map((refersTo) => ({
        refersTo,
        due: true,
        run: 'none',
        on: true,
        dueSince: 0,
        begunAt: -1,
        endedBegunAt: -1,
      }));
      const runs = new Map<number, string>();

      const tickAndCompare = async (): Promise<void> => {
        const expected = models.flatMap((model, n) => {
          const waits = model.refersTo.some((to) => holdsUp(models[to] ?? model, model));
          return model.on && model.due && model.run === 'none' && !waits ? [`a${n}`] : [];
        });
        const begun = await tickNames(names);
        expect(begun.map(({ name }) => name)).toEqual(expected);
        for (const { name, taskId } of begun) {
          const n = Number(name.slice(1));
          Object.assign(models[n] ?? {}, { due: false, run: 'open', begunAt: clock });
          runs.set(n, taskId);
        }
      };
      const end = async (n: number, status: 'succeeded' | 'failed'): Promise<void> => {
        const run = runs.get(n);
        if (run === undefined) return;
        runs.delete(n);
        await endTask(pool, run, status);
        Object.assign(models[n] ?? {}, { run: 'none', endedBegunAt: models[n]?.begunAt });
      };

      for (const { do: what, n } of commands) {
        const model = models[n];
        if (model === undefined) continue;
        clock++;
        if (what === 'tick') await tickAndCompare();
        else if (what === 'succeed' || what === 'fail') await end(n, what === 'fail' ? 'failed' : 'succeeded');
        else if (what === 'ask' && model.run === 'open') {
          await pool.query(`update tasks set status = 'awaiting_approval' where id = $1`, [runs.get(n)]);
          model.run = 'awaiting';
        } else if (what === 'due') {
          await set(`a${n}`, 'next_run_at = now(), next_slot_at = now()');
          model.due = true;
          model.dueSince = clock;
        } else if (what === 'switch' || what === 'pause') {
          model.on = !model.on;
          const paused = what === 'pause' && !model.on;
          await set(`a${n}`, `enabled = ${model.on || paused}, paused_at = ${paused ? 'now()' : 'null'}`);
        }
      }
      // Everything on, every run ended: what is due comes to run within as many rounds as there are audiences.
      await pool.query('update computations set enabled = true, paused_at = null where id = any ($1)', [ids]);
      for (const model of models) model.on = true;
      for (let round = 0; round < size; round++) {
        for (const n of runs.keys()) await end(n, 'succeeded');
        clock++;
        await tickAndCompare();
      }
      expect(models.every(({ due }) => !due)).toBe(true);
    }),
    { numRuns: 15 },
  );
}, 120_000);
