import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectComputation } from '../../src/connections/index.ts';
import { createDestination, updateDestination } from '../../src/destinations/index.ts';
import { FAILURES, isFailureCode, type FailureCode } from '../../src/errors.ts';
import { inTransaction, type PostgresPool, type Transaction } from '../../src/store/index.ts';
import { createTask, recordFailure } from '../../src/tasks/index.ts';
import { clearHardFailures, countHardFailure } from '../../src/tasks/attempts/auto-disable.ts';
import { lockTask } from '../../src/tasks/model/lock-task.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { addAudience, createWorld, destinationDeps, type World } from '../helpers/world.ts';
import { tasksOn, type Tasks } from './tasks-world.ts';

let stores: TestPool;
let pool: PostgresPool;
let tasks: Tasks;
let world: World;

beforeAll(async () => {
  stores = await createTestPool();
  ({ pool } = stores);
  tasks = tasksOn(pool);
});
beforeEach(async () => {
  world = await createWorld(pool);
});
afterAll(async () => {
  await stores?.close();
});

const HARD: FailureCode = 'destination_credentials_rejected';
const QUERY = "event('Visited').count() >= 1";
let keys = 0;

const change = async <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => await inTransaction(pool, work);

async function addComputation(kind: 'audience' | 'computed_trait' = 'audience'): Promise<string> {
  const query = kind === 'audience' ? QUERY : "event('Visited').count()";
  return await addAudience(pool, world, query, { key: `key_${++keys}`, kind });
}

async function connect(computationId: string, name = `Tool ${++keys}`) {
  return await change(async (tx) => {
    const destination = await createDestination(tx, destinationDeps, {
      ...world,
      slug: 'webhook',
      name,
      subscriptions: [{ trigger: 'type = "track"', mapping: { url: 'http://127.0.0.1:9/' } }],
    });
    const input = { ...world, computationId, destinationId: destination.id };
    const connection = await connectComputation(tx, destinationDeps, input);
    return { connectionId: connection.id, destinationId: destination.id };
  });
}

/** A task that is begun: a run of the computation, or a sync of one of its connections. */
async function begin(computationId: string, connectionId?: string): Promise<string> {
  const taskId = await change(
    async (tx) =>
      await createTask(tx, {
        ...world,
        computationId,
        ...(connectionId === undefined
          ? { kind: 'run' as const, reason: 'scheduled' as const }
          : { kind: 'sync' as const, connectionId, reason: 'fan_out' as const }),
      }),
  );
  if (taskId === null) throw new Error('one is open already');
  await tasks.begin(taskId);
  return taskId;
}

/** Ends a begun task by a hard failure, whatever its code, as its last attempt does that has lost as many workers as it may. */
async function end(taskId: string, code: FailureCode): Promise<void> {
  await pool.query('update tasks set attempt = max_attempts, losses = 2 where id = $1', [taskId]);
  await pool.query('update attempts set attempt = 6 where task_id = $1', [taskId]);
  const policy = { backoff: tasks.deps.backoff, random: () => 0.5 };
  const step = code === HARD ? 'deliver' : 'compute';
  expect(await recordFailure(pool, { taskId, attempt: 6, step, code, detail: '' }, policy)).toMatchObject({
    next: 'end',
  });
}

async function succeed(taskId: string): Promise<void> {
  await change(async (tx) => {
    const task = await lockTask(tx, taskId);
    await tx.query(`update tasks set status = 'succeeded', ended_at = clock_timestamp() where id = $1`, [taskId]);
    await clearHardFailures(tx, task);
  });
}

async function fail(computationId: string, connectionId?: string, code = HARD): Promise<void> {
  await end(await begin(computationId, connectionId), code);
}

interface State {
  enabled: boolean;
  hard_failures: number;
  disabled_reason: string | null;
}

async function stateOf(computationId: string): Promise<State> {
  const { rows } = await pool.query<State>(
    'select enabled, hard_failures, disabled_reason from computations where id = $1',
    [computationId],
  );
  return rows[0] as State;
}

async function connectionOf(connectionId: string) {
  const { rows } = await pool.query<{ suspended: boolean; suspended_reason: string | null; hard_failures: number }>(
    'select suspended_at is not null as suspended, suspended_reason, hard_failures from connections where id = $1',
    [connectionId],
  );
  return rows[0];
}

