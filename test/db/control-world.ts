import { inTransaction, selectRows, type Transaction } from '../../src/store/index.ts';
import type { ComputationAddress } from '../../src/computations/index.ts';
import type { Actor } from '../../src/audit/index.ts';
import { foldSettled } from '../../src/tasks/steps/sync/settled-ranges.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { addAudience, addPeople, addRun, connectWebhook, createWorld, type World } from '../helpers/world.ts';
import { tasksOn, type Tasks } from './tasks-world.ts';

export const EVERYBODY = "event('Visited').count() >= 1";
export const ANN: Actor = { kind: 'user', id: 'usr_ann', name: 'Ann', email: 'ann@example.com' };

/** A task by the address that controls take. */
export const addressOf = (of: { world: { workspaceId: string } }, taskId: string) => ({
  workspaceId: of.world.workspaceId,
  taskId,
});

/** An audience that is computed and connected to a receiver, with the sync that its first run made. */
export interface Synced {
  world: World;
  address: ComputationAddress;
  computationId: string;
  connectionId: string;
  destinationId: string;
  runId: string;
  syncId: string;
}

export interface ControlWorld {
  stores: TestStores;
  tasks: Tasks;
  receiver: Receiver;
  /** Runs one operation as its route does: in a transaction of its own. */
  control<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** The refusal of an operation: its kind and code. */
  refusal(work: (tx: Transaction) => Promise<unknown>): Promise<Record<string, unknown>>;
  /** `count` people in an audience of `query`, computed and connected, its first sync written. Batches of five changes. */
  addSynced(count: number, options?: { query?: string; kind?: 'audience' | 'computed_trait' }): Promise<Synced>;
  /** From now on the definition says: the people whose number is in [from, to]. */
  define(synced: Synced, from: number, to: number): Promise<void>;
  runAgain(synced: Synced): Promise<{ runId: string; made: string[] }>;
  reach(syncId: string): Promise<void>;
  statusOf(taskId: string): Promise<string>;
  /** The audit events about a task or a computation, in the order in which they were written. */
  trail(
    synced: Synced,
    type: string,
  ): Promise<{ type: string; actor_id: string; task_id: string | null; details: unknown }[]>;
  tasksOf(synced: Synced): Promise<{ id: string; reason: string; status: string }[]>;
  connection(synced: Synced): Promise<{ synced: boolean; resync: boolean }>;
  /** The profiles that the destination has acknowledged as members. */
  acknowledged(connectionId: string): Promise<number[]>;
  /** The numbers of the people in the messages that were accepted, in order. */
  delivered(): number[];
  close(): Promise<void>;
}

export async function createControlWorld(): Promise<ControlWorld> {
  const stores = await createTestStores();
  const receiver = await startReceiver();
  const { pool, clickhouse } = stores;
  const tasks = tasksOn(pool, clickhouse);
  const control = async <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => await inTransaction(pool, work);
  let keys = 0;
  return {
    stores,
    tasks,
    receiver,
    control,
    refusal: async (work) => {
      try {
        await control(work);
      } catch (error) {
        const { kind, code, data, message } = error as Record<string, unknown>;
        if (kind === undefined) throw error;
        return { kind, code, data, message };
      }
      throw new Error('it was not refused');
    },
    define: async (synced, from, to) => {
      await pool.query(
        `update computations set definition_version = definition_version + 1, guard_share = null, definition_query = $2
         where id = $1`,
        [
          synced.computationId,
          `event('Visited').where(property('n') >= ${from} AND property('n') <= ${to}).count() >= 1`,
        ],
      );
    },
    addSynced: async (count, { query = EVERYBODY, kind = 'audience' } = {}) => {
      const world = await createWorld(pool);
      await addPeople(clickhouse, world, count);
      const computationId = await addAudience(pool, world, query, { kind, key: `everybody_${++keys}` });
      const { connectionId, destinationId } = await connectWebhook(pool, world, computationId, receiver.url, 10);
      const runId = await addRun(pool, world, computationId);
      const [syncId = ''] = await tasks.execute(runId);
      const address = { workspaceId: world.workspaceId, spaceId: world.spaceId, kind, id: computationId };
      return { world, address, computationId, connectionId, destinationId, runId, syncId };
    },
    runAgain: async ({ world, computationId }) => {
      const runId = await addRun(pool, world, computationId);
      return { runId, made: await tasks.execute(runId) };
    },
    reach: async (syncId) => {
      const { attempt } = await tasks.begin(syncId);
      await tasks.step(syncId, attempt, 'prepare');
      await tasks.step(syncId, attempt, 'extract');
    },
    statusOf: async (taskId) => {
      const { rows } = await pool.query<{ status: string }>('select status from tasks where id = $1', [taskId]);
      return rows[0]?.status ?? 'not there';
    },
    trail: async ({ computationId }, type) => {
      const { rows } = await pool.query<{ type: string; actor_id: string; task_id: string | null; details: unknown }>(
        'select type, actor_id, task_id, details from audit_events where resource_id = $1 and type = $2 order by id',
        [computationId, type],
      );
      return rows;
    },
    tasksOf: async ({ computationId }) => {
      const { rows } = await pool.query<{ id: string; reason: string; status: string }>(
        'select id, reason, status from tasks where computation_id = $1 order by id',
        [computationId],
      );
      return rows;
    },
    connection: async ({ connectionId }) => {
      const { rows } = await pool.query<{ synced: boolean; resync: boolean }>(
        `select coalesce(n.synced_version = c.live_version, false) as synced, n.resync_requested_at is not null as resync
         from connections n join computations c on c.id = n.computation_id where n.id = $1`,
        [connectionId],
      );
      const row = rows[0];
      if (row === undefined) throw new Error(`no connection ${connectionId}`);
      return row;
    },
    acknowledged: async (connectionId) => {
      await foldSettled(stores.pool, { clickhouse }, connectionId);
      const rows = await selectRows<{ profile: number }>(
        clickhouse,
        `SELECT profile FROM baselines FINAL WHERE connection_id = {id:String} AND value != '' ORDER BY profile`,
        { id: connectionId },
      );
      return rows.map(({ profile }) => profile);
    },
    delivered: () => receiver.accepted.map(({ userId }) => Number(userId?.slice(5))),
    close: async () => {
      await receiver.close();
      await stores.close();
    },
  };
}

/** A clean receiver, before each test. */
export function forget(receiver: Receiver): void {
  receiver.requests.length = 0;
  receiver.accepted.length = 0;
  receiver.behave(() => undefined);
}

/** From 1 to `count`. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
