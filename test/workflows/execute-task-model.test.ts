import { Context } from '@temporalio/activity';
import { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import fc from 'fast-check';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createActivities } from '../../activities/index.ts';
import { findTemporalTestServer } from '../../src/embedded/index.ts';
import { FAILURES, type FailureCode } from '../../src/errors.ts';
import { createOutgoingAgent } from '../../src/security/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { endCancelled } from '../../src/tasks/attempts/attempts.ts';
import {
  LOOK_SIGNAL,
  STEP_WAITS,
  WORKER_STOPPED,
  type ExecuteTaskInput,
  type StepName,
  type WantedStep,
} from '../../src/tasks/model/kinds.ts';
import { createSharedSlots } from '../../src/tasks/scheduling/shared-slots.ts';
import { lockTask } from '../../src/tasks/model/lock-task.ts';
import { interruptStep } from '../../src/tasks/attempts/step-executions.ts';
import { completeLongStep, enterStep } from '../../src/tasks/attempts/checkpoints.ts';
import { addSync, recordsOf, tasksOn } from '../db/tasks-world.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { bundleWorkflows, lastEvents } from '../helpers/worker.ts';
import { createWorld, secretBox, type World } from '../helpers/world.ts';

/**
 * What an execution of a long step comes to, and what people do meanwhile. The workflow, the bookkeeping and PostgreSQL are real;
 * the steps' own work is this script.
 */
type Turn =
  | { what: 'completes' }
  | { what: 'fails'; code: FailureCode }
  | { what: 'waits'; ms: number }
  | { what: 'waits and is cancelled' }
  | { what: 'waits, is paused and resumed' }
  | { what: 'worker stops' }
  /** It comes back when the step goes on without it. */
  | { what: 'worker is lost' }
  | { what: 'paused and resumed' }
  | { what: 'cancelled' }
  /** The cancellation is in PostgreSQL, but nobody could tell the workflow. */
  | { what: 'cancelled unheard' };

const LONG_STEPS = ['prepare', 'extract', 'deliver'] as const;
const OUTPUTS = {
  prepare: { externalAudienceId: null },
  extract: { extractId: 1, version: 1, asOf: '2026-01-01T00:00:00.000Z', changes: 2 },
  deliver: { delivered: 2, rejected: 0, skipped: 0 },
};
// Long, so that no step is lost that the script does not lose, however slow the machine is; short where the script loses one.
const HEARTBEAT_TIMEOUT_MS = 60_000;
const SHORT_HEARTBEAT_TIMEOUT_MS = 1_000;
const HEARTBEAT_MS = 50;
const MAX_LOSSES = 2;
const TASK_QUEUE = 'model';

let stores: TestPool;
let environment: TestWorkflowEnvironment;
// Time is skipped by `skip` alone: where the kit skips it by itself, it skips the time that a local activity takes, too.
let client: Client;
let worker: Worker;
let running: Promise<void>;
let world: World;
const scripts = new Map<string, Turn[]>();

beforeAll(async () => {
  stores = await createTestPool();
  world = await createWorld(stores.pool);
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'trailmark');
  const path = await findTemporalTestServer({
    cacheFolder: process.env['TRAILMARK_CACHE'] ?? cache,
    env: process.env,
  });
  environment = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path } },
  });
  client = new Client({ connection: environment.connection });
  const { deps } = tasksOn(stores.pool);
  const activities = createActivities({
    tasks: { ...deps, backoff: { baseMs: 5, maxMs: 20 } },
    channels: { pool: stores.pool, secretBox, dispatcher: createOutgoingAgent({ allowPrivateAddresses: true }) },
    temporal: client,
    slots: createSharedSlots({ compute: 6, deliver: 30, alerts: 6 }),
    startTask: async () => await Promise.resolve(),
    admitter: { admit: async () => await Promise.resolve(0), requestAdmission: () => undefined },
  });
  worker = await Worker.create({
    connection: environment.nativeConnection,
    taskQueue: TASK_QUEUE,
    workflowBundle: await bundleWorkflows(),
    activities: { ...activities, executeStep },
    maxHeartbeatThrottleInterval: 50,
    defaultHeartbeatThrottleInterval: 50,
  });
  running = worker.run();
});
afterAll(async () => {
  worker?.shutdown();
  await running;
  await environment?.teardown();
  await stores?.close();
});