/** What the system did to the computation, and what people were told of it. */
async function tellingsOf(computationId: string) {
  const { rows } = await pool.query<{
    type: string;
    actor_kind: string;
    details: Record<string, unknown>;
    title: string | null;
    body: string | null;
  }>(
    `select e.type, e.actor_kind, e.details, a.title, a.body
     from audit_events e left join alerts a on a.audit_event_id = e.id and a.kind = 'notice'
     where e.resource_id = $1 and (e.type like '% Disabled' or e.type like '% Suspended') order by e.id`,
    [computationId],
  );
  return rows;
}

async function setLimit(limit: number | null): Promise<void> {
  await pool.query('update workspace_settings set auto_disable_after = $2 where workspace_id = $1', [
    world.workspaceId,
    limit,
  ]);
}

describe('runs that fail for good', () => {
  test.each([
    ['audience', 'Audience Disabled', 'Audience'],
    ['computed_trait', 'Computed Trait Disabled', 'Computed trait'],
  ] as const)('three times in a row disable their %s, and people are told once', async (kind, type, noun) => {
    const id = await addComputation(kind);
    await fail(id, undefined, 'clickhouse_query');
    await fail(id, undefined, 'clickhouse_memory');
    expect(await stateOf(id)).toEqual({ enabled: true, hard_failures: 2, disabled_reason: null });
    expect(await tellingsOf(id)).toEqual([]);
    await fail(id, undefined, 'clickhouse_query');
    const reason = `3 runs in a row failed for good. The last one, at the step compute: ${FAILURES.clickhouse_query.sentence}`;
    expect(await stateOf(id)).toEqual({ enabled: false, hard_failures: 3, disabled_reason: reason });
    const told = await tellingsOf(id);
    expect(told).toMatchObject([
      {
        type,
        actor_kind: 'system',
        details: {
          because: 'hard_failures',
          reason,
          hardFailures: 3,
          autoDisableAfter: 3,
          step: 'compute',
          code: 'clickhouse_query',
        },
        title: expect.stringMatching(new RegExp(`^${noun} "key_\\d+" was disabled$`)),
      },
    ]);
    expect(told[0]?.body?.split('\n')).toEqual([
      reason,
      FAILURES.clickhouse_query.action,
      'It does not run until someone enables it again; it then starts clean.',
    ]);
    const alerts = await pool.query('select decision from alerts where kind = $1 and computation_id = $2', [
      'notice',
      id,
    ]);
    expect(alerts.rows).toEqual([{ decision: 'sent' }]);
  });

  test('of which one in between succeeds do not', async () => {
    const id = await addComputation();
    for (const success of [false, false, true, false, false]) {
      if (success) await succeed(await begin(id));
      else await fail(id, undefined, 'definition_invalid');
    }
    expect(await stateOf(id)).toEqual({ enabled: true, hard_failures: 2, disabled_reason: null });
  });

  test('for a reason that all computations share are not counted, and end no row', async () => {
    const id = await addComputation();
    for (const code of Object.keys(FAILURES).filter(isFailureCode)) {
      if (!FAILURES[code].counts) await fail(id, undefined, code);
    }
    expect(await stateOf(id)).toMatchObject({ enabled: true, hard_failures: 0 });
    await fail(id, undefined, 'unknown');
    await fail(id, undefined, 'postgres_unavailable');
    await fail(id, undefined, 'step_timeout');
    expect(await stateOf(id)).toMatchObject({ enabled: true, hard_failures: 2 });
    await fail(id, undefined, 'unknown');
    expect(await stateOf(id)).toMatchObject({ enabled: false });
  });

  test.each([
    [1, 1],
    [5, 5],
  ])('are counted to the limit of the workspace: %i', async (limit, times) => {
    await setLimit(limit);
    const id = await addComputation();
    for (let time = 1; time <= times; time++) {
      expect(await stateOf(id)).toMatchObject({ enabled: true });
      await fail(id, undefined, 'definition_invalid');
    }
    expect(await stateOf(id)).toMatchObject({ enabled: false, hard_failures: times });
    expect((await stateOf(id)).disabled_reason).toMatch(limit === 1 ? /^A run failed for good/ : /^5 runs in a row/);
  });

  test('are only counted where the workspace switched it off', async () => {
    await setLimit(null);
    const id = await addComputation();
    for (let time = 0; time < 6; time++) await fail(id, undefined, 'definition_invalid');
    expect(await stateOf(id)).toEqual({ enabled: true, hard_failures: 6, disabled_reason: null });
  });

  test('count to three for a workspace that has no settings', async () => {
    await pool.query('delete from workspace_settings where workspace_id = $1', [world.workspaceId]);
    const id = await addComputation();
    for (let time = 0; time < 2; time++) await fail(id, undefined, 'definition_invalid');
    expect(await stateOf(id)).toMatchObject({ enabled: true });
    await fail(id, undefined, 'definition_invalid');
    expect(await stateOf(id)).toMatchObject({ enabled: false });
  });

  test('of a computation that a person disabled meanwhile tell nothing more', async () => {
    const id = await addComputation();
    await fail(id, undefined, 'definition_invalid');
    await fail(id, undefined, 'definition_invalid');
    const last = await begin(id);
    await pool.query('update computations set enabled = false where id = $1', [id]);
    await end(last, 'definition_invalid');
    expect(await stateOf(id)).toEqual({ enabled: false, hard_failures: 3, disabled_reason: null });
    expect(await tellingsOf(id)).toEqual([]);
  });

  test('that are not written count nothing: all is one transaction', async () => {
    await setLimit(1);
    const id = await addComputation();
    const taskId = await begin(id);
    await pool.query(`alter table alerts add constraint none_for_now check (kind <> 'notice') not valid`);
    try {
      await expect(end(taskId, 'definition_invalid')).rejects.toThrow('none_for_now');
    } finally {
      await pool.query('alter table alerts drop constraint none_for_now');
    }
    expect(await stateOf(id)).toEqual({ enabled: true, hard_failures: 0, disabled_reason: null });
    const events = await pool.query('select type from audit_events where task_id = $1', [taskId]);
    expect(events.rows).toEqual([]);
  });
});

