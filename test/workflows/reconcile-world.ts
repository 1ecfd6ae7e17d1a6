import { Client, Connection } from '@temporalio/client';
import { createLogger } from '../../src/logger.ts';
import {
  createTaskStarter,
  createTaskWaker,
  reconcileTasks,
  taskQueues,
  type Reconciled,
  type TaskStarter,
  type TaskWaker,
} from '../../src/tasks/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startTestWorker, type TestWorker } from '../helpers/worker.ts';
import { addAudience, addPeople, addRun, createWorld, eventually, readTaskRows, type World } from '../helpers/world.ts';

/** Tasks on a real Temporal, workers that come and go, and a reconciler that looks when it is told to. */
export class ReconcileWorld {
  readonly stores: TestStores;
  readonly world: World;
  readonly temporal: Client;
  readonly startTask: TaskStarter;
  readonly wakeTask: TaskWaker;
  readonly #queue: string;
  readonly #workers: TestWorker[] = [];
  #keys = 0;

  private constructor(queue: string, stores: TestStores, world: World, temporal: Client) {
    this.#queue = queue;
    this.stores = stores;
    this.world = world;
    this.temporal = temporal;
    const queues = taskQueues(queue);
    this.startTask = createTaskStarter({ pool: stores.pool, temporal, heartbeatTimeoutMs: 2_000, queues });
    this.wakeTask = createTaskWaker(temporal);
  }

  /** `people` profiles, and task queues of this name. */
  static async create(queue: string, people: number): Promise<ReconcileWorld> {
    const stores = await createTestStores();
    const world = await createWorld(stores.pool);
    await addPeople(stores.clickhouse, world, people);
    const connection = await Connection.connect({ address: stores.temporalAddress });
    return new ReconcileWorld(queue, stores, world, new Client({ connection }));
  }

  /** Ends all workers, workflows and tasks. */
  async clear(): Promise<void> {
    await this.stopWorkers();
    const { rows } = await this.stores.pool.query<{ id: string }>('select id from tasks');
    const terminate = async (id: string): Promise<unknown> => await this.workflowOf(id).terminate();
    await Promise.allSettled(rows.map(async ({ id }) => await terminate(id)));
    await this.stores.pool.query('delete from tasks');
  }

  async close(): Promise<void> {
    await this.temporal.connection.close();
    await this.stores.close();
  }

  async startWorker(options: Partial<Parameters<typeof startTestWorker>[0]> = {}): Promise<void> {
    this.#workers.push(await startTestWorker({ ...this.stores, taskQueue: this.#queue, ...options }));
  }

  async stopWorkers(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map(async (worker) => await worker.close()));
  }

  async reconcile(): Promise<Reconciled> {
    return await reconcileTasks({
      pool: this.stores.pool,
      temporal: this.temporal,
      queues: taskQueues(this.#queue),
      startTask: this.startTask,
      wakeTask: this.wakeTask,
      logger: createLogger({ level: 'silent', program: 'test' }),
    });
  }

  workflowOf(taskId: string) {
    return this.temporal.workflow.getHandle(`task/${taskId}`);
  }

  /** A task whose run is written, and which has a workflow. */
  async addTask(): Promise<{ taskId: string; computationId: string }> {
    const query = "event('Visited').count() >= 1";
    const computationId = await addAudience(this.stores.pool, this.world, query, { key: `audience_${++this.#keys}` });
    const taskId = await addRun(this.stores.pool, this.world, computationId);
    await this.startTask(taskId);
    return { taskId, computationId };
  }

  /** Moves everything that was written of a task into the past, and what it waits for with it. */
  async age(taskId: string, seconds = 120): Promise<void> {
    const by = [taskId, seconds];
    const back = (column: string): string => `${column} = ${column} - $2 * interval '1 second'`;
    const columns = ['dispatched_at', 'admitted_at', 'retry_at', 'stuck_at', 'started_at', 'ended_at', 'approved_at'];
    await this.stores.pool.query(`update tasks set ${columns.map(back).join(', ')} where id = $1`, by);
    const times = `${back('started_at')}, ${back('ended_at')}`;
    await this.stores.pool.query(`update attempts set ${times} where task_id = $1`, by);
    await this.stores.pool.query(`update step_executions set ${times} where task_id = $1`, by);
  }

  async setPaused(computationId: string, paused: boolean): Promise<void> {
    await this.stores.pool.query('update computations set paused_at = case when $2 then now() end where id = $1', [
      computationId,
      paused,
    ]);
  }

  async outcomeOf(taskId: string) {
    return await eventually(
      async () => {
        const task = await readTaskRows(this.stores.pool, taskId);
        return ['succeeded', 'failed', 'cancelled'].includes(task.status) ? task : null;
      },
      { what: `an outcome of ${taskId}`, timeoutMs: 60_000 },
    );
  }

  /** What the reconciler said of a task. */
  async said(taskId: string): Promise<[string, Record<string, unknown>][]> {
    const { rows } = await this.stores.pool.query<{ type: string; details: Record<string, unknown> }>(
      `select type, details from audit_events where task_id = $1 and (type like '% Workflow %' or type like '% Stuck') order by id`,
      [taskId],
    );
    return rows.map(({ type, details }) => [type, details]);
  }

  /** Waits until Temporal's visibility has as many running workflows of ours. */
  async untilListed(taskIds: readonly string[]): Promise<void> {
    const query = `TaskQueue = '${this.#queue}' AND ExecutionStatus = 'Running'`;
    await eventually(
      async () => {
        const listed = new Set<string>();
        for await (const { workflowId } of this.temporal.workflow.list({ query })) listed.add(workflowId);
        return taskIds.length === listed.size && taskIds.every((id) => listed.has(`task/${id}`)) ? true : null;
      },
      { what: 'the workflows in visibility' },
    );
  }

  async untilIdle(taskId: string): Promise<void> {
    await eventually(async () => ((await this.workflowOf(taskId).describe()).raw.pendingWorkflowTask ? null : true), {
      what: 'a workflow that has had its turn',
    });
  }
}
