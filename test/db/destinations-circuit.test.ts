import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDestination, enterCircuit, reportToCircuit, updateDestination } from '../../src/destinations/index.ts';
import {
  ASK_AGAIN_MS,
  circuitOutcome,
  FIRST_OPEN_MS,
  MAX_OPEN_MS,
  OPENS_AFTER,
  openTimeMs,
  PROBE_MS,
  type Circuit,
  type CircuitDestination,
} from '../../src/destinations/circuit/circuit.ts';
import { TaskFailure } from '../../src/errors.ts';
import { createPool, inTransaction, type PostgresPool } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { createWorld, destinationDeps, type World } from '../helpers/world.ts';

let stores: TestPool;
let pool: PostgresPool;
let world: World;

beforeAll(async () => {
  stores = await createTestPool();
  ({ pool } = stores);
});
beforeEach(async () => {
  world = await createWorld(pool);
});
afterAll(async () => {
  await stores?.close();
});

async function addDestination(): Promise<CircuitDestination> {
  const { id, name } = await inTransaction(
    pool,
    async (tx) =>
      await createDestination(tx, destinationDeps, {
        ...world,
        slug: 'webhook',
        name: 'Receiver',
        subscriptions: [{ trigger: 'type = "track"', mapping: { url: 'http://127.0.0.1:9/' } }],
      }),
  );
  return { id, name, workspaceId: world.workspaceId, spaceId: world.spaceId };
}

/** Lets time pass for one circuit: all that it waits for is that much nearer. */
async function pass(destinationId: string, ms: number): Promise<void> {
  await pool.query(
    `update destination_circuits
     set opened_at = opened_at - $2 * interval '1 millisecond', open_until = open_until - $2 * interval '1 millisecond',
         probe_until = probe_until - $2 * interval '1 millisecond'
     where destination_id = $1`,
    [destinationId, ms],
  );
}

async function fail(destination: CircuitDestination, times = 1): Promise<void> {
  for (let time = 0; time < times; time++) await reportToCircuit(pool, destination, 'failed', 'destination_timeout');
}

async function eventsOf(destinationId: string): Promise<{ type: string; details: Record<string, unknown> }[]> {
  const { rows } = await pool.query<{ type: string; details: Record<string, unknown> }>(
    `select type, details from audit_events where resource_id = $1 and type like 'Destination Circuit %' order by id`,
    [destinationId],
  );
  return rows;
}

async function stateOf(destinationId: string): Promise<string> {
  return (await enterCircuit(pool, destinationId)).state;
}

