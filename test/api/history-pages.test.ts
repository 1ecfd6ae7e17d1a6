import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addMember, createUser } from '../../src/access/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { addAudience, addRun, connectWebhook, type World } from '../helpers/world.ts';
import { createApiWorld, PUBLIC_URL, type ApiWorld } from './api-world.ts';

const PASSWORD = 'correct horse battery staple';
const HOSTILE = '<script>alert(1)</script>"\'&';

let world: ApiWorld;
let space: World;
const cookies: Record<'member' | 'support' | 'stranger', string> = { member: '', support: '', stranger: '' };

beforeAll(async () => {
  world = await createApiWorld({ temporalUiUrl: 'http://127.0.0.1:8233/namespaces/default/' });
  space = { workspaceId: world.ours.workspaceId, spaceId: world.ours.spaceId, actor: SYSTEM_ACTOR };
  await inTransaction(world.pool, async (tx) => {
    for (const [email, workspaceId] of [
      ['member@example.com', world.ours.workspaceId],
      ['stranger@example.com', world.stranger.workspaceId],
      ['support@example.com', null],
    ] as const) {
      const user = await createUser(tx, { email, name: email, password: PASSWORD });
      if (workspaceId === null) await tx.query('update users set is_support = true where id = $1', [user.id]);
      else await addMember(tx, { workspaceId, userId: user.id, role: 'workspace_member', actor: SYSTEM_ACTOR });
    }
  });
  cookies.member = await signIn('member@example.com');
  cookies.stranger = await signIn('stranger@example.com');
  cookies.support = `${await signIn('support@example.com')}; trailmark_workspace=ours`;
});
afterAll(async () => await world.close());

async function signIn(email: string): Promise<string> {
  const response = await world.app.request('/sign-in', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', origin: PUBLIC_URL },
    body: new URLSearchParams({ email, password: PASSWORD }).toString(),
  });
  return response.headers.getSetCookie()[0]?.split(';')[0] ?? '';
}

async function load(path: string, who: keyof typeof cookies = 'member'): Promise<{ status: number; page: string }> {
  const response = await world.app.request(path, { headers: { cookie: cookies[who], accept: 'text/html' } });
  return { status: response.status, page: await response.text() };
}

async function press(
  action: string,
  fields: Record<string, string> = {},
  headers: Record<string, string> = {},
): Promise<{ status: number; location: string | null; page: string }> {
  const response = await world.app.request(action, {
    method: 'POST',
    headers: {
      cookie: cookies.member,
      origin: PUBLIC_URL,
      'content-type': 'application/x-www-form-urlencoded',
      ...headers,
    },
    body: new URLSearchParams(fields).toString(),
  });
  return { status: response.status, location: response.headers.get('location'), page: await response.text() };
}

/** The addresses that the buttons of a page are posted to. */
function buttonsOf(page: string): string[] {
  return [...page.matchAll(/<form[^>]*method="post"[^>]*action="([^"]+)"/g)]
    .map(([, action]) => action ?? '')
    .filter((action) => action !== '/sign-out');
}

let keys = 0;

interface Scene {
  computationId: string;
  destinationId: string;
  connectionId: string;
  taskId: string;
}

/** A connected audience whose version 1 is live, and a task of it. */
async function stage(kind: 'run' | 'sync', change: Partial<Record<string, unknown>> = {}): Promise<Scene> {
  const { pool } = world;
  const key = `scene_${++keys}`;
  const computationId = await addAudience(pool, space, "event('Visited').count() >= 1", { key });
  const { destinationId, connectionId } = await connectWebhook(pool, space, computationId, 'http://127.0.0.1:9/');
  await pool.query(
    'update computations set live_version = 1, live_as_of = now(), live_size = 300, live_definition_version = 1 where id = $1',
    [computationId],
  );
  const taskId = await addRun(pool, space, computationId);
  if (kind === 'sync') {
    await pool.query(`update tasks set kind = 'sync', connection_id = $2 where id = $1`, [taskId, connectionId]);
    await pool.query('delete from steps where task_id = $1', [taskId]);
    await pool.query(
      `insert into steps (task_id, position, name, completed_at, output)
       select $1, place, name, case when place < 2 then now() end, case when place < 2 then output::jsonb end
       from (values (0, 'prepare', '{"externalAudienceId": null}'),
                    (1, 'extract', '{"extractId": 1, "version": 1, "asOf": "2026-01-01T00:00:00Z", "changes": 3, "scope": "all"}'),
                    (2, 'deliver', null), (3, 'reconcile', null), (4, 'finish', null)) as step (place, name, output)`,
      [taskId],
    );
  }
  await end(taskId, { status: 'succeeded', attempt: 1, ...change });
  return { computationId, destinationId, connectionId, taskId };
}

