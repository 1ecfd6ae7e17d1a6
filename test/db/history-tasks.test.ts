import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listTasks, readLeaving, readTask, type TaskView } from '../../src/tasks/index.ts';
import { newId } from '../../src/store/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { failFirst, refuseUsers, startReceiver, type Receiver } from '../helpers/receiver.ts';
import {
  addAudience,
  addPeople,
  addRun,
  connectWebhook,
  createWorld,
  eventually,
  type World,
} from '../helpers/world.ts';
import { tasksOn, type Tasks } from './tasks-world.ts';

let stores: TestStores;
let tasks: Tasks;
let receiver: Receiver;
let world: World;

beforeAll(async () => {
  stores = await createTestStores();
  receiver = await startReceiver();
  tasks = tasksOn(stores.pool, stores.clickhouse);
});
beforeEach(async () => {
  world = await createWorld(stores.pool);
  receiver.requests.length = 0;
  receiver.behave(() => undefined);
});
afterAll(async () => {
  await receiver?.close();
  await stores?.close();
});

const EVERYBODY = "event('Visited').count() >= 1";
const upTo = (n: number): string => `event('Visited').where(property('n') <= ${n}).count() >= 1`;

async function addComputed(count: number, options: { batchSize?: number } = {}) {
  await addPeople(stores.clickhouse, world, count);
  const computationId = await addAudience(stores.pool, world, EVERYBODY);
  const { destinationId, connectionId } = await connectWebhook(
    stores.pool,
    world,
    computationId,
    receiver.url,
    options.batchSize ?? 10,
  );
  const runId = await addRun(stores.pool, world, computationId);
  const [syncId = ''] = await tasks.execute(runId);
  return { computationId, destinationId, connectionId, runId, syncId };
}

async function view(taskId: string): Promise<TaskView> {
  const task = await readTask(stores.pool, { workspaceId: world.workspaceId, taskId });
  if (task === null) throw new Error(`no task ${taskId}`);
  return task;
}

const rowsOf = (task: TaskView) =>
  task.attempts.map(({ executions }) =>
    executions.map(({ step, outcome, code, rowsIn, rowsOut, rejected }) => [
      step,
      outcome,
      code,
      rowsIn,
      rowsOut,
      rejected,
    ]),
  );

