import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PostgresPool } from '../../src/store/index.ts';
import { admitTasks } from '../../src/tasks/scheduling/admit-tasks.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { addTask, addWorkspace, type AdmissionSpace } from './admission-world.ts';
import { endTask } from './schedule-world.ts';

let stores: TestPool;
let pool: PostgresPool;
let spaces: AdmissionSpace[];

beforeAll(async () => {
  stores = await createTestPool();
  ({ pool } = stores);
  const size = { computations: 5, destinations: 2 };
  spaces = [
    ...(await addWorkspace(pool, { ...size, spaces: 2 })),
    ...(await addWorkspace(pool, { ...size, spaces: 1 })),
    ...(await addWorkspace(pool, { ...size, spaces: 1 })),
  ];
});
afterAll(async () => {
  await stores?.close();
});

/** A task as the rules see it. */
interface Task {
  id: string;
  order: number;
  workspaceId: string;
  spaceId: string;
  computationId: string;
  /** null for a run */
  destinationId: string | null;
  backfill: boolean;
  admitted: boolean;
  asleep: boolean;
  awaiting: boolean;
}

interface Caps {
  runs: number;
  backfills: number;
  syncs: number;
}

interface Model {
  tasks: Task[];
  paused: Set<string>;
  caps: Caps;
}

/** The rules, one place after the other. */
function admit(model: Model, maxInFlight: number): string[] {
  const held = (): Task[] =>
    model.tasks.filter((task) => task.admitted && !task.awaiting && !model.paused.has(task.computationId));
  const fits = (task: Task): boolean => {
    if (task.destinationId !== null) {
      return held().filter(({ destinationId }) => destinationId === task.destinationId).length < model.caps.syncs;
    }
    const runs = held().filter(({ destinationId, spaceId }) => destinationId === null && spaceId === task.spaceId);
    if (runs.length >= model.caps.runs) return false;
    return !task.backfill || runs.filter(({ backfill }) => backfill).length < model.caps.backfills;
  };
  const admitted: string[] = [];
  for (;;) {
    const flying = held().filter(({ asleep }) => !asleep);
    if (flying.length >= maxInFlight) return admitted;
    const heads = new Map<string, Task>();
    for (const task of model.tasks.toSorted((one, other) => one.order - other.order)) {
      if (task.admitted || model.paused.has(task.computationId) || heads.has(task.workspaceId)) continue;
      if (fits(task)) heads.set(task.workspaceId, task);
    }
    const flyingOf = (task: Task): number =>
      flying.filter(({ workspaceId }) => workspaceId === task.workspaceId).length;
    const [next] = [...heads.values()].sort((one, other) => flyingOf(one) - flyingOf(other) || one.order - other.order);
    if (next === undefined) return admitted;
    next.admitted = true;
    admitted.push(next.id);
  }
}

const picks = { a: fc.nat(), b: fc.nat() };
const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), ...picks }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('admit' as const), ...picks }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('end' as const), ...picks }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('sleep' as const, 'ask' as const, 'pause' as const), ...picks }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cap' as const), ...picks }) },
);

test('whatever is written, ends, sleeps, asks or is paused: the next places go to those that the rules say', async () => {
  let order = 0;
  const at = <T>(list: readonly T[], pick: number): T | undefined => list[pick % list.length];

  /** Writes a run, a backfill or a sync of some computation; nothing where it has one open. */
  const write = async (model: Model, pick: number, what: number): Promise<void> => {
    const space = at(spaces, pick);
    if (space === undefined) return;
    const connection = at(space.connections, Math.floor(pick / 7));
    const computationId = connection?.computationId ?? '';
    const isSync = what % 2 === 0;
    const backfill = !isSync && what % 4 === 1;
    const id = await addTask(pool, space, {
      computationId,
      ...(isSync ? { connectionId: connection?.id ?? '' } : {}),
      reason: backfill ? 'backfill' : 'scheduled',
    });
    if (id === null) return;
    order++;
    await pool.query(`update tasks set created_at = timestamptz '2026-01-01' + $2 * interval '1 s' where id = $1`, [
      id,
      order,
    ]);
    model.tasks.push({
      id,
      order,
      workspaceId: space.workspaceId,
      spaceId: space.spaceId,
      computationId,
      destinationId: isSync ? (connection?.destinationId ?? '') : null,
      backfill,
      admitted: false,
      asleep: false,
      awaiting: false,
    });
  };

  const change = async (model: Model, what: 'sleep' | 'ask' | 'pause', pick: number, way: number): Promise<void> => {
    if (what === 'pause') {
      const computationId = at(at(spaces, pick)?.computationIds ?? [], Math.floor(pick / 7)) ?? '';
      const paused = !model.paused.has(computationId);
      if (paused) model.paused.add(computationId);
      else model.paused.delete(computationId);
      await pool.query('update computations set paused_at = case when $2::boolean then now() end where id = $1', [
        computationId,
        paused,
      ]);
      return;
    }
    const task = at(
      model.tasks.filter(({ admitted, destinationId }) => admitted && (what === 'sleep' || destinationId === null)),
      pick,
    );
    if (task === undefined) return;
    if (what === 'ask') {
      task.awaiting = !task.awaiting;
      task.asleep = false;
    } else {
      task.asleep = !task.asleep;
      task.awaiting = false;
    }
    // Between attempts, or waiting for the destination; a time that is over is none.
    await pool.query(
      `update tasks set status = $2,
         retry_at = case when $4::boolean then now() + $3 * interval '1 s' end,
         waiting_until = case when not $4::boolean then now() + $3 * interval '1 s' end
       where id = $1`,
      [task.id, task.awaiting ? 'awaiting_approval' : 'running', task.asleep ? 3_600 : -1, way % 2 === 0],
    );
  };

  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 60 }), async (commands) => {
      await pool.query('delete from tasks');
      await pool.query('update computations set paused_at = null');
      const model: Model = { tasks: [], paused: new Set(), caps: { runs: 3, backfills: 1, syncs: 2 } };
      const setCaps = async (): Promise<void> => {
        await pool.query('update spaces set max_runs = $1, max_backfills = $2', [
          model.caps.runs,
          model.caps.backfills,
        ]);
        await pool.query('update destinations set max_syncs = $1', [model.caps.syncs]);
      };
      await setCaps();
      for (const { do: what, a, b } of commands) {
        if (what === 'write') {
          for (let n = 0; n < 4; n++) await write(model, a + n * 11, b + n);
        } else if (what === 'end') {
          const task = at(model.tasks, a);
          if (task === undefined) continue;
          model.tasks = model.tasks.filter(({ id }) => id !== task.id);
          await endTask(pool, task.id, b % 2 === 0 ? 'succeeded' : 'cancelled');
        } else if (what === 'cap') {
          model.caps = { runs: 1 + (a % 4), backfills: 1 + (b % 3), syncs: 1 + (a % 3) };
          await setCaps();
        } else if (what === 'admit') {
          const maxInFlight = a % 12;
          const expected = admit(model, maxInFlight);
          expect((await admitTasks(pool, maxInFlight)).sort()).toEqual(expected.sort());
        } else {
          await change(model, what, a, b);
        }
      }
    }),
    { numRuns: 40, endOnFailure: true },
  );
}, 120_000);
