import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { disconnectComputation } from '../../src/connections/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { createWorld, destinationDeps, type World } from '../helpers/world.ts';
import { addSync, reachFinish, recordsOf, tasksOn, type Tasks } from './tasks-world.ts';

let stores: TestPool;
let tasks: Tasks;
let world: World;

beforeAll(async () => {
  stores = await createTestPool();
  tasks = tasksOn(stores.pool);
});
beforeEach(async () => {
  world = await createWorld(stores.pool);
});
afterAll(async () => {
  await stores?.close();
});

/** What can come at a task, in any order: from the workflow, from workers that were given up, from people. `age` is how many attempts back. */
const command = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ do: 'begin' as const }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('fail' as const), age: fc.constantFrom(0, 0, 0, 1, 2), hard: fc.boolean() }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('fail' as const), age: fc.constant(0), hard: fc.constant(false) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('finish' as const), age: fc.constantFrom(0, 0, 1) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'disconnect' as const }) },
);

/** What there should be, by the rules alone. */
interface Model {
  status: string;
  attempt: number;
  failed: number[];
  connected: boolean;
  outcomes: (string | null)[];
}

function isOpen(model: Model): boolean {
  return !['succeeded', 'failed', 'cancelled'].includes(model.status);
}

function cancel(model: Model): void {
  model.status = 'cancelled';
  model.outcomes = model.outcomes.map((outcome) => outcome ?? 'cancelled');
}

test('whatever comes in whatever order: six attempts at most, each told once, and one end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 4, maxLength: 24 }), fc.boolean(), async (commands, reduced) => {
      const sync = await addSync(stores.pool, world, { reduced });
      const { taskId } = sync;
      await reachFinish(stores.pool, taskId);
      const model: Model = { status: 'pending', attempt: 0, failed: [], connected: true, outcomes: [] };
      for (const step of commands) {
        if (step.do === 'begin') {
          await tasks.begin(taskId);
          if (isOpen(model) && !model.connected) cancel(model);
          else if (isOpen(model) && model.status !== 'running') {
            model.status = 'running';
            model.attempt += 1;
            model.outcomes.push(null);
          }
        } else if (step.do === 'disconnect') {
          if (model.connected)
            await inTransaction(
              stores.pool,
              async (tx) => await disconnectComputation(tx, destinationDeps, { ...world, ...sync }),
            );
          model.connected = false;
        } else {
          const attempt = model.attempt - step.age;
          if (attempt < 1) continue;
          const current = model.status === 'running' && step.age === 0;
          if (step.do === 'finish') {
            await tasks
              .step(taskId, attempt, 'finish')
              .catch((error: Error) => expect(error.name).toBe('StaleAttemptError'));
            if (current) {
              model.status = 'succeeded';
              model.outcomes[attempt - 1] = 'succeeded';
            }
          } else {
            await tasks.fail(
              taskId,
              attempt,
              step.hard ? 'destination_credentials_rejected' : 'destination_unavailable',
            );
            if (current && !model.connected) cancel(model);
            else if (current) {
              model.failed.push(attempt);
              model.outcomes[attempt - 1] = 'failed';
              model.status = step.hard || attempt === 6 ? 'failed' : 'backing_off';
            }
          }
        }
        await compare(taskId, model, reduced);
      }
    }),
    { numRuns: 40, endOnFailure: true },
  );
}, 120_000);

async function compare(taskId: string, model: Model, reduced: boolean): Promise<void> {
  const records = await recordsOf(stores.pool, taskId);
  expect(records.status).toBe(model.status);
  expect(records.attempt).toBe(model.attempt);
  expect(records.attempt).toBeLessThanOrEqual(6);
  expect(records.attempts.map(({ outcome }) => outcome)).toEqual(model.outcomes);
  expect(records.ended_at !== null).toBe(!isOpen(model));
  expect(records.retry_at !== null).toBe(model.status === 'backing_off');

  const hard = model.status === 'failed';
  const recovered = model.status === 'succeeded' && model.attempt > 1;
  expect(
    records.events.map(({ type, attempt }) => `${type.replace('Audience Destination Sync ', '')} ${attempt}`),
  ).toEqual([
    ...model.failed.map((attempt) => `Failed ${attempt}`),
    ...(hard ? [`Hard Failure ${model.attempt}`] : []),
    ...(recovered ? [`Recovered ${model.attempt}`] : []),
    ...(model.status === 'cancelled' ? [`Cancelled ${model.attempt}`] : []),
  ]);

  const transients = model.failed.length - (hard ? 1 : 0);
  const heldNow = isOpen(model) ? 'held' : model.status === 'cancelled' ? 'suppressed' : 'folded';
  expect(records.alerts.map(({ kind, decision }) => `${kind} ${decision}`)).toEqual([
    ...Array.from({ length: transients }, () => `transient_failure ${reduced ? heldNow : 'sent'}`),
    ...(hard ? ['hard_failure sent'] : []),
    ...(recovered && !reduced ? ['recovery sent'] : []),
  ]);
}