describe('the history of a task', () => {
  test('has of every step and attempt how long it took, rows in, rows out, what was rejected, and why', async () => {
    const { runId, syncId } = await addComputed(30);
    const run = await view(runId);
    expect(rowsOf(run)).toEqual([
      [
        ['pin', 'completed', null, null, null, null],
        ['compute', 'completed', null, null, 30, null],
        ['diff', 'completed', null, 30, 30, null],
        ['guard', 'completed', null, null, null, null],
        ['commit', 'completed', null, 30, 30, null],
        ['fan_out', 'completed', null, null, null, null],
      ],
    ]);
    expect(run).toMatchObject({
      parentTaskId: null,
      rejectedRows: 0,
      rejectedReasons: [],
      progress: null,
      guard: null,
    });

    // Half of it is taken, the second request fails, and of the rest two are refused.
    const refuse = refuseUsers(['user-7', 'user-21'], { status: 400, body: 'no such person' });
    receiver.behave((request) => (request.number === 2 ? { status: 503 } : refuse(request)));
    const { attempt } = await tasks.begin(syncId);
    await tasks.step(syncId, attempt, 'prepare');
    await tasks.step(syncId, attempt, 'extract');
    await expect(tasks.step(syncId, attempt, 'deliver')).rejects.toThrow();
    const half = await view(syncId);
    expect(half.progress).toMatchObject({ step: 'deliver', total: 30, rowsPerSecond: null, secondsLeft: null });
    await tasks.fail(syncId, attempt);
    receiver.behave(refuse);
    await tasks.execute(syncId);

    const sync = await view(syncId);
    expect(sync.parentTaskId).toBe(runId);
    const [first = [], second = []] = rowsOf(sync);
    expect(first.map(([step, outcome, code]) => [step, outcome, code])).toEqual([
      ['prepare', 'completed', null],
      ['extract', 'completed', null],
      ['deliver', 'failed', 'destination_unavailable'],
    ]);
    expect(second.map(([step, outcome]) => [step, outcome])).toEqual([
      ['deliver', 'completed'],
      ['reconcile', 'completed'],
      ['finish', 'completed'],
    ]);
    expect(second[1]).toEqual(['reconcile', 'completed', null, 30, 28, 2]);
    // Of the two executions of deliver each has what was settled in it: together it is all there was.
    const delivered = [first[2], second[0]].map((row) => (row ?? []).slice(3).map(Number));
    expect(delivered[0]?.[0]).toBeGreaterThan(0);
    expect(delivered.reduce(([a = 0, b = 0, c = 0], [x = 0, y = 0, z = 0]) => [a + x, b + y, c + z])).toEqual([
      30, 28, 2,
    ]);

    expect(sync.rejectedRows).toBe(2);
    expect(sync.rejectedReasons).toMatchObject([{ status: 400, rows: 2 }]);
    expect(sync.rejectedReasons[0]?.reason).toContain('no such person');
    for (const one of [run, sync]) {
      expect(one.durationMs).toBeGreaterThanOrEqual(0);
      for (const { durationMs, executions } of one.attempts) {
        expect(durationMs).toBeGreaterThanOrEqual(0);
        for (const execution of executions) expect(execution.durationMs).toBeGreaterThanOrEqual(0);
      }
    }
    const [, , { startedAt, endedAt, durationMs } = {}] = sync.attempts[0]?.executions ?? [];
    // Both are rounded, one of them before the difference is taken.
    expect(Math.abs((endedAt?.getTime() ?? 0) - (startedAt?.getTime() ?? 0) - (durationMs ?? -9))).toBeLessThanOrEqual(
      1,
    );
    expect(sync.progress, 'nothing is under way any more').toBeNull();
  });

  test('groups why rows were rejected, most rows first', async () => {
    const { syncId } = await addComputed(12, { batchSize: 2 });
    receiver.behave(({ messages }) => {
      const number = Number(/\d+/.exec(messages[0]?.userId ?? '')?.[0] ?? 0);
      if (number > 10) return undefined;
      return number > 8 ? { status: 422, body: 'too young' } : { status: 400, body: 'no such person' };
    });
    await tasks.execute(syncId);
    const { rejectedRows, rejectedReasons } = await view(syncId);
    expect([rejectedRows, rejectedReasons.map(({ status, rows }) => [status, rows])]).toEqual([
      10,
      [
        [400, 8],
        [422, 2],
      ],
    ]);
  });

  test('says while it runs how far it is, how fast, and how long it will take', async () => {
    const { syncId } = await addComputed(40, { batchSize: 10 });
    receiver.behave(() => ({ delayMs: 300 }));
    const { attempt } = await tasks.begin(syncId);
    await tasks.step(syncId, attempt, 'prepare');
    await tasks.step(syncId, attempt, 'extract');
    const delivering = tasks.step(syncId, attempt, 'deliver');
    const seen = await eventually(
      async () => {
        const { progress } = await view(syncId);
        return progress?.rowsPerSecond == null ? null : progress;
      },
      { what: 'a rate', timeoutMs: 20_000 },
    );
    await delivering;
    expect(seen).toMatchObject({ step: 'deliver', total: 40 });
    expect(seen.done).toBeGreaterThan(0);
    expect(seen.done).toBeLessThanOrEqual(40);
    const { rowsPerSecond, secondsLeft } = seen;
    // A request every 0.3 s, of a webhook's ten messages.
    expect(rowsPerSecond).toBeGreaterThan(0);
    expect(rowsPerSecond).toBeLessThan(40);
    expect(secondsLeft).toBeGreaterThanOrEqual(Math.floor((40 - seen.done) / ((rowsPerSecond ?? 1) + 0.1)));
  });
});