describe('a circuit', () => {
  test('is closed until the fifth failure in a row, then open, and says for how long', async () => {
    const destination = await addDestination();
    expect(await enterCircuit(pool, destination.id)).toEqual({ state: 'closed' });
    await fail(destination, OPENS_AFTER - 1);
    expect(await stateOf(destination.id)).toBe('closed');
    await reportToCircuit(pool, destination, 'answered');
    await fail(destination, OPENS_AFTER - 1);
    expect(await stateOf(destination.id)).toBe('closed');
    await fail(destination);
    const open = await enterCircuit(pool, destination.id);
    expect(open.state).toBe('open');
    expect(retryAfterOf(open)).toBeGreaterThan(FIRST_OPEN_MS - 5_000);
    expect(retryAfterOf(open)).toBeLessThanOrEqual(FIRST_OPEN_MS);
    expect(await eventsOf(destination.id)).toEqual([
      {
        type: 'Destination Circuit Opened',
        details: {
          failures: OPENS_AFTER,
          code: 'destination_timeout',
          message: 'The destination did not answer in time.',
          openUntil: expect.any(String),
        },
      },
    ]);
    const { rows } = await pool.query(
      'select actor_kind, space_id, outcome from audit_events where resource_id = $1 and type = $2',
      [destination.id, 'Destination Circuit Opened'],
    );
    expect(rows).toEqual([{ actor_kind: 'system', space_id: world.spaceId, outcome: 'failure' }]);
    const alerts = await pool.query('select id from alerts where workspace_id = $1', [world.workspaceId]);
    expect(alerts.rowCount).toBe(0);
  });

  test('lets one at a time try when its time is over, and closes on an answer', async () => {
    const destination = await addDestination();
    await fail(destination, OPENS_AFTER);
    await pass(destination.id, FIRST_OPEN_MS);
    const asked = await Promise.all(Array.from({ length: 20 }, async () => await enterCircuit(pool, destination.id)));
    expect(asked.filter(({ state }) => state === 'probe')).toHaveLength(1);
    expect(asked.filter((circuit) => circuit.state === 'open').map(retryAfterOf)).toEqual(
      Array.from({ length: 19 }, () => ASK_AGAIN_MS),
    );
    await reportToCircuit(pool, destination, 'answered');
    expect(await stateOf(destination.id)).toBe('closed');
    const events = await eventsOf(destination.id);
    expect(events.map(({ type }) => type)).toEqual(['Destination Circuit Opened', 'Destination Circuit Closed']);
    expect(events[1]?.details).toMatchObject({ because: 'answered', failures: OPENS_AFTER });
    expect(events[1]?.details['openMs']).toBeGreaterThanOrEqual(FIRST_OPEN_MS);
    expect(events[1]?.details['openMs']).toBeLessThan(FIRST_OPEN_MS + 30_000);
  });

  test('is not wedged by one that was killed while it tried', async () => {
    const destination = await addDestination();
    await fail(destination, OPENS_AFTER);
    await pass(destination.id, FIRST_OPEN_MS);
    expect(await stateOf(destination.id)).toBe('probe');
    await pass(destination.id, PROBE_MS - 10_000);
    expect(await stateOf(destination.id)).toBe('open');
    await pass(destination.id, 10_000);
    expect(await stateOf(destination.id)).toBe('probe');
  });

  test('stays open twice as long after each try that fails, ten minutes at most, and says so once', async () => {
    const destination = await addDestination();
    await fail(destination, OPENS_AFTER);
    const waits: number[] = [];
    for (let round = 0; round < 7; round++) {
      const open = await enterCircuit(pool, destination.id);
      waits.push(Math.ceil(retryAfterOf(open) / 10_000) * 10);
      await pass(destination.id, MAX_OPEN_MS);
      expect(await stateOf(destination.id)).toBe('probe');
      await fail(destination);
    }
    expect(waits).toEqual([30, 60, 120, 240, 480, 600, 600]);
    expect(await eventsOf(destination.id)).toHaveLength(1);
  });

  test('is not kept open by calls that were under way when it opened', async () => {
    const destination = await addDestination();
    await fail(destination, OPENS_AFTER + 20);
    expect(retryAfterOf(await enterCircuit(pool, destination.id))).toBeLessThanOrEqual(FIRST_OPEN_MS);
    await pass(destination.id, FIRST_OPEN_MS);
    await fail(destination, 3);
    expect(await stateOf(destination.id)).toBe('probe');
  });

  test('is closed by whoever corrects the settings', async () => {
    const destination = await addDestination();
    await fail(destination, OPENS_AFTER);
    const change = { ...world, destinationId: destination.id };
    await inTransaction(
      pool,
      async (tx) => await updateDestination(tx, destinationDeps, { ...change, name: 'Renamed' }),
    );
    expect(await stateOf(destination.id)).toBe('open');
    const actor = { kind: 'user' as const, id: 'usr_1', name: 'Ada' };
    const subscriptions = [{ trigger: 'type = "track"', mapping: { url: 'http://127.0.0.1:10/' } }];
    await inTransaction(
      pool,
      async (tx) => await updateDestination(tx, destinationDeps, { ...change, actor, subscriptions }),
    );
    expect(await stateOf(destination.id)).toBe('closed');
    const { rows } = await pool.query(
      'select actor_id, details from audit_events where resource_id = $1 and type = $2',
      [destination.id, 'Destination Circuit Closed'],
    );
    expect(rows).toMatchObject([{ actor_id: 'usr_1', details: { because: 'settings_changed' } }]);
  });

  test('of one destination is nothing to another', async () => {
    const [down, up] = [await addDestination(), await addDestination()];
    await fail(down, OPENS_AFTER);
    expect(await stateOf(up.id)).toBe('closed');
  });
});

describe('workers in several processes', () => {
  test('open it once together, have one that tries, and close it once', async () => {
    const destination = await addDestination();
    // Three programs with pools of their own, as far as PostgreSQL can tell.
    const pools = Array.from({ length: 3 }, (_, index) =>
      createPool({
        connectionString: stores.databaseUrl,
        applicationName: `worker-${index}`,
        max: 4,
        onError: () => undefined,
      }),
    );
    try {
      const everywhere = async <T>(work: (from: PostgresPool) => Promise<T>): Promise<T[]> =>
        await Promise.all(pools.flatMap((from) => Array.from({ length: 4 }, async () => await work(from))));
      for (let round = 0; round < 5; round++) {
        await everywhere(async (from) => await reportToCircuit(from, destination, 'failed'));
        expect(await eventsOf(destination.id)).toHaveLength(2 * round + 1);
        const { rows } = await pool.query('select failures from destination_circuits where destination_id = $1', [
          destination.id,
        ]);
        expect(rows).toEqual([{ failures: OPENS_AFTER }]);
        await pass(destination.id, FIRST_OPEN_MS);
        const states = await everywhere(async (from) => (await enterCircuit(from, destination.id)).state);
        expect(states.filter((state) => state === 'probe')).toHaveLength(1);
        expect(states.filter((state) => state === 'closed')).toHaveLength(0);
        await everywhere(async (from) => await reportToCircuit(from, destination, 'answered'));
        expect(await eventsOf(destination.id)).toHaveLength(2 * round + 2);
        expect(await everywhere(async (from) => await enterCircuit(from, destination.id))).toEqual(
          Array.from({ length: 12 }, () => ({ state: 'closed' })),
        );
      }
    } finally {
      await Promise.all(pools.map(async (from) => await from.end()));
    }
  }, 60_000);
});