/** A long step whose work is the next turn of its task's script. */
async function executeStep(input: WantedStep): Promise<void> {
  const turn = scripts.get(input.taskId)?.shift() ?? { what: 'completes' };
  const { heartbeat } = Context.current();
  const beat = turn.what === 'worker is lost' ? undefined : setInterval(() => heartbeat(), HEARTBEAT_MS);
  try {
    await takeTurn(input, turn);
  } finally {
    clearInterval(beat);
  }
}

async function takeTurn(input: WantedStep, turn: Turn): Promise<void> {
  const { pool } = stores;
  const { taskId, step } = input;
  const entered = await enterStep(pool, input);
  if (entered === null) throw new Error(`${step} was wanted, and has its checkpoint`);
  switch (turn.what) {
    case 'completes':
      await completeLongStep(pool, entered.task, step, OUTPUTS[step as keyof typeof OUTPUTS]);
      return;
    case 'fails':
      throw failure(turn.code, [step]);
    case 'waits':
      await interruptStep(pool, input);
      skipping = skip(taskId, turn.ms);
      throw failure(STEP_WAITS, [turn.ms]);
    case 'waits and is cancelled':
    case 'waits, is paused and resumed':
      await interruptStep(pool, input);
      skipping = controlWhileWaiting(taskId, turn.what);
      throw failure(STEP_WAITS, [3_600_000]);
    case 'worker stops':
      await interruptStep(pool, input);
      throw failure(WORKER_STOPPED, []);
    case 'worker is lost':
      cameBack.push(comeBack(entered, step));
      await cameBack.at(-1);
      return;
    case 'paused and resumed': {
      await pause(taskId, true);
      await look(taskId);
      await untilAsked();
      await interruptStep(pool, input);
      setTimeout(() => void pause(taskId, false).then(async () => await look(taskId)), 20);
      throw Context.current().cancellationSignal.reason;
    }
    case 'cancelled':
      await cancel(taskId);
      await look(taskId);
      await untilAsked();
      throw Context.current().cancellationSignal.reason;
    default:
      await cancel(taskId);
      await completeLongStep(pool, entered.task, step, OUTPUTS[step as keyof typeof OUTPUTS]);
  }
}

function failure(type: string, details: unknown[]): ApplicationFailure {
  return ApplicationFailure.create({ type, message: 'on purpose', details, nonRetryable: true });
}

/** Until the workflow has asked the step to stop. */
async function untilAsked(): Promise<void> {
  const { cancellationSignal } = Context.current();
  for (let looks = 0; !cancellationSignal.aborted; looks++) {
    if (looks > 500) throw new Error('nobody asked the step to stop');
    await wait(20);
  }
}

/** What became of the executions that went on after they had been given up. */
const cameBack: Promise<string>[] = [];

/** Completes a step after it was given up. */
async function comeBack(
  { task, execution }: NonNullable<Awaited<ReturnType<typeof enterStep>>>,
  step: StepName,
): Promise<string> {
  for (let looks = 0; ; looks++) {
    if (looks > 500) return 'nobody gave it up';
    await wait(20);
    const { rowCount } = await stores.pool.query(
      'select from step_executions where task_id = $1 and step = $2 and execution = $3 and ended_at is not null',
      [task.id, step, execution],
    );
    if (rowCount === 1) break;
  }
  return await completeLongStep(stores.pool, task, step, OUTPUTS[step as keyof typeof OUTPUTS]).then(
    () => 'it completed the step',
    (error: Error) => error.name,
  );
}

let skipping: Promise<void> | null = null;