describe('what holds a task back', () => {
  test('is said of one that is paused, and waits for its destination, with how far it is', async () => {
    const { computationId, syncId } = await addComputed(30);
    receiver.behave(failFirst(1, { status: 429, headers: { 'retry-after': '120' } }));
    const { attempt } = await tasks.begin(syncId);
    await tasks.step(syncId, attempt, 'prepare');
    await tasks.step(syncId, attempt, 'extract');
    await expect(tasks.step(syncId, attempt, 'deliver')).rejects.toThrow(/waits/);
    const waiting = await view(syncId);
    expect(waiting).toMatchObject({
      truth: { state: 'waiting_for_destination', needsAction: false },
      waitingFor: 'rate_limit',
      progress: { done: 0, total: 30, rowsPerSecond: null, secondsLeft: null },
    });
    const inMs = (waiting.waitingUntil?.getTime() ?? 0) - Date.now();
    expect(inMs).toBeGreaterThan(60_000);
    expect(inMs).toBeLessThanOrEqual(125_000);

    await stores.pool.query('update computations set paused_at = now() where id = $1', [computationId]);
    expect(await view(syncId)).toMatchObject({ truth: { state: 'paused', needsAction: false } });
    await stores.pool.query('update computations set paused_at = null where id = $1', [computationId]);
  });

  test('is not said of one that has ended', async () => {
    const { computationId, runId } = await addComputed(3);
    await stores.pool.query('update computations set paused_at = now() where id = $1', [computationId]);
    expect(await view(runId)).toMatchObject({ pausedAt: null, truth: { state: 'succeeded' } });
  });

  test('is said of a run that the guard stopped, with who would leave, page by page', async () => {
    await addPeople(stores.clickhouse, world, 300);
    const computationId = await addAudience(stores.pool, world, EVERYBODY);
    await tasks.execute(await addRun(stores.pool, world, computationId));
    await stores.pool.query('update computations set definition_query = $2 where id = $1', [computationId, upTo(50)]);
    const runId = await addRun(stores.pool, world, computationId);
    const leaving = async (cursor?: string, count = 100) =>
      await readLeaving(stores, { workspaceId: world.workspaceId, taskId: runId, cursor, count });
    await expect(leaving()).rejects.toMatchObject({ kind: 'conflict', code: 'leaving_not_known' });
    const { attempt } = await tasks.begin(runId);
    for (const step of ['pin', 'compute', 'diff', 'guard'] as const) await tasks.step(runId, attempt, step);

    const guard = { before: 300, after: 50, entered: 0, exited: 250, exitedShare: 250 / 300 };
    const stopped = await view(runId);
    expect(stopped).toMatchObject({ status: 'awaiting_approval', truth: { needsAction: true }, guard });
    expect(stopped.truth.sentence).toContain('250 of 300 members (83 %)');

    const first = await leaving();
    expect(first.guard).toEqual(guard);
    expect(first.leaving[0]).toEqual({ profile: 51, userId: 'user-51', anonymousId: '' });
    const second = await leaving(first.pagination.next);
    const third = await leaving(second.pagination.next);
    expect(third.pagination.next).toBeUndefined();
    const all = [...first.leaving, ...second.leaving, ...third.leaving].map(({ profile }) => profile);
    expect(all).toEqual(Array.from({ length: 250 }, (_, index) => 51 + index));
    const back = await leaving(third.pagination.previous);
    expect(back.leaving).toEqual(second.leaving);
    expect((await leaving(back.pagination.previous)).leaving).toEqual(first.leaving);
    await expect(leaving('bm9uc2Vuc2U')).rejects.toMatchObject({ code: 'cursor_invalid' });

    await stores.clickhouse.command({
      query: `ALTER TABLE audience_versions DELETE WHERE computation_id = {id:String} SETTINGS mutations_sync = 1`,
      query_params: { id: computationId },
    });
    await expect(leaving()).rejects.toMatchObject({ kind: 'not_found', code: 'leaving_gone' });
  });
});

