import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { addSync } from '../db/tasks-world.ts';
import { createApiWorld, type ApiWorld } from './api-world.ts';

let world: ApiWorld;

beforeAll(async () => {
  world = await createApiWorld();
});
beforeEach(() => {
  world.started.length = 0;
  world.woken.length = 0;
});
afterAll(async () => await world?.close());

/** An audience with a destination and an open sync. */
async function addOpenSync() {
  const { workspaceId, spaceId } = world.ours;
  const sync = await addSync(world.pool, { workspaceId, spaceId, actor: SYSTEM_ACTOR });
  return { ...sync, path: `/spaces/${spaceId}/audiences/${sync.computationId}` };
}

interface Answered {
  status: number;
  type: string | undefined;
  field: string | undefined;
  message: string | undefined;
  data: Record<string, unknown>;
}

async function send(method: string, path: string, body?: unknown, token = world.ours.member): Promise<Answered> {
  const answer = await world.send(method, path, { token, ...(body === undefined ? {} : { body }) });
  const refused = answer.body.errors?.[0];
  return {
    status: answer.status,
    type: refused?.type,
    field: refused?.field,
    message: refused?.message,
    data: answer.body.data ?? {},
  };
}

async function trailOf(taskOrResource: string): Promise<{ type: string; actor: string; details: unknown }[]> {
  const { rows } = await world.pool.query<{ type: string; actor: string; details: unknown }>(
    `select type, actor_name as actor, details from audit_events
     where (task_id = $1 or resource_id = $1) and actor_kind <> 'system' order by id`,
    [taskOrResource],
  );
  return rows;
}

async function endSync(taskId: string, status: 'failed' | 'succeeded'): Promise<void> {
  await world.pool.query('update tasks set status = $2, ended_at = now() where id = $1', [taskId, status]);
}

