import { addMember, createUser, createWorkspace } from '../../src/access/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import {
  beginAttempt,
  classifyError,
  DEFAULT_BACKOFF,
  executeActivityStep,
  executeTransactionSteps,
  recordFailure,
  stepsOf,
  type TaskDeps,
  type TaskKind,
} from '../../src/tasks/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createApiWorld, type ApiWorld } from '../api/api-world.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { serve } from '../helpers/serve.ts';
import { addAudience, addPeople, addRun, connectWebhook, type World } from '../helpers/world.ts';

export const PASSWORD = 'correct horse battery staple';
export const HOSTILE = `<img src=x onerror=alert(1)><script>alert(2)</script>"'&`;

const PEOPLE = 40;

/** A server with real stores behind it, in a workspace where one sync has failed once and another for good. */
export interface ShopWorld {
  api: ApiWorld;
  /** Where a browser reaches it. */
  address: string;
  space: World;
  audiences: { recovering: string; broken: string; hostile: string };
  /** The sync that has failed once. */
  recoveringSync: string;
  crm: Receiver;
  /** Executes one attempt at a task, as a worker does, and returns the tasks that it made. */
  attempt(taskId: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** One owner of both workspaces, and one member of ours. */
export async function createShopWorld(): Promise<ShopWorld> {
  const api = await createApiWorld({ publicUrl: 'http://127.0.0.1' });
  const server = await serve(api.app.fetch);
  const crm = await startReceiver(() => ({ status: 503 }));
  const ads = await startReceiver(() => ({ status: 401 }));
  const space: World = { workspaceId: api.ours.workspaceId, spaceId: api.ours.spaceId, actor: SYSTEM_ACTOR };
  await createPeople(api);
  await addPeople(api.deps.clickhouse, space, PEOPLE);

  const tasks: TaskDeps = {
    pool: api.pool,
    clickhouse: api.deps.clickhouse,
    destinations: api.deps.destinations,
    logger: api.deps.logger,
    backoff: DEFAULT_BACKOFF,
  };
  const attempt = async (taskId: string): Promise<readonly string[]> => await attemptOnce(tasks, taskId);
  const audience = async (
    key: string,
    query: string,
    url?: string,
  ): Promise<{ id: string; syncs: readonly string[] }> => {
    const id = await addAudience(api.pool, space, query, { key });
    if (url !== undefined) await connectWebhook(api.pool, space, id, url);
    return { id, syncs: await attempt(await addRun(api.pool, space, id)) };
  };

  const recovering = await audience('big_spenders', "event('Visited').where(property('n') > 10).count() >= 1", crm.url);
  const broken = await audience('newsletter', "event('Visited').count() >= 1", ads.url);
  const hostile = await addAudience(api.pool, space, "event('Visited').count() >= 2", { key: 'hostile' });
  await api.pool.query('update computations set name = $2 where id = $1', [hostile, HOSTILE]);
  await addAudience(api.pool, space, "event('Visited').count()", { key: 'visits', kind: 'computed_trait' });
  for (const taskId of [...recovering.syncs, ...broken.syncs]) await attempt(taskId);

  return {
    api,
    address: server.address,
    space,
    audiences: { recovering: recovering.id, broken: broken.id, hostile },
    recoveringSync: recovering.syncs[0] ?? '',
    crm,
    attempt,
    close: async () => {
      await server.close();
      await crm.close();
      await ads.close();
      await api.close();
    },
  };
}

async function createPeople({ pool, ours }: ApiWorld): Promise<void> {
  await inTransaction(pool, async (tx) => {
    const owner = await createUser(tx, { email: 'owner@example.com', name: 'Olivia Owner', password: PASSWORD });
    const member = await createUser(tx, { email: 'member@example.com', name: 'Max Member', password: PASSWORD });
    const team = await createWorkspace(tx, { slug: 'team', name: 'Team plan shop', plan: 'team', actor: SYSTEM_ACTOR });
    const lead = await createUser(tx, { email: 'lead@example.com', name: 'Lea Lead', password: PASSWORD });
    for (const [workspaceId, userId, role] of [
      [ours.workspaceId, owner.id, 'workspace_owner'],
      [ours.workspaceId, member.id, 'workspace_member'],
      [team.id, lead.id, 'workspace_owner'],
    ] as const) {
      await addMember(tx, { workspaceId, userId, role, actor: SYSTEM_ACTOR });
    }
  });
}

async function attemptOnce(deps: TaskDeps, taskId: string): Promise<readonly string[]> {
  // As if the wait before a retry were over.
  await deps.pool.query('update tasks set retry_at = clock_timestamp() where id = $1 and retry_at is not null', [
    taskId,
  ]);
  const start = await beginAttempt(deps.pool, taskId);
  if (start.next !== 'execute') throw new Error(`task ${taskId} can't begin: ${start.next}`);
  const { rows } = await deps.pool.query<{ kind: TaskKind }>('select kind from tasks where id = $1', [taskId]);
  const made: string[] = [];
  for (const { name: step, runsAs } of stepsOf(rows[0]?.kind ?? 'run')) {
    try {
      if (runsAs === 'transaction')
        made.push(...(await executeTransactionSteps(deps, taskId, start.attempt, [step])).made);
      else {
        await executeActivityStep(deps, {
          taskId,
          attempt: start.attempt,
          step,
          signal: new AbortController().signal,
          progress: () => {},
        });
      }
    } catch (error) {
      const { code, detail } = classifyError(error);
      const failure = { taskId, attempt: start.attempt, step, code, detail };
      await recordFailure(deps.pool, failure, { backoff: deps.backoff, random: () => 0.5 });
      break;
    }
  }
  return made;
}