async function end(taskId: string, { status, attempt }: { status: unknown; attempt: unknown }): Promise<void> {
  const ended = ['succeeded', 'failed', 'cancelled'].includes(String(status));
  await world.pool.query(
    `update tasks set status = $2, attempt = $3, started_at = now(), ended_at = case when $4 then now() end where id = $1`,
    [taskId, status, attempt, ended],
  );
  if (attempt !== 0) {
    await world.pool.query('insert into attempts (task_id, attempt, outcome) values ($1, $2, $3)', [
      taskId,
      attempt,
      ended ? status : null,
    ]);
  }
}

async function reject(taskId: string, reason = 'no such person'): Promise<void> {
  await world.pool.query(
    `insert into rejected_rows (task_id, idx, profile, status, reason, user_id, value) values ($1, 0, 1, 400, $2, $3, 'true')`,
    [taskId, reason, HOSTILE],
  );
  await world.pool.query(
    `update steps set cursor = '{"next": 3, "redo": [], "delivered": 2, "rejected": 1, "skipped": 0}', started_at = now()
     where task_id = $1 and name = 'deliver'`,
    [taskId],
  );
}

async function guarded(taskId: string): Promise<void> {
  const outputs = {
    pin: { query: 'q', definitionVersion: 1, asOf: '2026-01-01T00:00:00Z', liveVersion: 1, liveSize: 300, traits: {} },
    compute: { version: 2, size: 50 },
    diff: { entered: 5, exited: 255, changed: 0 },
  };
  for (const [name, output] of Object.entries(outputs)) {
    await world.pool.query('update steps set completed_at = now(), output = $3 where task_id = $1 and name = $2', [
      taskId,
      name,
      JSON.stringify(output),
    ]);
  }
}

const set = async (sql: string, id: string): Promise<void> => {
  await world.pool.query(sql, [id]);
};

const SCENES: Record<string, () => Promise<Scene>> = {
  'is live': async () => await stage('run'),
  'is paused': async () => {
    const scene = await stage('run', { status: 'running' });
    await set('update computations set paused_at = now() where id = $1', scene.computationId);
    return scene;
  },
  'is disabled': async () => {
    const scene = await stage('run', { status: 'failed' });
    await set(
      `update computations set enabled = false, disabled_reason = 'Three runs failed.' where id = $1`,
      scene.computationId,
    );
    return scene;
  },
  'has nothing live': async () => {
    const scene = await stage('run', { status: 'failed' });
    await set('update computations set live_version = null where id = $1', scene.computationId);
    return scene;
  },
  'has a run that has not begun': async () => await stage('run', { status: 'pending', attempt: 0 }),
  'has a run that waits for approval': async () => {
    const scene = await stage('run', { status: 'awaiting_approval' });
    await guarded(scene.taskId);
    return scene;
  },
  'has a run that waits for approval, and is disabled': async () => {
    const scene = await stage('run', { status: 'awaiting_approval' });
    await guarded(scene.taskId);
    await set('update computations set enabled = false where id = $1', scene.computationId);
    return scene;
  },
  'has a run that was cancelled': async () => await stage('run', { status: 'cancelled' }),
  'has a run that failed, and was edited since': async () => {
    const scene = await stage('run', { status: 'failed' });
    await guarded(scene.taskId);
    await set('update computations set definition_version = 2 where id = $1', scene.computationId);
    return scene;
  },
  'has a sync that failed with rejected rows': async () => {
    const scene = await stage('sync', { status: 'failed' });
    await reject(scene.taskId);
    return scene;
  },
  'has a sync whose rejected rows were sent again': async () => {
    const scene = await stage('sync', { status: 'succeeded' });
    await reject(scene.taskId);
    const other = await stage('sync', { status: 'succeeded' });
    await world.pool.query('update rejected_rows set redriven_by = $2 where task_id = $1', [
      scene.taskId,
      other.taskId,
    ]);
    return scene;
  },
  'has a sync that failed, to a connection that is suspended': async () => {
    const scene = await stage('sync', { status: 'failed' });
    await reject(scene.taskId);
    await set(
      `update connections set suspended_at = now(), suspended_reason = 'Three syncs failed.' where id = $1`,
      scene.connectionId,
    );
    return scene;
  },
  'has a sync that failed too long ago': async () => {
    const scene = await stage('sync', { status: 'failed' });
    await set(
      `update steps set completed_at = completed_at - interval '8 days' where task_id = $1 and completed_at is not null`,
      scene.taskId,
    );
    return scene;
  },
  'has a sync under way': async () => await stage('sync', { status: 'running' }),
};

