import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createPool, type PostgresPool } from '../../src/store/index.ts';
import { admitTasks } from '../../src/tasks/scheduling/admit-tasks.ts';
import { createAdmitter, type RunningAdmitter } from '../../src/tasks/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { createWorld, eventually, type World } from '../helpers/world.ts';
import { addTask, addWaitingRuns, addWorkspace, type AdmissionSpace } from './admission-world.ts';
import { endTask, silent } from './schedule-world.ts';

let stores: TestPool;
let pool: PostgresPool;

beforeAll(async () => {
  stores = await createTestPool();
  ({ pool } = stores);
});
beforeEach(endAll);
afterAll(async () => {
  await stores?.close();
});

async function endAll(): Promise<void> {
  await pool.query(`update tasks set status = 'cancelled', ended_at = now() where ended_at is null`);
}

async function only<T>(rows: Promise<T[]>): Promise<T> {
  const [row] = await rows;
  if (row === undefined) throw new Error('there is none');
  return row;
}

/** How many tasks of each of these spaces' workspaces have a place. */
async function inFlight(...worlds: World[]): Promise<number[]> {
  const { rows } = await pool.query<{ workspace_id: string; count: number }>(
    `select workspace_id, count(*) as count from tasks where ended_at is null and admitted_at is not null group by workspace_id`,
  );
  return worlds.map(({ workspaceId }) => rows.find((row) => row.workspace_id === workspaceId)?.count ?? 0);
}

describe('the caps', () => {
  test('of a space let ten runs begin, the oldest; and five backfills, which others pass', async () => {
    const space = await only(addWorkspace(pool, { spaces: 1, computations: 16, destinations: 0 }));
    const written: (string | null)[] = [];
    for (const [n, computationId] of space.computationIds.entries()) {
      written.push(await addTask(pool, space, { computationId, reason: n < 8 ? 'created' : 'scheduled' }));
    }
    const admitted = await admitTasks(pool, 100);
    // Backfills 1 to 5, and behind them the five oldest others.
    expect(new Set(admitted)).toEqual(new Set([...written.slice(0, 5), ...written.slice(8, 13)]));
    expect(await admitTasks(pool, 100)).toEqual([]);
    await endTask(pool, written[8] ?? '');
    expect(await admitTasks(pool, 100)).toEqual([written[13]]);
    // A backfill's end makes room for one.
    await endTask(pool, written[0] ?? '');
    expect(await admitTasks(pool, 100)).toEqual([written[5]]);
  });

  test('of a destination are its own, whatever the space has under way', async () => {
    const space = await only(addWorkspace(pool, { spaces: 1, computations: 8, destinations: 2 }));
    const [slow = '', quick = ''] = space.destinationIds;
    await pool.query('update destinations set max_syncs = 2 where id = $1', [slow]);
    for (const { id, computationId } of space.connections) {
      await addTask(pool, space, { computationId, connectionId: id });
    }
    await admitTasks(pool, 100);
    const { rows } = await pool.query<{ destination_id: string; count: number }>(
      `select n.destination_id, count(*) as count from tasks t join connections n on n.id = t.connection_id
       where t.ended_at is null and t.admitted_at is not null group by n.destination_id`,
    );
    expect(Object.fromEntries(rows.map((row) => [row.destination_id, row.count]))).toEqual({ [slow]: 2, [quick]: 5 });
  });

  test('do not count what waits for approval, nor what of a paused computation; and that is not admitted either', async () => {
    const space = await only(addWorkspace(pool, { spaces: 1, computations: 6, destinations: 0 }));
    await pool.query('update spaces set max_runs = 2 where id = $1', [space.spaceId]);
    const [asking = '', held = '', third = '', fourth = '', paused = ''] = space.computationIds;
    const tasks = new Map<string, string | null>();
    for (const computationId of [asking, held, third, fourth, paused]) {
      tasks.set(computationId, await addTask(pool, space, { computationId }));
    }
    await pool.query('update computations set paused_at = now() where id = $1', [paused]);
    expect(new Set(await admitTasks(pool, 100))).toEqual(new Set([tasks.get(asking), tasks.get(held)]));
    await pool.query(`update tasks set status = 'awaiting_approval' where id = $1`, [tasks.get(asking)]);
    expect(await admitTasks(pool, 100)).toEqual([tasks.get(third)]);
    await pool.query('update computations set paused_at = now() where id = $1', [held]);
    expect(await admitTasks(pool, 100)).toEqual([tasks.get(fourth)]);
    // All go on: that is two over the cap, and no further one begins before three have ended.
    await pool.query('update computations set paused_at = null where id = any ($1)', [[held, paused]]);
    await pool.query(`update tasks set status = 'running' where id = $1`, [tasks.get(asking)]);
    for (const done of [asking, held]) {
      expect(await admitTasks(pool, 100)).toEqual([]);
      await endTask(pool, tasks.get(done) ?? '');
    }
    expect(await admitTasks(pool, 100)).toEqual([]);
    await endTask(pool, tasks.get(third) ?? '');
    expect(await admitTasks(pool, 100)).toEqual([tasks.get(paused)]);
  });

  test('hold for what sleeps, but it is not among all that are in flight: a dead destination holds up nobody else', async () => {
    const space = await only(addWorkspace(pool, { spaces: 1, computations: 6, destinations: 1 }));
    for (const { id, computationId } of space.connections) {
      await addTask(pool, space, { computationId, connectionId: id });
    }
    expect(await admitTasks(pool, 3)).toHaveLength(3);
    await pool.query(
      `update tasks set status = 'running', waiting_until = now() + interval '1 hour', waiting_for = 'circuit'
       where ended_at is null and admitted_at is not null`,
    );
    // Three of five at the destination sleep, so two more fit there, and all three in flight.
    expect(await admitTasks(pool, 3)).toHaveLength(2);
    expect(await admitTasks(pool, 3)).toEqual([]);
    const other = await only(addWorkspace(pool, { spaces: 1, computations: 2, destinations: 0 }));
    for (const computationId of other.computationIds) await addTask(pool, other, { computationId });
    expect(await admitTasks(pool, 3)).toHaveLength(1);
    await pool.query(
      `update tasks set status = 'backing_off', waiting_until = null, waiting_for = null, retry_at = now() + interval '1 hour'
       where workspace_id = $1 and ended_at is null and admitted_at is not null`,
      [space.workspaceId],
    );
    expect(await admitTasks(pool, 3)).toHaveLength(1);
    // Awake again, they are in flight, more than three: nothing else begins.
    await pool.query('update tasks set retry_at = null where ended_at is null');
    for (const computationId of other.computationIds) await addTask(pool, other, { computationId });
    expect(await admitTasks(pool, 3)).toEqual([]);
  });
});