/** Lets the time pass that a workflow waits, once it does. */
async function skip(taskId: string, ms: number): Promise<void> {
  if (ms === 0) return;
  await untilItWaits(taskId);
  await environment.sleep(ms);
}

/** What waits for an hour hears at once of what people want. */
async function controlWhileWaiting(taskId: string, what: 'waits and is cancelled' | 'waits, is paused and resumed') {
  await untilItWaits(taskId);
  if (what === 'waits and is cancelled') await cancel(taskId);
  else await pause(taskId, true);
  await look(taskId);
  if (what === 'waits and is cancelled') return;
  await wait(50);
  await pause(taskId, false);
  await look(taskId);
}

async function untilItWaits(taskId: string): Promise<void> {
  const { workflowService } = client;
  const execution = { workflowId: `task/${taskId}` };
  for (let looks = 0; ; looks++) {
    if (looks > 500) throw new Error('the workflow does not wait');
    await wait(20);
    const { history } = await workflowService.getWorkflowExecutionHistory({ namespace: 'default', execution });
    if (history?.events?.at(-1)?.timerStartedEventAttributes != null) return;
  }
}

async function look(taskId: string): Promise<void> {
  await client.workflow.getHandle(`task/${taskId}`).signal(LOOK_SIGNAL);
}

async function pause(taskId: string, on: boolean): Promise<void> {
  await stores.pool.query(
    `update computations set paused_at = case when $2 then now() end
     where id = (select computation_id from tasks where id = $1)`,
    [taskId, on],
  );
}

async function cancel(taskId: string): Promise<void> {
  await inTransaction(stores.pool, async (tx) => await endCancelled(tx, await lockTask(tx, taskId), 'asked'));
}

/** What there should be, by the rules alone. */
interface Model {
  outcome: 'succeeded' | 'failed' | 'cancelled';
  /** How each attempt ended: null for well, else the failure's code, or 'cancelled'. */
  attempts: (string | null)[];
  executions: string[];
  waitedMs: number;
}

function predict(script: readonly Turn[]): Model {
  const model: Model = { outcome: 'succeeded', attempts: [], executions: [], waitedMs: 0 };
  let at = 0;
  let losses = 0;
  for (const turn of [...script, ...LONG_STEPS.map((): Turn => ({ what: 'completes' }))]) {
    const tell = (outcome: string) => model.executions.push(`${LONG_STEPS[at]} ${outcome}`);
    if (turn.what === 'completes') {
      tell('completed');
      at += 1;
      if (at < LONG_STEPS.length) continue;
      model.attempts.push(null);
      return model;
    }
    if (turn.what === 'worker is lost' && losses < MAX_LOSSES) {
      losses += 1;
      tell('interrupted');
      continue;
    }
    if (turn.what === 'fails' || turn.what === 'worker is lost') {
      losses = 0;
      const code = turn.what === 'fails' ? turn.code : 'worker_lost';
      tell('failed');
      model.attempts.push(code);
      if (FAILURES[code].class === 'transient' && model.attempts.length < 6) continue;
      model.outcome = 'failed';
      return model;
    }
    tell('interrupted');
    if (turn.what === 'waits') model.waitedMs += turn.ms;
    if (turn.what.includes('cancelled')) {
      model.outcome = 'cancelled';
      model.attempts.push('cancelled');
      return model;
    }
  }
  return model;
}

const LOST: Turn = { what: 'worker is lost' };
// Nothing between: a wait of a few milliseconds is over before anyone can look whether it has begun.
const longWait = fc.oneof(fc.constant(0), fc.integer({ min: 60_000, max: 3_600_000 }));
const turn = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Turn>({ what: 'completes' }) },
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant('fails' as const),
      code: fc.constantFrom<FailureCode>(
        'destination_unavailable',
        'destination_timeout',
        'clickhouse_memory',
        'unknown',
      ),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Turn>({ what: 'fails', code: 'destination_credentials_rejected' }) },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant('waits' as const), ms: longWait }),
  },
  { weight: 1, arbitrary: fc.constant<Turn>({ what: 'waits and is cancelled' }) },
  { weight: 1, arbitrary: fc.constant<Turn>({ what: 'waits, is paused and resumed' }) },
  { weight: 2, arbitrary: fc.constant<Turn>({ what: 'worker stops' }) },
  { weight: 2, arbitrary: fc.constant(LOST) },
  { weight: 2, arbitrary: fc.constant<Turn>({ what: 'paused and resumed' }) },
  { weight: 1, arbitrary: fc.constant<Turn>({ what: 'cancelled' }) },
  { weight: 1, arbitrary: fc.constant<Turn>({ what: 'cancelled unheard' }) },
);

