import { createComputation } from '../../src/computations/index.ts';
import { connectComputation } from '../../src/connections/index.ts';
import { createDestination } from '../../src/destinations/index.ts';
import type { FailureCode } from '../../src/errors.ts';
import { createLogger } from '../../src/logger.ts';
import { inTransaction, type ClickHouseClient, type PostgresPool } from '../../src/store/index.ts';
import {
  beginAttempt,
  createTask,
  executeActivityStep,
  executeTransactionSteps,
  recordFailure,
  stepsOf,
  type FailureDecision,
  type StepName,
  type TaskDeps,
} from '../../src/tasks/index.ts';
import { destinationDeps, type World } from '../helpers/world.ts';

/** Waits of a second and more, so that a time in the tables says which retry it belongs to. No jitter: see fail. */
const BACKOFF = { baseMs: 1_000, maxMs: 8_000 };

export interface Tasks {
  deps: TaskDeps;
  /** Begins the next attempt, as if the wait before it were over. */
  begin(taskId: string): Promise<{ ended: boolean; attempt: number; completed: StepName[] }>;
  /** `losses`: what the workflow knew of them; as an older version's workflow where it is not given. */
  fail(taskId: string, attempt: number, code?: FailureCode, losses?: number): Promise<FailureDecision>;
  /** Executes one step, with the checkpoint that comes with it. */
  step(taskId: string, attempt: number, step: StepName, signal?: AbortSignal): Promise<readonly string[]>;
  /** Begins an attempt and executes all steps that have no checkpoint. Gives the ids of tasks that they made. */
  execute(taskId: string): Promise<string[]>;
  kindOf(taskId: string): Promise<'run' | 'sync'>;
}

/** The engine without Temporal: what the workflow does, one call at a time. */
export function tasksOn(pool: PostgresPool, clickhouse?: ClickHouseClient): Tasks {
  const deps: TaskDeps = {
    pool,
    clickhouse: clickhouse as ClickHouseClient,
    destinations: destinationDeps,
    logger: createLogger({ level: 'silent', program: 'test' }),
    backoff: BACKOFF,
  };
  const tasks: Tasks = {
    deps,
    begin: async (taskId) => {
      await pool.query('update tasks set retry_at = clock_timestamp() where id = $1 and retry_at is not null', [
        taskId,
      ]);
      const start = await beginAttempt(pool, taskId);
      if (start.next === 'execute') return { ended: false, attempt: start.attempt, completed: start.completed };
      if (start.next !== 'end') throw new Error(`${taskId} can't begin: ${start.next}`);
      return { ended: true, attempt: 0, completed: [] };
    },
    fail: async (taskId, attempt, code = 'destination_unavailable', losses) =>
      await recordFailure(
        pool,
        { taskId, attempt, losses, step: 'deliver', code, detail: 'on purpose' },
        { backoff: BACKOFF, random: () => 0.5 },
      ),
    step: async (taskId, attempt, step, signal = new AbortController().signal) => {
      const { runsAs } = stepsOf(await tasks.kindOf(taskId)).find(({ name }) => name === step) ?? {};
      if (runsAs === 'transaction') return (await executeTransactionSteps(deps, taskId, attempt, [step])).made;
      await executeActivityStep(deps, { taskId, attempt, step, signal, progress: () => undefined });
      return [];
    },
    execute: async (taskId) => {
      const { attempt, completed } = await tasks.begin(taskId);
      const made: string[] = [];
      for (const { name } of stepsOf(await tasks.kindOf(taskId))) {
        if (!completed.includes(name)) made.push(...(await tasks.step(taskId, attempt, name)));
      }
      return made;
    },
    kindOf: async (taskId) => {
      const { rows } = await pool.query<{ kind: 'run' | 'sync' }>('select kind from tasks where id = $1', [taskId]);
      return rows[0]?.kind ?? 'run';
    },
  };
  return tasks;
}

let keys = 0;

/** A computation with a connection and a sync that is to be begun. Nothing is computed: for what is in PostgreSQL alone. */
export async function addSync(pool: PostgresPool, world: World, options: { reduced?: boolean } = {}) {
  return await inTransaction(pool, async (tx) => {
    await tx.query('update workspace_settings set reduced_notifications = $2 where workspace_id = $1', [
      world.workspaceId,
      options.reduced ?? false,
    ]);
    const computation = await createComputation(
      tx,
      {
        ...world,
        kind: 'audience',
        name: `audience ${++keys}`,
        definition: { type: 'USERS', query: "event('Visited').count() >= 1" },
        schedule: { intervalSeconds: 3600 },
      },
      world.actor,
    );
    const destination = await createDestination(tx, destinationDeps, {
      ...world,
      slug: 'webhook',
      name: 'Receiver',
      subscriptions: [{ trigger: 'type = "track"', mapping: { url: 'http://127.0.0.1:9/' } }],
    });
    const connection = await connectComputation(tx, destinationDeps, {
      ...world,
      computationId: computation.id,
      destinationId: destination.id,
    });
    const taskId = await createTask(tx, {
      ...world,
      computationId: computation.id,
      connectionId: connection.id,
      kind: 'sync',
      reason: 'fan_out',
    });
    if (taskId === null) throw new Error('a sync is open already');
    return { taskId, computationId: computation.id, destinationId: destination.id, connectionId: connection.id };
  });
}

/** Sets the checkpoints of a sync before its last step, as if all of them had been executed. */
export async function reachFinish(pool: PostgresPool, taskId: string): Promise<void> {
  const outputs = {
    prepare: { externalAudienceId: null },
    extract: { extractId: 1, version: 1, asOf: new Date().toISOString(), changes: 2 },
    deliver: { delivered: 2, rejected: 0, skipped: 0 },
    reconcile: { changes: 2, delivered: 2, rejected: 0, skipped: 0 },
  };
  for (const [name, output] of Object.entries(outputs)) {
    await pool.query(
      'update steps set completed_at = coalesce(completed_at, now()), output = $3 where task_id = $1 and name = $2',
      [taskId, name, JSON.stringify(output)],
    );
  }
}

/** What the trail, the alerts and the task's row say of a task. */
export async function recordsOf(pool: PostgresPool, taskId: string) {
  const task = await pool.query<{ status: string; attempt: number; retry_at: Date | null; ended_at: Date | null }>(
    'select status, attempt, retry_at, ended_at from tasks where id = $1',
    [taskId],
  );
  const attempts = await pool.query<{ outcome: string | null; code: string | null; ended_at: Date | null }>(
    'select outcome, code, ended_at from attempts where task_id = $1 order by attempt',
    [taskId],
  );
  const events = await pool.query<{ type: string; attempt: number }>(
    'select type, attempt from audit_events where task_id = $1 order by id',
    [taskId],
  );
  const alerts = await pool.query<{ kind: string; decision: string; hold_until: Date | null }>(
    'select kind, decision, hold_until from alerts where task_id = $1 order by id',
    [taskId],
  );
  const row = task.rows[0];
  if (row === undefined) throw new Error(`no task ${taskId}`);
  return { ...row, attempts: attempts.rows, events: events.rows, alerts: alerts.rows };
}