/** Every button there is: the address that it is posted to, and what the API is asked for. */
const BUTTONS: Record<string, (scene: Scene) => { page: string; button: string; api: string }> = {
  ...Object.fromEntries(
    ['pause', 'resume', 'runs', 'resync'].map((action) => [
      action,
      ({ computationId }: Scene) => ({
        page: `/computations/${computationId}`,
        button: `/computations/${computationId}/${action}`,
        api: `/spaces/${space.spaceId}/audiences/${computationId}/${action}`,
      }),
    ]),
  ),
  'resume syncs': ({ computationId, destinationId }) => ({
    page: `/computations/${computationId}`,
    button: `/computations/${computationId}/destinations/${destinationId}/resume`,
    api: `/spaces/${space.spaceId}/audiences/${computationId}/destinations/${destinationId}/resume`,
  }),
  ...Object.fromEntries(
    ['cancel', 'approve', 'discard', 'retry', 'redrive'].map((action) => [
      action,
      ({ taskId }: Scene) => ({
        page: `/tasks/${taskId}`,
        button: `/tasks/${taskId}/actions/${action}`,
        api: `/tasks/${taskId}/${action}`,
      }),
    ]),
  ),
};

describe('a button', () => {
  // What the API would refuse is not offered, and what it would do is: whatever the state, for every button.
  it.each(Object.keys(SCENES))('is shown where the API would do it, and nowhere else, of one that %s', async (name) => {
    const offered: [string, boolean][] = [];
    const done: [string, boolean][] = [];
    for (const [button, of] of Object.entries(BUTTONS)) {
      const scene = await (SCENES[name] ?? SCENES['is live'] ?? stage.bind(null, 'run'))();
      const { page, button: action, api } = of(scene);
      offered.push([button, buttonsOf((await load(page)).page).includes(action)]);
      const answer = await world.send('POST', api, { token: world.ours.member, body: {} });
      expect([button, answer.status]).toEqual([button, expect.toBeOneOf([200, 201, 409])]);
      done.push([button, answer.status < 300]);
    }
    expect(offered).toEqual(done);
  });

  it('of a computation that is disabled enables it', async () => {
    const { computationId } = (await SCENES['is disabled']?.()) ?? (await stage('run'));
    const before = await load(`/computations/${computationId}`);
    expect(before.page).toContain('Disabled by the system');
    expect(before.page).toContain('Three runs failed.');
    expect(buttonsOf(before.page)).toContain(`/computations/${computationId}/enable`);
    expect(await press(`/computations/${computationId}/enable`)).toMatchObject({
      status: 303,
      location: `/computations/${computationId}`,
    });
    const after = await load(`/computations/${computationId}`);
    expect(after.page).not.toContain('Disabled by the system');
    expect(buttonsOf(after.page)).not.toContain(`/computations/${computationId}/enable`);
  });

  it('that came too late says so, in the API’s words, on the page as it is now', async () => {
    const { computationId } = await stage('run');
    await press(`/computations/${computationId}/pause`);
    const again = await press(`/computations/${computationId}/pause`);
    expect(again.status).toBe(409);
    expect(again.page).toMatch(/<p class="note bad refused" role="alert">scene_\d+ is paused already\./);
    expect(buttonsOf(again.page)).toContain(`/computations/${computationId}/resume`);

    const { taskId } = await stage('run');
    const cancelled = await press(`/tasks/${taskId}/actions/cancel`);
    expect([cancelled.status, cancelled.page]).toEqual([
      409,
      expect.stringMatching(/role="alert"[^<]*can&#39;t cancel what is done/),
    ]);
  });

  it('takes what a person fills in, and no more', async () => {
    const { taskId } = await stage('run', { status: 'running' });
    expect(await press(`/tasks/${taskId}/actions/cancel`, { reason: 'Wrong list', other: 'x' })).toMatchObject({
      status: 303,
      location: `/tasks/${taskId}`,
    });
    const { rows } = await world.pool.query<{ details: object; actor_email: string }>(
      `select details, actor_email from audit_events where task_id = $1 and type = 'Audience Run Cancelled'`,
      [taskId],
    );
    expect(rows).toMatchObject([{ details: { reason: 'Wrong list' }, actor_email: 'member@example.com' }]);
    const retried = await press(`/tasks/${taskId}/actions/retry`, { fromStep: 'nowhere' });
    expect([retried.status, retried.page]).toEqual([400, expect.stringContaining('A run has no step')]);
  });

  it('is refused from a page of another site, without a session, of strangers, and where there is none', async () => {
    const { computationId, taskId } = await stage('run', { status: 'running' });
    const evil = { origin: 'https://evil.example' };
    for (const action of [`/computations/${computationId}/pause`, `/tasks/${taskId}/actions/cancel`]) {
      expect((await press(action, {}, evil)).status).toBe(403);
      expect(await press(action, {}, { cookie: '' })).toMatchObject({ status: 303, location: '/sign-in' });
      expect((await press(action, {}, { cookie: cookies.stranger })).status).toBe(404);
      expect((await press(action.replace(/\w+$/, 'constructor'))).status).toBe(404);
      const support = await press(action, {}, { cookie: cookies.support });
      expect([support.status, support.page]).toEqual([
        403,
        expect.stringContaining('Support can look at this workspace'),
      ]);
    }
    const { rows } = await world.pool.query('select paused_at from computations where id = $1', [computationId]);
    expect(rows).toEqual([{ paused_at: null }]);
  });

  it('is none for support, who see all the rest', async () => {
    const { computationId, taskId } = await stage('run', { status: 'running' });
    for (const path of [`/computations/${computationId}`, `/tasks/${taskId}`]) {
      const { status, page } = await load(path, 'support');
      expect([path, status, buttonsOf(page)]).toEqual([path, 200, []]);
    }
  });
});

describe('the page of a task', () => {
  it('is for browsers, and JSON for everybody else, under one address', async () => {
    const { taskId } = await stage('run');
    const { page } = await load(`/tasks/${taskId}`);
    expect(page).toContain('<h1>Run</h1>');
    expect(page).toContain(`href="http://127.0.0.1:8233/namespaces/default/workflows/task%2F${taskId}"`);
    const asked: Record<string, string>[] = [
      { authorization: `Bearer ${world.ours.member}` },
      { authorization: `Bearer ${world.ours.member}`, accept: '*/*' },
      { cookie: cookies.member, accept: 'application/json' },
    ];
    for (const headers of asked) {
      const response = await world.app.request(`/tasks/${taskId}`, { headers });
      expect(await response.json()).toMatchObject({ data: { task: { id: taskId } } });
    }
    expect((await load(`/tasks/${taskId}`, 'stranger')).status).toBe(404);
    const out = await world.app.request(`/tasks/${taskId}`, { headers: { accept: 'text/html' } });
    expect([out.status, out.headers.get('location')]).toEqual([303, '/sign-in']);
  });

  it('shows what was rejected and why, as text, and where all of it is', async () => {
    const { taskId } = await stage('sync', { status: 'failed' });
    await reject(taskId, HOSTILE);
    const { page } = await load(`/tasks/${taskId}`);
    expect(page).not.toContain('<script>alert');
    expect(page.match(/&lt;script&gt;alert\(1\)/g)?.length).toBeGreaterThanOrEqual(3);
    expect(page).toContain(`href="/tasks/${taskId}/rejected-rows.csv"`);
    expect(page).not.toMatch(/<style|style=|\son\w+=/);
  });

  it('asks who let many leave, with the counts', async () => {
    const { taskId } = (await SCENES['has a run that waits for approval']?.()) ?? (await stage('run'));
    const { page } = await load(`/tasks/${taskId}`);
    expect(page).toContain('It would remove 255 of 300 members (85 %).');
    expect(page.replaceAll(/\s+/g, ' ')).toContain('<dt>Would leave</dt> <dd>255</dd>');
    expect(await load('/')).toMatchObject({ page: expect.stringContaining('See who would leave') });
  });
});

describe('the history on the page of a computation', () => {
  it('is paged by links that work', async () => {
    const { computationId } = await stage('run');
    for (let index = 0; index < 30; index += 1)
      await end(await addRun(world.pool, space, computationId), { status: 'succeeded', attempt: 1 });
    const first = await load(`/computations/${computationId}`);
    const older = /href="(\/computations\/[^"]+)" rel="next"/.exec(first.page)?.[1] ?? '';
    const second = await load(older);
    const rows = (page: string): string[] => [...page.matchAll(/<tr data-key="(tsk_\w+)"/g)].map(([, id]) => id ?? '');
    expect(new Set([...rows(first.page), ...rows(second.page)]).size).toBe(31);
    expect(second.page).toContain(`data-live="${older}"`);
    expect(second.page).toContain('rel="prev"');
    expect((await load(`/computations/${computationId}?history=nonsense`)).status).toBe(400);
  });
});