describe('syncs that fail for good', () => {
  test('three times in a row disable an audience that has no other destination', async () => {
    const id = await addComputation();
    const { connectionId } = await connect(id, 'Receiver');
    for (let time = 0; time < 3; time++) await fail(id, connectionId);
    const last = `The last one, at the step deliver: ${FAILURES[HARD].sentence}`;
    expect(await connectionOf(connectionId)).toEqual({
      suspended: true,
      suspended_reason: `3 syncs in a row failed for good. ${last}`,
      hard_failures: 3,
    });
    const reason = `It has nowhere to be sent any more: 3 syncs in a row to Receiver failed for good. ${last}`;
    expect(await stateOf(id)).toEqual({ enabled: false, hard_failures: 0, disabled_reason: reason });
    expect(await tellingsOf(id)).toMatchObject([
      { type: 'Audience Destination Sync Suspended', actor_kind: 'system', title: null },
      { type: 'Audience Disabled', details: { because: 'no_destination_left', reason, destinations: 1 } },
    ]);
  });

  test('suspend their own connection, and an audience with good ones goes on until the last is gone', async () => {
    const id = await addComputation();
    const good = await connect(id, 'Good');
    const bad = await connect(id, 'Bad');
    const worse = await connect(id, 'Worse');
    for (let time = 0; time < 3; time++) await fail(id, bad.connectionId);
    expect(await stateOf(id)).toEqual({ enabled: true, hard_failures: 0, disabled_reason: null });
    expect(await connectionOf(bad.connectionId)).toMatchObject({ suspended: true });
    expect(await connectionOf(good.connectionId)).toMatchObject({ suspended: false, hard_failures: 0 });
    const [told] = await tellingsOf(id);
    expect(told).toMatchObject({
      type: 'Audience Destination Sync Suspended',
      details: { hardFailures: 3, connectionId: bad.connectionId, destinationName: 'Bad', code: HARD },
    });
    expect(told?.title).toMatch(/^Audience "key_\d+": syncs to Bad are suspended$/);
    expect(told?.body).toContain('Its 2 other destinations go on.');

    for (let time = 0; time < 3; time++) await fail(id, worse.connectionId);
    expect((await tellingsOf(id))[1]?.body).toContain('Its other destination goes on.');
    for (let time = 0; time < 2; time++) await fail(id, good.connectionId);
    await succeed(await begin(id, good.connectionId));
    for (let time = 0; time < 2; time++) await fail(id, good.connectionId);
    expect(await stateOf(id)).toMatchObject({ enabled: true });
    await fail(id, good.connectionId);
    expect((await stateOf(id)).disabled_reason).toMatch(
      /^None of its 3 destinations is left: syncs to all of them are suspended\. Syncs to Good were the last\./,
    );
  });

  test('disable it too where the other destinations are switched off: they were not sent to anyway', async () => {
    const id = await addComputation();
    const off = await connect(id);
    const bad = await connect(id);
    await change(
      async (tx) =>
        await updateDestination(tx, destinationDeps, { ...world, destinationId: off.destinationId, enabled: false }),
    );
    for (let time = 0; time < 3; time++) await fail(id, bad.connectionId);
    expect(await stateOf(id)).toMatchObject({ enabled: false });
  });

  test('of one that is suspended already tell nothing more', async () => {
    const id = await addComputation();
    const bad = await connect(id);
    await connect(id);
    for (let time = 0; time < 3; time++) await fail(id, bad.connectionId);
    const under = await begin(id, (await connect(id)).connectionId);
    // As one that was begun before: the tasks of a suspended connection are not begun any more.
    await pool.query('update tasks set connection_id = $2 where id = $1', [under, bad.connectionId]);
    await change(async (tx) => {
      await countHardFailure(tx, await lockTask(tx, under), { step: 'deliver', code: HARD, message: '' });
    });
    expect(await connectionOf(bad.connectionId)).toMatchObject({ hard_failures: 4, suspended: true });
    expect(await tellingsOf(id)).toHaveLength(1);
  });

  test('of runs and syncs are two rows', async () => {
    const id = await addComputation();
    const { connectionId } = await connect(id);
    await fail(id);
    await fail(id, connectionId);
    await fail(id);
    await fail(id, connectionId);
    expect(await stateOf(id)).toMatchObject({ enabled: true, hard_failures: 2 });
    expect(await connectionOf(connectionId)).toMatchObject({ suspended: false, hard_failures: 2 });
    await succeed(await begin(id));
    expect(await stateOf(id)).toMatchObject({ hard_failures: 0 });
    expect(await connectionOf(connectionId)).toMatchObject({ hard_failures: 2 });
  });

  test('of all destinations at once leave one disabled audience and one message of it', async () => {
    for (let round = 0; round < 5; round++) {
      const id = await addComputation();
      const connections = await Promise.all(Array.from({ length: 5 }, async () => await connect(id)));
      const counted = connections.map(({ connectionId }) => connectionId);
      for (let time = 0; time < 2; time++) await Promise.all(counted.map(async (one) => await fail(id, one)));
      const last = await Promise.all(counted.map(async (one) => await begin(id, one)));
      await Promise.all(last.map(async (taskId) => await end(taskId, HARD)));
      const types = (await tellingsOf(id)).map(({ type }) => type);
      expect(types.filter((type) => type.endsWith('Suspended'))).toHaveLength(5);
      expect(types.filter((type) => type.endsWith('Disabled'))).toEqual(['Audience Disabled']);
      const notices = await pool.query(`select from alerts where kind = 'notice' and computation_id = $1`, [id]);
      expect(notices.rowCount).toBe(5);
      expect(await stateOf(id)).toMatchObject({ enabled: false });
    }
  }, 60_000);
});