describe('workspaces', () => {
  test('take turns: ten thousand audiences in many spaces do not hold up two', async () => {
    const large = await addWorkspace(pool, { spaces: 40, computations: 0, destinations: 0 });
    for (const space of large) await addWaitingRuns(pool, space, 250);
    const small = await createWorld(pool);
    await addWaitingRuns(pool, small, 2);
    const medium = await createWorld(pool);
    await addWaitingRuns(pool, medium, 30);
    await pool.query('update spaces set max_runs = 20 where id = $1', [medium.spaceId]);
    // All at once: two for the small one, and the rest shared.
    expect(await admitTasks(pool, 20)).toHaveLength(20);
    expect(await inFlight(large[0] ?? small, small, medium)).toEqual([9, 2, 9]);
    // What one has under way counts: places that become free go to whoever has fewer.
    await pool.query(
      `update tasks set status = 'succeeded', ended_at = now() where workspace_id = $1 and ended_at is null and admitted_at is not null`,
      [medium.workspaceId],
    );
    await addWaitingRuns(pool, small, 30);
    expect(await admitTasks(pool, 20)).toHaveLength(9);
    expect(await inFlight(large[0] ?? small, small, medium)).toEqual([9, 5, 6]);
  });

  test('give their places to their oldest tasks, whatever the space', async () => {
    const spaces = await addWorkspace(pool, { spaces: 3, computations: 3, destinations: 0 });
    const written: (string | null)[] = [];
    for (const n of [0, 1, 2]) {
      for (const space of spaces) {
        written.push(await addTask(pool, space, { computationId: space.computationIds[n] ?? '' }));
      }
    }
    expect(new Set(await admitTasks(pool, 4))).toEqual(new Set(written.slice(0, 4)));
  });
});