describe('POST /tasks/:taskId/cancel', () => {
  it('cancels, tells the workflow to look, and says what it is now', async () => {
    const { taskId } = await addOpenSync();
    const done = await send('POST', `/tasks/${taskId}/cancel`, { reason: '  Sent to the wrong list  ' });
    expect(done).toMatchObject({ status: 200, data: { task: { id: taskId, status: 'cancelled' } } });
    expect(world.woken).toEqual([taskId]);
    expect(await trailOf(taskId)).toMatchObject([
      {
        type: 'Audience Destination Sync Cancelled',
        actor: 'workspace_member',
        details: { reason: 'Sent to the wrong list' },
      },
    ]);
    const again = await send('POST', `/tasks/${taskId}/cancel`);
    expect(again).toMatchObject({ status: 409, type: 'task_ended', field: 'taskId' });
    expect(again.message).toMatch(/was cancelled: can't cancel what is done/);
  });

  it('refuses a reason that is none, and what it does not know', async () => {
    const { taskId } = await addOpenSync();
    expect(await send('POST', `/tasks/${taskId}/cancel`, { reason: ' ' })).toMatchObject({
      status: 400,
      field: 'reason',
    });
    expect(await send('POST', `/tasks/${taskId}/cancel`, { why: 'x' })).toMatchObject({ status: 400 });
    expect(world.woken).toEqual([]);
  });

  it('has succeeded also where the workflow can not be told', async () => {
    const deaf = await createApiWorld({ wakeTask: async () => await Promise.reject(new Error('Temporal is away')) });
    try {
      const { workspaceId, spaceId, member } = deaf.ours;
      const { taskId } = await addSync(deaf.pool, { workspaceId, spaceId, actor: SYSTEM_ACTOR });
      expect((await deaf.send('POST', `/tasks/${taskId}/cancel`, { token: member })).status).toBe(200);
      expect(deaf.logged.some((line) => line.includes('task not woken yet') && line.includes(taskId))).toBe(true);
    } finally {
      await deaf.close();
    }
  });
});

describe('pause and resume', () => {
  it('of a computation holds its tasks, refuses new ones, and lets them go on', async () => {
    const { taskId, path, computationId, destinationId } = await addOpenSync();
    expect(await send('POST', `${path}/pause`)).toMatchObject({
      status: 200,
      data: { audience: { id: computationId, statusLabel: 'Paused' } },
    });
    expect(world.woken).toEqual([taskId]);
    for (const [method, target] of [
      ['POST', `${path}/pause`],
      ['POST', `${path}/runs`],
      ['POST', `${path}/backfill`],
      ['POST', `${path}/resync`],
    ] as const) {
      expect([target, await send(method, target)]).toMatchObject([target, { status: 409, type: 'computation_paused' }]);
    }
    expect(await send('POST', `${path}/resume`)).toMatchObject({
      status: 200,
      data: { audience: { id: computationId } },
    });
    expect(world.woken).toEqual([taskId, taskId]);
    expect(await send('POST', `${path}/resume`)).toMatchObject({ status: 409, type: 'not_paused', field: 'id' });
    expect(await send('POST', `${path}/destinations/${destinationId}/resume`)).toMatchObject({
      status: 409,
      type: 'not_suspended',
      field: 'destinationId',
    });
    expect((await trailOf(computationId)).map(({ type }) => type)).toEqual(['Audience Paused', 'Audience Resumed']);
  });

  it('of a suspended connection sends what it has missed', async () => {
    const { taskId, path, connectionId, destinationId } = await addOpenSync();
    await endSync(taskId, 'failed');
    await world.pool.query('update connections set suspended_at = now(), hard_failures = 3 where id = $1', [
      connectionId,
    ]);
    await world.pool.query(
      'update computations set live_version = 1 where id in (select computation_id from tasks where id = $1)',
      [taskId],
    );
    expect(await send('POST', `/tasks/${taskId}/retry`)).toMatchObject({ status: 409, type: 'sync_suspended' });
    const resumed = await send('POST', `${path}/destinations/${destinationId}/resume`);
    expect(resumed).toMatchObject({ status: 200, data: { taskId: expect.stringMatching(/^tsk_/) as string } });
    expect(world.started).toEqual([resumed.data['taskId']]);
  });
});

describe('runs and resyncs that are asked for', () => {
  it('are written, audited and started', async () => {
    const { taskId, path, computationId } = await addOpenSync();
    expect(await send('POST', `${path}/resync`)).toMatchObject({ status: 409, type: 'nothing_live', field: 'id' });
    const made = await send('POST', `${path}/backfill`);
    const run = made.data['task'] as { id: string; reason: string };
    expect([made.status, run.reason]).toEqual([201, 'backfill']);
    expect(world.started).toEqual([run.id]);
    expect(await send('POST', `${path}/runs`)).toMatchObject({ status: 409, type: 'run_open', field: 'id' });

    await world.pool.query('update computations set live_version = 1 where id = $1', [computationId]);
    const open = await send('POST', `${path}/resync`);
    expect(open).toMatchObject({ status: 200, data: { destinations: [{ taskId: null, after: 'open_sync' }] } });
    await endSync(taskId, 'succeeded');
    const resync = await send('POST', `${path}/resync`, {});
    const [destination] = resync.data['destinations'] as { taskId: string; destinationId: string }[];
    expect(world.started).toEqual([run.id, destination?.taskId]);
    expect(await send('POST', `${path}/resync`, { destinationIds: ['dst_none'] })).toMatchObject({
      status: 400,
      type: 'not_connected',
      field: 'destinationIds',
    });
    expect(await send('POST', `${path}/resync`, { destinationIds: [] })).toMatchObject({ status: 400 });
  });
});

describe('retry, redrive, approve and discard', () => {
  it('name what is wrong with the task that they are asked of', async () => {
    const { taskId } = await addOpenSync();
    const ask = async (what: string, body?: unknown) => await send('POST', `/tasks/${taskId}/${what}`, body);
    expect(await ask('retry')).toMatchObject({ status: 409, type: 'task_open', field: 'taskId' });
    expect(await ask('redrive')).toMatchObject({ status: 409, type: 'task_open' });
    expect(await ask('approve')).toMatchObject({ status: 409, type: 'not_awaiting_approval' });
    expect(await ask('discard')).toMatchObject({ status: 409, type: 'not_awaiting_approval' });
    await endSync(taskId, 'failed');
    expect(await ask('redrive')).toMatchObject({ status: 409, type: 'nothing_rejected' });
    expect(await ask('retry', { fromStep: 'dance' })).toMatchObject({
      status: 400,
      type: 'step_unknown',
      field: 'fromStep',
    });
    expect(await ask('retry', { fromStep: 'finish' })).toMatchObject({ status: 409, type: 'step_not_reached' });
    const retried = await ask('retry', { fromStep: 'prepare' });
    expect(retried).toMatchObject({ status: 201, data: { task: { reason: 'retry', parentTaskId: taskId } } });
    expect(world.started).toEqual([(retried.data['task'] as { id: string }).id]);
    await endSync((retried.data['task'] as { id: string }).id, 'failed');

    await world.pool.query(
      `insert into rejected_rows (task_id, idx, profile, status, reason) values ($1, 0, 1, 400, 'no')`,
      [taskId],
    );
    const redriven = await ask('redrive');
    expect(redriven).toMatchObject({ status: 201, data: { rows: 1, task: { reason: 'redrive' } } });
    expect(await ask('redrive')).toMatchObject({ status: 409, type: 'already_redriven' });
  });

  it('end a run that waits for approval one way or the other', async () => {
    const { path } = await addOpenSync();
    const answers = [];
    for (const answer of ['approve', 'discard'] as const) {
      const run = (await send('POST', `${path}/runs`)).data['task'] as { id: string };
      await world.pool.query(
        `update steps set completed_at = now(), output = case name
           when 'pin' then '{"liveSize":200}'::jsonb when 'compute' then '{"size":20}' else '{"entered":0,"exited":180,"changed":0}' end
         where task_id = $1 and name in ('pin', 'compute', 'diff')`,
        [run.id],
      );
      await world.pool.query(`update tasks set status = 'awaiting_approval' where id = $1`, [run.id]);
      world.woken.length = 0;
      const done = await send('POST', `/tasks/${run.id}/${answer}`);
      answers.push([done.status, (done.data['task'] as { status: string }).status, world.woken.length]);
      expect((await trailOf(run.id)).at(-1)).toMatchObject({
        type: answer === 'approve' ? 'Audience Run Approved' : 'Audience Run Discarded',
        actor: 'workspace_member',
        details: { before: 200, after: 20, exited: 180 },
      });
      const other = answer === 'approve' ? 'discard' : 'approve';
      expect((await send('POST', `/tasks/${run.id}/${other}`)).status).toBe(409);
      if (answer === 'approve') await send('POST', `/tasks/${run.id}/cancel`);
    }
    expect(answers).toEqual([
      [200, 'running', 1],
      [200, 'cancelled', 1],
    ]);
  });
});

describe('settings', () => {
  it('of a space are its caps, an owner’s to change, with before and after in the trail', async () => {
    const path = `/spaces/${world.ours.spaceId}`;
    expect(await send('GET', path)).toMatchObject({ data: { space: { maxRuns: 10, maxBackfills: 5 } } });
    expect(await send('PATCH', path, { maxRuns: 3 })).toMatchObject({ status: 403, type: 'not_workspace_owner' });
    const { owner } = world.ours;
    expect(await send('PATCH', path, { maxRuns: 3, maxBackfills: 2 }, owner)).toMatchObject({
      status: 200,
      data: { space: { maxRuns: 3, maxBackfills: 2, name: 'Main' } },
    });
    await send('PATCH', path, { maxRuns: 3 }, owner);
    const { rows } = await world.pool.query(
      `select before, after from audit_events where type = 'Space Modified' and resource_id = $1`,
      [world.ours.spaceId],
    );
    expect(rows).toEqual([
      { before: { name: 'Main', maxRuns: 10, maxBackfills: 5 }, after: { name: 'Main', maxRuns: 3, maxBackfills: 2 } },
    ]);
    for (const body of [{}, { maxRuns: 0 }, { maxRuns: 1.5 }, { maxBackfills: 1_001 }, { slug: 'x' }]) {
      expect([body, (await send('PATCH', path, body, owner)).status]).toEqual([body, 400]);
    }
  });

  it('of a destination are its cap, an owner’s to change', async () => {
    const { destinationId } = await addOpenSync();
    const path = `/destinations/${destinationId}`;
    expect(await send('PATCH', path, { maxSyncs: 2 })).toMatchObject({ status: 403, type: 'not_workspace_owner' });
    expect(await send('PATCH', path, { maxSyncs: 2 }, world.ours.owner)).toMatchObject({
      status: 200,
      data: { destination: { maxSyncs: 2 } },
    });
    await send('PATCH', path, { maxSyncs: 2 }, world.ours.owner);
    expect(await trailOf(destinationId)).toMatchObject([{ type: 'Destination Modified', actor: 'workspace_owner' }]);
    expect(await send('PATCH', path, { maxSyncs: 0 }, world.ours.owner)).toMatchObject({ status: 400 });
  });

  it('of tasks say when something is disabled by itself, null for never', async () => {
    const path = '/settings/tasks';
    expect(await send('GET', path)).toMatchObject({ status: 200, data: { tasks: { autoDisableAfter: 3 } } });
    expect(await send('PATCH', path, { autoDisableAfter: 5 })).toMatchObject({ status: 403 });
    const { owner, workspaceId } = world.ours;
    for (const autoDisableAfter of [5, 5, null]) {
      expect(await send('PATCH', path, { autoDisableAfter }, owner)).toMatchObject({
        status: 200,
        data: { tasks: { autoDisableAfter } },
      });
    }
    const { rows } = await world.pool.query(
      `select before, after from audit_events
       where type = 'Workspace Modified' and resource_type = 'workspace_settings' and resource_id = $1 order by id`,
      [workspaceId],
    );
    expect(rows).toEqual([
      { before: { autoDisableAfter: 3 }, after: { autoDisableAfter: 5 } },
      { before: { autoDisableAfter: 5 }, after: { autoDisableAfter: null } },
    ]);
    for (const body of [{}, { autoDisableAfter: 0 }, { autoDisableAfter: '3' }]) {
      expect([body, (await send('PATCH', path, body, owner)).status]).toEqual([body, 400]);
    }
  });
});
