import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addMember, createUser } from '../../src/access/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { addRun, type World } from '../helpers/world.ts';
import { createApiWorld, PUBLIC_URL, type ApiWorld } from './api-world.ts';
import { createScenes, HOSTILE, STATES, type Scenes } from './control-scenes.ts';

const PASSWORD = 'correct horse battery staple';

let world: ApiWorld;
let space: World;
let scenes: Scenes;
const cookies: Record<'member' | 'support' | 'stranger', string> = { member: '', support: '', stranger: '' };

beforeAll(async () => {
  world = await createApiWorld({ temporalUiUrl: 'http://127.0.0.1:8233/namespaces/default/' });
  space = { workspaceId: world.ours.workspaceId, spaceId: world.ours.spaceId, actor: SYSTEM_ACTOR };
  scenes = createScenes(world, space);
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

describe('a button', () => {
  // What the API would refuse is not offered, and what it would do is: whatever the state, for every button.
  it.each(STATES)('is shown where the API would do it, and nowhere else, of one that %s', async (state) => {
    const offered: [string, boolean][] = [];
    const done: [string, boolean][] = [];
    for (const [button, of] of Object.entries(scenes.buttons)) {
      const scene = await scenes.inState(state);
      const { page, button: action, api } = of(scene);
      offered.push([button, buttonsOf((await load(page)).page).includes(action)]);
      const answer = await world.send('POST', api, { token: world.ours.member, body: {} });
      expect([button, answer.status]).toEqual([button, expect.toBeOneOf([200, 201, 409])]);
      done.push([button, answer.status < 300]);
    }
    expect(offered).toEqual(done);
  });

  it('of a computation that is disabled enables it', async () => {
    const { computationId } = await scenes.inState('is disabled');
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
    const { computationId } = await scenes.stage('run');
    await press(`/computations/${computationId}/pause`);
    const again = await press(`/computations/${computationId}/pause`);
    expect(again.status).toBe(409);
    expect(again.page).toMatch(/<p class="note bad refused" role="alert">scene_\d+ is paused already\./);
    expect(buttonsOf(again.page)).toContain(`/computations/${computationId}/resume`);

    const { taskId } = await scenes.stage('run');
    const cancelled = await press(`/tasks/${taskId}/actions/cancel`);
    expect([cancelled.status, cancelled.page]).toEqual([
      409,
      expect.stringMatching(/role="alert"[^<]*can&#39;t cancel what is done/),
    ]);
  });

  it('takes what a person fills in, and no more', async () => {
    const { taskId } = await scenes.stage('run', { status: 'running' });
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
    const { computationId, taskId } = await scenes.stage('run', { status: 'running' });
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
    const { computationId, taskId } = await scenes.stage('run', { status: 'running' });
    for (const path of [`/computations/${computationId}`, `/tasks/${taskId}`]) {
      const { status, page } = await load(path, 'support');
      expect([path, status, buttonsOf(page)]).toEqual([path, 200, []]);
    }
  });
});

describe('the page of a task', () => {
  it('is for browsers, and JSON for everybody else, under one address', async () => {
    const { taskId } = await scenes.stage('run');
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
    const { taskId } = await scenes.stage('sync', { status: 'failed' });
    await scenes.reject(taskId, HOSTILE);
    const { page } = await load(`/tasks/${taskId}`);
    expect(page).not.toContain('<script>alert');
    expect(page.match(/&lt;script&gt;alert\(1\)/g)?.length).toBeGreaterThanOrEqual(3);
    expect(page).toContain(`href="/tasks/${taskId}/rejected-rows.csv"`);
    expect(page).not.toMatch(/<style|style=|\son\w+=/);
  });

  it('asks who let many leave, with the counts', async () => {
    const { taskId } = await scenes.inState('has a run that waits for approval');
    const { page } = await load(`/tasks/${taskId}`);
    expect(page).toContain('It would remove 255 of 300 members (85 %).');
    expect(page.replaceAll(/\s+/g, ' ')).toContain('<dt>Would leave</dt> <dd>255</dd>');
    expect(await load('/')).toMatchObject({ page: expect.stringContaining('See who would leave') });
  });
});

describe('the history on the page of a computation', () => {
  it('is paged by links that work', async () => {
    const { computationId } = await scenes.stage('run');
    for (let index = 0; index < 30; index += 1)
      await scenes.end(await addRun(world.pool, space, computationId), { status: 'succeeded', attempt: 1 });
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