describe('several at once', () => {
  test('never admit more than the caps and all places allow, whatever ends and is written meanwhile', async () => {
    const size = { spaces: 1, computations: 10, destinations: 1 };
    const spaces = await Promise.all(Array.from({ length: 6 }, async () => await only(addWorkspace(pool, size))));
    await pool.query('update spaces set max_runs = 4, max_backfills = 2');
    await pool.query('update destinations set max_syncs = 3');
    const pools = Array.from({ length: 4 }, () =>
      createPool({
        connectionString: stores.databaseUrl,
        applicationName: 'trailmark-test',
        max: 2,
        onError: () => undefined,
      }),
    );
    // Whoever decides takes his time, so that whoever decides beside him would not see what he does.
    await pool.query(`create function dawdle() returns trigger language plpgsql as $$
      begin perform pg_sleep(0.005); return new; end $$`);
    await pool.query(`create trigger dawdle before update on tasks for each row
      when (old.admitted_at is null and new.admitted_at is not null) execute function dawdle()`);
    const total = 120;
    const maxInFlight = 6;
    let ended = 0;
    const deadline = Date.now() + 40_000;
    // One workspace after the other comes in, so that whose turn it is changes while it is decided.
    const writing = (async () => {
      for (const space of spaces) {
        for (const [n, computationId] of space.computationIds.entries()) {
          await addTask(pool, space, { computationId, reason: n % 2 === 0 ? 'backfill' : 'scheduled' });
        }
        for (const { id, computationId } of space.connections) {
          await addTask(pool, space, { computationId, connectionId: id });
        }
      }
    })();
    // Each process admits without a pause, and ends what it admitted a little later.
    const admitting = pools.map(async (own) => {
      while (ended < total && Date.now() < deadline) {
        const ids = await admitTasks(own, maxInFlight);
        await new Promise((resolve) => setTimeout(resolve, 5));
        for (const id of ids) {
          await endTask(own, id);
          ended++;
        }
      }
    });
    await Promise.all([writing, ...admitting]);
    await Promise.all(pools.map(async (own) => await own.end()));
    await pool.query('drop function dawdle cascade');
    expect(ended).toBe(total);

    // An end is written down before it is committed, an admission after it has seen the ends: so no overlap is only seeming.
    const { rows } = await pool.query<{ cap: string; backfill: boolean; from: string; to: string }>(
      `select coalesce(n.destination_id, t.space_id) as cap, t.reason = 'backfill' as backfill,
         extract(epoch from t.admitted_at)::text as from, extract(epoch from t.ended_at)::text as to
       from tasks t left join connections n on n.id = t.connection_id where t.workspace_id = any ($1)`,
      [spaces.map(({ workspaceId }) => workspaceId)],
    );
    const most = (of: typeof rows): number => {
      const moments = of
        .flatMap(({ from, to }) => [
          { at: Number(from), by: 1 },
          { at: Number(to), by: -1 },
        ])
        .sort((one, other) => one.at - other.at || one.by - other.by);
      let now = 0;
      return Math.max(...moments.map(({ by }) => (now += by)));
    };
    expect(most(rows)).toBe(maxInFlight);
    for (const space of spaces) {
      expect(most(rows.filter(({ cap }) => cap === space.spaceId))).toBeLessThanOrEqual(4);
      expect(most(rows.filter(({ cap, backfill }) => cap === space.spaceId && backfill))).toBeLessThanOrEqual(2);
      expect(most(rows.filter(({ cap }) => cap === space.destinationIds[0]))).toBeLessThanOrEqual(3);
    }
  });

  test('leave a task alone that someone is working on, and do not wait for it', async () => {
    const space = await only(addWorkspace(pool, { spaces: 1, computations: 2, destinations: 0 }));
    const [locked, free] = [
      await addTask(pool, space, { computationId: space.computationIds[0] ?? '' }),
      await addTask(pool, space, { computationId: space.computationIds[1] ?? '' }),
    ];
    const client = await pool.connect();
    try {
      await client.query('begin');
      await client.query('select from tasks where id = $1 for update', [locked]);
      expect(await admitTasks(pool, 100)).toEqual([free]);
      await client.query('rollback');
    } finally {
      client.release();
    }
    expect(await admitTasks(pool, 100)).toEqual([locked]);
  });
});