test('whatever steps come to and people do: the outcome, attempts, executions and trail that the rules say', async () => {
  const losesThree: Turn[] = [LOST, { what: 'worker stops' }, LOST, LOST, LOST];
  await fc.assert(fc.asyncProperty(fc.array(turn, { maxLength: 12 }), execute), {
    numRuns: 30,
    endOnFailure: true,
    examples: [[losesThree]],
  });
}, 300_000);

async function execute(script: Turn[]): Promise<void> {
  const { taskId } = await addSync(stores.pool, world);
  scripts.set(taskId, [...script]);
  const input: ExecuteTaskInput = {
    taskId,
    kind: 'sync',
    heartbeatTimeoutMs: script.some(({ what }) => what === 'worker is lost')
      ? SHORT_HEARTBEAT_TIMEOUT_MS
      : HEARTBEAT_TIMEOUT_MS,
    queues: { compute: TASK_QUEUE, deliver: TASK_QUEUE },
    searchable: false,
  };
  const handle = await client.workflow.start('executeTask', {
    workflowId: `task/${taskId}`,
    taskQueue: TASK_QUEUE,
    args: [input],
  });
  const outcome: unknown = await Promise.race([handle.result(), wait(30_000, 'no outcome')]);
  if (outcome === 'no outcome') {
    throw new Error(`${JSON.stringify(script)} has no outcome; its history ends:\n${await lastEvents(handle)}`);
  }
  await skipping;
  for (const whatCame of await Promise.all(cameBack.splice(0))) expect(whatCame).toBe('StaleAttemptError');
  const model = predict(script);
  const records = await recordsOf(stores.pool, taskId);
  const about = JSON.stringify(script);
  expect(outcome, about).toBe(model.outcome);
  expect(records.status, about).toBe(model.outcome);
  expect(
    records.attempts.map(({ outcome: how, code }) => (how === 'succeeded' ? null : (code ?? how))),
    about,
  ).toEqual(model.attempts);

  const executions = await stores.pool.query<{ step: string; outcome: string | null }>(
    `select e.step, e.outcome from step_executions e join steps s on s.task_id = e.task_id and s.name = e.step
     where e.task_id = $1 and e.step = any($2) order by s.position, e.execution`,
    [taskId, LONG_STEPS],
  );
  expect(
    executions.rows.map((row) => `${row.step} ${row.outcome}`),
    about,
  ).toEqual(model.executions);

  const failures = model.attempts.filter((end) => end !== null && end !== 'cancelled');
  const hard = model.outcome === 'failed';
  expect(
    records.events.map(({ type, attempt }) => `${type.replace('Audience Destination Sync ', '')} ${attempt}`),
    about,
  ).toEqual([
    ...failures.map((_, index) => `Failed ${index + 1}`),
    ...(hard ? [`Hard Failure ${failures.length}`] : []),
    ...(model.outcome === 'cancelled' ? [`Cancelled ${model.attempts.length}`] : []),
    ...(model.outcome === 'succeeded' && failures.length > 0 ? [`Recovered ${model.attempts.length}`] : []),
  ]);

  const { startTime, closeTime } = await handle.describe();
  const tookMs = (closeTime?.getTime() ?? 0) - startTime.getTime();
  expect(tookMs, `${about}: waits are waited out`).toBeGreaterThanOrEqual(model.waitedMs);
}