describe('a list of tasks', () => {
  /** Tasks that were made in a few moments, so that many share one, and a list of them as it should be. */
  async function addMany(seed: readonly { moment: number; sync: boolean; status: string; second: boolean }[]) {
    const { pool } = stores;
    const first = await addAudience(pool, world, EVERYBODY, { key: 'first' });
    const second = await addAudience(pool, world, EVERYBODY, { key: 'second' });
    const destinations = {
      [first]: await connectWebhook(pool, world, first, receiver.url),
      [second]: await connectWebhook(pool, world, second, receiver.url),
    };
    const made = seed.map((one) => {
      const computationId = one.second ? second : first;
      return {
        ...one,
        id: newId('task'),
        computationId,
        connectionId: one.sync ? (destinations[computationId]?.connectionId ?? null) : null,
        destinationId: one.sync ? (destinations[computationId]?.destinationId ?? null) : null,
        // A microsecond apart is not the same.
        createdAt: `2026-01-0${one.moment + 1} 12:00:00.00000${one.moment}+00`,
      };
    });
    for (const task of made) {
      await pool.query(
        `insert into tasks (id, workspace_id, space_id, computation_id, connection_id, kind, reason, status, created_at, ended_at)
         values ($1, $2, $3, $4, $5, $6, 'scheduled', $7, $8, $9)`,
        [
          task.id,
          world.workspaceId,
          world.spaceId,
          task.computationId,
          task.connectionId,
          task.sync ? 'sync' : 'run',
          task.status,
          task.createdAt,
          task.status === 'running' ? null : '2026-02-01',
        ],
      );
    }
    return { first, second, destinations, made };
  }

  const outcome = fc.constantFrom('succeeded', 'failed', 'cancelled');
  const anySeed = fc.array(
    fc.record({ moment: fc.integer({ min: 0, max: 3 }), sync: fc.boolean(), status: outcome, second: fc.boolean() }),
    { minLength: 0, maxLength: 25 },
  );

  test('has each that matches once, newest first, whatever the page, forth and back', async () => {
    await fc.assert(
      fc.asyncProperty(
        anySeed,
        fc.record({
          count: fc.integer({ min: 1, max: 7 }),
          kind: fc.option(fc.constantFrom('run' as const, 'sync' as const), { nil: undefined }),
          status: fc.option(fc.constantFrom('succeeded' as const, 'failed' as const, 'open' as const), {
            nil: undefined,
          }),
          ofFirst: fc.boolean(),
          toFirst: fc.boolean(),
          range: fc.option(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 2, max: 4 })), {
            nil: undefined,
          }),
        }),
        async (seed, filters) => {
          world = await createWorld(stores.pool);
          const { first, destinations, made } = await addMany(seed);
          const destinationId = filters.toFirst ? destinations[first]?.destinationId : undefined;
          const day = (index: number) => new Date(`2026-01-0${index + 1}T12:00:00.000Z`);
          const expected = made
            .filter((task) => filters.kind === undefined || (filters.kind === 'sync') === task.sync)
            .filter((task) => filters.status === undefined || task.status === filters.status)
            .filter((task) => !filters.ofFirst || task.computationId === first)
            .filter((task) => destinationId === undefined || task.destinationId === destinationId)
            .filter(
              ({ moment }) => filters.range === undefined || (moment >= filters.range[0] && moment < filters.range[1]),
            )
            .sort((a, b) => (b.createdAt + b.id < a.createdAt + a.id ? -1 : 1))
            .map((task) => task.id);
          const page = async (cursor: string | undefined) =>
            await listTasks(stores.pool, {
              workspaceId: world.workspaceId,
              computationId: filters.ofFirst ? first : undefined,
              destinationId,
              kind: filters.kind,
              status: filters.status,
              from: filters.range === undefined ? undefined : day(filters.range[0]),
              to: filters.range === undefined ? undefined : day(filters.range[1]),
              count: filters.count,
              cursor,
            });
          const forth: string[][] = [];
          let last = await page(undefined);
          for (;;) {
            forth.push(last.tasks.map((task) => task.id));
            if (last.pagination.next === undefined) break;
            last = await page(last.pagination.next);
          }
          expect(forth.flat()).toEqual(expected);
          const back = [last.tasks.map((task) => task.id)];
          while (last.pagination.previous !== undefined) {
            last = await page(last.pagination.previous);
            back.unshift(last.tasks.map((task) => task.id));
          }
          expect(back.flat()).toEqual(expected);
        },
      ),
      { numRuns: 25 },
    );
  });

  test('is of its own workspace, and refuses a range that ends before it begins', async () => {
    const { first } = await addMany([{ moment: 0, sync: false, status: 'succeeded', second: false }]);
    const stranger = await createWorld(stores.pool);
    const of = async (workspaceId: string) =>
      await listTasks(stores.pool, { workspaceId, computationId: first, count: 5 });
    expect((await of(world.workspaceId)).tasks).toHaveLength(1);
    expect((await of(stranger.workspaceId)).tasks).toEqual([]);
    await expect(
      listTasks(stores.pool, { workspaceId: world.workspaceId, count: 5, from: new Date(2), to: new Date(1) }),
    ).rejects.toMatchObject({ code: 'time_range_invalid', field: 'to' });
  });

  test('finds the few that are open by their own index, among however many', async () => {
    await addMany([{ moment: 0, sync: false, status: 'running', second: false }]);
    const { tasks: open } = await listTasks(stores.pool, { workspaceId: world.workspaceId, status: 'open', count: 5 });
    const { tasks: running } = await listTasks(stores.pool, {
      workspaceId: world.workspaceId,
      status: 'running',
      count: 5,
    });
    expect(open).toHaveLength(1);
    expect(running).toEqual(open);
  });
});