describe('an admitter', () => {
  let admitter: RunningAdmitter | undefined;
  let started: string[];
  let failing: Set<string>;

  function open(maxInFlight = 100): RunningAdmitter {
    started = [];
    failing = new Set();
    admitter = createAdmitter({
      pool,
      logger: silent,
      maxInFlight,
      startTask: async (taskId) => {
        if (failing.has(taskId)) throw new Error('no Temporal');
        started.push(taskId);
        await pool.query('update tasks set dispatched_at = clock_timestamp() where id = $1', [taskId]);
      },
    });
    return admitter;
  }

  async function addRuns(space: AdmissionSpace, count: number): Promise<string[]> {
    const ids: string[] = [];
    for (const computationId of space.computationIds.slice(0, count)) {
      ids.push((await addTask(pool, space, { computationId })) ?? '');
    }
    return ids;
  }

  test('starts what it admits, whoever wrote it, and says how many of those it was asked for', async () => {
    const space = await only(addWorkspace(pool, { spaces: 1, computations: 4, destinations: 0 }));
    const ids = await addRuns(space, 4);
    const one = open(3);
    expect(await one.admit([ids[1] ?? '', ids[3] ?? ''])).toBe(1);
    expect(started.sort()).toEqual(ids.slice(0, 3).sort());
    await endTask(pool, ids[0] ?? '');
    expect(await one.admit()).toBe(1);
    expect(started).toHaveLength(4);
    await one.close();
  });

  test('calls that come together are served together', async () => {
    const space = await only(addWorkspace(pool, { spaces: 1, computations: 6, destinations: 0 }));
    const ids = await addRuns(space, 6);
    const one = open();
    const counts = await Promise.all(ids.map(async (id) => await one.admit([id])));
    expect(counts).toEqual([1, 1, 1, 1, 1, 1]);
    expect(started.sort()).toEqual([...ids].sort());
    await one.close();
  });

  test('gives the place of a task that ended to the next, soon after it was asked', async () => {
    const space = await only(addWorkspace(pool, { spaces: 1, computations: 3, destinations: 0 }));
    const ids = await addRuns(space, 3);
    const one = open(1);
    await one.admit();
    for (const id of ids.slice(0, 2)) {
      await endTask(pool, id);
      for (let n = 0; n < 50; n++) one.requestAdmission();
      const next = ids[ids.indexOf(id) + 1] ?? '';
      await eventually(async () => await Promise.resolve(started.includes(next) ? true : null), {
        what: 'the next start',
        timeoutMs: 5_000,
      });
    }
    await one.close();
  });

  test('starts twenty at once, however many it admits, and those that wait for that not twice', async () => {
    const space = await createWorld(pool);
    await addWaitingRuns(pool, space, 60);
    await pool.query('update spaces set max_runs = 60 where id = $1', [space.spaceId]);
    let atOnce = 0;
    let most = 0;
    const asked: string[] = [];
    const one = createAdmitter({
      pool,
      logger: silent,
      maxInFlight: 100,
      startTask: async (taskId) => {
        asked.push(taskId);
        most = Math.max(most, ++atOnce);
        await new Promise((resolve) => setTimeout(resolve, 50));
        await pool.query('update tasks set dispatched_at = clock_timestamp() where id = $1', [taskId]);
        atOnce--;
      },
    });
    const all = one.admit();
    await eventually(async () => await Promise.resolve(asked.length > 0 ? true : null), { what: 'the first start' });
    // Those that still wait for their start look as if someone had not been able to start them.
    await pool.query(`update tasks set admitted_at = admitted_at - interval '3 seconds' where ended_at is null`);
    await Promise.all([all, one.admit()]);
    expect(new Set(asked).size).toBe(60);
    // One whose start has just come back may be asked for again; forty still waited.
    expect(asked.length).toBeLessThanOrEqual(80);
    expect(most).toBe(20);
    await one.close();
  });

  test('that is closed ends the starts under way, and leaves the others to other processes', async () => {
    const space = await createWorld(pool);
    await addWaitingRuns(pool, space, 60);
    await pool.query('update spaces set max_runs = 60 where id = $1', [space.spaceId]);
    const begun: string[] = [];
    let ended = 0;
    const one = createAdmitter({
      pool,
      logger: silent,
      maxInFlight: 100,
      startTask: async (taskId) => {
        begun.push(taskId);
        await new Promise((resolve) => setTimeout(resolve, 100));
        ended++;
      },
    });
    const all = one.admit();
    await eventually(async () => await Promise.resolve(begun.length > 0 ? true : null), { what: 'the first start' });
    await one.close();
    expect({ begun: begun.length, ended, started: await all }).toEqual({ begun: 20, ended: 20, started: 20 });
    await pool.query(`update tasks set admitted_at = admitted_at - interval '3 seconds' where ended_at is null`);
    const other = open();
    expect(await other.admit()).toBe(60);
    await other.close();
  });

  test('leaves what can not be started to the next look of all', async () => {
    const space = await only(addWorkspace(pool, { spaces: 1, computations: 2, destinations: 0 }));
    const [first = '', second = ''] = await addRuns(space, 2);
    const one = open();
    failing.add(first);
    expect(await one.admit([first, second])).toBe(1);
    failing.clear();
    await pool.query(`update tasks set admitted_at = admitted_at - interval '3 seconds' where id = $1`, [first]);
    expect(await one.admit()).toBe(1);
    expect(started).toEqual([second, first]);
    await one.close();
  });
});