/** What can happen to a circuit. `pass` lets time go by, in steps of ten seconds. */
const command = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ do: 'fail' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'answer' as const }) },
  { weight: 5, arbitrary: fc.constant({ do: 'enter' as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), tens: fc.constantFrom(1, 2, 3, 6, 12, 60) }) },
);

/** The rules, in milliseconds of a clock of their own. */
interface Model {
  now: number;
  failures: number;
  openUntil: number | null;
  probeUntil: number | null;
  told: string[];
}

test('whatever comes in whatever order: the states are those of the rules, and each change is told once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
      const destination = await addDestination();
      const model: Model = { now: 0, failures: 0, openUntil: null, probeUntil: null, told: [] };
      for (const step of commands) {
        if (step.do === 'pass') {
          model.now += step.tens * 10_000;
          await pass(destination.id, step.tens * 10_000);
        } else if (step.do === 'enter') {
          expectCircuit(await enterCircuit(pool, destination.id), enterModel(model));
        } else {
          await reportToCircuit(pool, destination, step.do === 'fail' ? 'failed' : 'answered');
          if (step.do === 'fail') failModel(model);
          else answerModel(model);
        }
      }
      const told = (await eventsOf(destination.id)).map(({ type }) => type.replace('Destination Circuit ', ''));
      expect(told).toEqual(model.told);
    }),
    { numRuns: 60, endOnFailure: true },
  );
}, 120_000);

function enterModel(model: Model): Circuit {
  if (model.openUntil === null) return { state: 'closed' };
  if (model.now < model.openUntil) return { state: 'open', retryAfterMs: model.openUntil - model.now };
  if (model.probeUntil !== null && model.now < model.probeUntil) return { state: 'open', retryAfterMs: ASK_AGAIN_MS };
  model.probeUntil = model.now + PROBE_MS;
  return { state: 'probe' };
}

function failModel(model: Model): void {
  if (model.openUntil !== null && (model.now < model.openUntil || model.probeUntil === null)) return;
  model.failures += 1;
  if (model.failures < 5) return;
  if (model.openUntil === null) model.told.push('Opened');
  const waits = [30_000, 60_000, 120_000, 240_000, 480_000];
  model.openUntil = model.now + (waits[model.failures - 5] ?? 600_000);
  model.probeUntil = null;
}

function answerModel(model: Model): void {
  if (model.openUntil !== null) model.told.push('Closed');
  Object.assign(model, { failures: 0, openUntil: null, probeUntil: null });
}

/** The circuit's own clock goes on while the test runs: less than ten seconds, which is the model's smallest step. */
function expectCircuit(found: Circuit, wanted: Circuit): void {
  expect(found.state).toBe(wanted.state);
  if (wanted.state !== 'open') return;
  expect(retryAfterOf(found)).toBeLessThanOrEqual(wanted.retryAfterMs);
  expect(retryAfterOf(found)).toBeGreaterThan(wanted.retryAfterMs - 10_000);
}

function retryAfterOf(circuit: Circuit): number {
  return circuit.state === 'open' ? circuit.retryAfterMs : -1;
}

describe('what a call says of the destination', () => {
  test.each([
    ['nothing stopped it', null, 'answered'],
    [
      'it asked to slow down',
      { kind: 'rate_limited', retryAfterMs: 1, failure: failure('destination_rate_limited') },
      'answered',
    ],
    [
      'it rejected the credentials',
      { kind: 'failed', failure: failure('destination_credentials_rejected') },
      'answered',
    ],
    ['it redirected', { kind: 'failed', failure: failure('destination_redirected') }, 'answered'],
    ['it failed', { kind: 'failed', failure: failure('destination_unavailable') }, 'failed'],
    ['it was not there', { kind: 'failed', failure: failure('destination_unreachable') }, 'failed'],
    ['its name is not there', { kind: 'failed', failure: failure('destination_name_unknown') }, 'failed'],
    ['it was silent', { kind: 'failed', failure: failure('destination_timeout') }, 'failed'],
    ['we broke off', { kind: 'aborted' }, null],
    ['the worker had no files left', { kind: 'failed', failure: failure('worker_exhausted') }, null],
    ['nobody knows', { kind: 'failed', failure: failure('unknown') }, null],
  ] as const)('%s', (_, stopped, outcome) => {
    expect(circuitOutcome(stopped)).toBe(outcome);
  });

  test('the time it stays open for grows from the fifth failure on', () => {
    expect([0, 4, 5, 6, 9, 10, 2_000].map(openTimeMs)).toEqual([0, 0, 30_000, 60_000, 480_000, 600_000, 600_000]);
  });
});

function failure(code: ConstructorParameters<typeof TaskFailure>[0]): TaskFailure {
  return new TaskFailure(code, 'on purpose');
}