test('whatever order runs and syncs end in, what is off is what the rules say', async () => {
  const ending = fc.record({
    of: fc.constantFrom('run' as const, 0 as const, 1 as const),
    how: fc.constantFrom('fail', 'fail', 'fail', 'shared', 'succeed'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(ending, { minLength: 3, maxLength: 18 }), async (endings) => {
      const id = await addComputation();
      const connections = [(await connect(id)).connectionId, (await connect(id)).connectionId] as const;
      const rows = { run: 0, 0: 0, 1: 0 };
      const off = { run: false, 0: false, 1: false };
      for (const { of, how } of endings) {
        // A disabled computation and a suspended connection begin no tasks.
        if (off.run || off[of]) continue;
        const taskId = await begin(id, of === 'run' ? undefined : connections[of]);
        if (how === 'succeed') await succeed(taskId);
        else await end(taskId, how === 'fail' ? HARD : 'clickhouse_unavailable');
        if (how === 'succeed') rows[of] = 0;
        else if (how === 'fail') rows[of] += 1;
        off[of] ||= rows[of] >= 3;
        off.run ||= off[0] && off[1];
      }
      expect(await stateOf(id)).toMatchObject({ enabled: !off.run, hard_failures: rows.run });
      for (const at of [0, 1] as const) {
        expect(await connectionOf(connections[at])).toMatchObject({ suspended: off[at], hard_failures: rows[at] });
      }
    }),
    { numRuns: 25, endOnFailure: true },
  );
}, 120_000);
