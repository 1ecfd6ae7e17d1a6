import { createSpace, createWorkspace, type Principal, type Role } from '../../src/access/index.ts';
import { recordAuditEvent, SYSTEM_ACTOR } from '../../src/audit/index.ts';
import {
  listAlerts,
  onTaskFailed,
  onTaskRecovered,
  type AlertResponse,
  type AlertRow,
  type AlertTask,
} from '../../src/alerts/index.ts';
import { inTransaction, newId, type PostgresPool, type Transaction } from '../../src/store/index.ts';

/** A workspace with one audience, and tasks of it that fail and recover as the engine records it. */
export interface AlertsWorld {
  workspaceId: string;
  principal(role: Role): Principal;
  change<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  newTask(): Promise<AlertTask>;
  /** `hard` ends the task. */
  fail(task: AlertTask, attempt: number, options?: { hard?: boolean; holdUntil?: Date }): Promise<AlertRow>;
  /** The same inside a transaction of the caller's, for tests that hold it open. */
  failIn(
    tx: Transaction,
    task: AlertTask,
    attempt: number,
    options?: { hard?: boolean; holdUntil?: Date },
  ): Promise<AlertRow>;
  recoverIn(tx: Transaction, task: AlertTask, attempts: number): Promise<void>;
  recover(task: AlertTask, attempts: number): Promise<void>;
  /** Oldest first. */
  alerts(): Promise<AlertResponse[]>;
}

export const LATER = () => new Date(Date.now() + 3_600_000);

export async function createAlertsWorld(pool: PostgresPool): Promise<AlertsWorld> {
  const change = <T>(work: (tx: Transaction) => Promise<T>) => inTransaction(pool, work);
  const slug = newId('space').slice(-20);
  const { workspace, space } = await change(async (tx) => {
    const made = await createWorkspace(tx, { slug, name: 'Shop', plan: 'business', actor: SYSTEM_ACTOR });
    return {
      workspace: made,
      space: await createSpace(tx, { workspaceId: made.id, slug: 'main', name: 'Main', actor: SYSTEM_ACTOR }),
    };
  });
  const newTask = async (): Promise<AlertTask> => {
    const [taskId, computationId] = [newId('task'), newId('audience')];
    await pool.query(
      `insert into computations (id, workspace_id, space_id, kind, key, name, definition_type, definition_query, schedule_interval_seconds, created_by, updated_by)
       values ($1, $2, $3, 'audience', $1, 'Buyers', 'USERS', '', 60, 'usr_ann', 'usr_ann')`,
      [computationId, workspace.id, space.id],
    );
    await pool.query(
      `insert into tasks (id, workspace_id, space_id, computation_id, kind, reason, status)
       values ($1, $2, $3, $4, 'run', 'scheduled', 'running')`,
      [taskId, workspace.id, space.id, computationId],
    );
    return { id: taskId, workspaceId: workspace.id, spaceId: space.id, computationId, kind: 'run' };
  };
  const lock = (tx: Transaction, task: AlertTask) => tx.query('select from tasks where id = $1 for update', [task.id]);
  const common = (task: AlertTask, attempt: number) => ({
    workspaceId: workspace.id,
    spaceId: space.id,
    actor: SYSTEM_ACTOR,
    resource: { type: 'audience' as const, id: task.computationId, name: 'Buyers' },
    taskId: task.id,
    attempt,
  });

  const failIn: AlertsWorld['failIn'] = async (tx, task, attempt, options = {}) => {
    const hard = options.hard ?? false;
    const failure = {
      step: 'compute',
      code: 'clickhouse_unavailable',
      class: hard ? ('hard' as const) : ('transient' as const),
      message: 'ClickHouse could not be reached.',
      action: 'Check that ClickHouse runs.',
    };
    await lock(tx, task);
    await tx.query('update tasks set attempt = $2, status = $3, ended_at = $4 where id = $1', [
      task.id,
      attempt,
      hard ? 'failed' : 'backing_off',
      hard ? new Date() : null,
    ]);
    await tx.query(
      `insert into attempts (task_id, attempt, ended_at, outcome, step, code, failure_class, message)
       values ($1, $2, clock_timestamp(), 'failed', $3, $4, $5, $6)`,
      [task.id, attempt, failure.step, failure.code, failure.class, failure.message],
    );
    const event = await recordAuditEvent(tx, {
      ...common(task, attempt),
      type: 'Audience Run Failed',
      outcome: 'failure',
    });
    const hardEvent = hard
      ? await recordAuditEvent(tx, { ...common(task, attempt), type: 'Audience Run Hard Failure', outcome: 'failure' })
      : null;
    return await onTaskFailed(tx, {
      event,
      hardEvent,
      task,
      computationName: 'Buyers',
      attempt,
      maxAttempts: 6,
      failure,
      holdUntil: options.holdUntil ?? LATER(),
    });
  };
  const recoverIn: AlertsWorld['recoverIn'] = async (tx, task, attempts) => {
    await lock(tx, task);
    await tx.query(`update tasks set attempt = $2, status = 'succeeded', ended_at = clock_timestamp() where id = $1`, [
      task.id,
      attempts,
    ]);
    const event = await recordAuditEvent(tx, { ...common(task, attempts), type: 'Audience Run Recovered' });
    await onTaskRecovered(tx, { event, task, computationName: 'Buyers', attempts });
  };

  return {
    workspaceId: workspace.id,
    principal: (role) => ({
      actor: {
        kind: role === 'support' ? 'support' : 'user',
        id: `usr_${role}`,
        name: role,
        email: `${role}@example.com`,
      },
      workspaceId: workspace.id,
      role,
      plan: 'business',
    }),
    change,
    newTask,
    failIn,
    fail: (task, attempt, options) => change((tx) => failIn(tx, task, attempt, options)),
    recoverIn,
    recover: (task, attempts) => change((tx) => recoverIn(tx, task, attempts)),
    alerts: async () => {
      const { alerts } = await listAlerts(pool, { workspaceId: workspace.id, count: 1000 });
      return alerts.toReversed();
    },
  };
}
