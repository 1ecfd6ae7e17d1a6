import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addMember, createUser } from '../../src/access/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { audienceBody, createApiWorld, PUBLIC_URL, type ApiWorld } from './api-world.ts';

const PASSWORD = 'correct horse battery staple';
const HOSTILE = '<script>alert(1)</script>"\'&';

let world: ApiWorld;
let audienceId: string;

beforeAll(async () => {
  world = await createApiWorld();
  await inTransaction(world.pool, async (tx) => {
    for (const [email, role] of [
      ['owner@example.com', 'workspace_owner'],
      ['member@example.com', 'workspace_member'],
    ] as const) {
      const user = await createUser(tx, {
        email,
        name: HOSTILE,
        password: PASSWORD,
      });
      await addMember(tx, { workspaceId: world.ours.workspaceId, userId: user.id, role, actor: SYSTEM_ACTOR });
    }
  });
  const made = await world.send('POST', `/spaces/${world.ours.spaceId}/audiences`, {
    token: world.ours.owner,
    body: audienceBody({ name: HOSTILE, key: 'hostile', description: HOSTILE }),
  });
  audienceId = (made.body.data as unknown as { audience: { id: string } }).audience.id;
});
afterAll(async () => await world.close());

const form = (fields: Record<string, string>): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded', origin: PUBLIC_URL },
  body: new URLSearchParams(fields).toString(),
});

async function signIn(email: string): Promise<string> {
  const response = await world.app.request('/sign-in', form({ email, password: PASSWORD }));
  expect(response.status).toBe(303);
  const cookie = response.headers.getSetCookie().find((one) => one.startsWith('trailmark_session=')) ?? '';
  expect(cookie).toMatch(/HttpOnly/);
  expect(cookie).toMatch(/SameSite=Lax/);
  expect(cookie).toMatch(/Secure/);
  return cookie.split(';')[0] ?? '';
}

describe('signing in', () => {
  it('sends those who did not there', async () => {
    const response = await world.app.request('/', { headers: { accept: 'text/html' } });
    expect([response.status, response.headers.get('location')]).toEqual([303, '/sign-in']);
    expect((await world.app.request('/sign-in')).status).toBe(200);
  });

  it('says that the email or the password is wrong, and not which', async () => {
    for (const fields of [
      { email: 'owner@example.com', password: 'wrong' },
      { email: 'nobody@example.com', password: PASSWORD },
    ]) {
      const response = await world.app.request('/sign-in', form(fields));
      expect(response.status).toBe(401);
      expect(await response.text()).toContain('The email or the password is not right.');
    }
  });

  it('is refused from a page of another site, and so is every change by cookie', async () => {
    const cookie = await signIn('owner@example.com');
    for (const origin of ['https://evil.example', 'null']) {
      const login = await world.app.request('/sign-in', {
        ...form({ email: 'owner@example.com', password: PASSWORD }),
        headers: { 'content-type': 'application/x-www-form-urlencoded', origin },
      });
      expect(login.status).toBe(403);
      for (const path of ['/sign-out', `/computations/${audienceId}/runs`, '/access-tokens']) {
        const response = await world.app.request(path, {
          method: 'POST',
          headers: { cookie, origin, 'content-type': 'application/json' },
          body: '{"name":"x","role":"workspace_owner"}',
        });
        expect([path, response.status]).toEqual([path, 403]);
      }
    }
    // Neither does a form without an Origin get through; our own page's fetch does.
    const bare = await world.app.request('/access-tokens', { method: 'POST', headers: { cookie } });
    expect(bare.status).toBe(403);
    const own = await world.app.request('/access-tokens', {
      method: 'POST',
      headers: { cookie, origin: PUBLIC_URL, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'By page', role: 'workspace_member' }),
    });
    expect(own.status).toBe(201);
  });

  it('ends with signing out', async () => {
    const cookie = await signIn('owner@example.com');
    const out = await world.app.request('/sign-out', { method: 'POST', headers: { cookie, origin: PUBLIC_URL } });
    expect(out.status).toBe(303);
    expect((await world.app.request('/', { headers: { cookie } })).status).toBe(303);
  });
});

describe('the page', () => {
  it('shows computations, tasks, alerts and the trail to an owner, with every text escaped', async () => {
    const cookie = await signIn('owner@example.com');
    await world.app.request(`/computations/${audienceId}/runs`, {
      method: 'POST',
      headers: { cookie, origin: PUBLIC_URL },
    });
    for (const path of ['/', `/computations/${audienceId}`]) {
      const response = await world.app.request(path, { headers: { cookie } });
      const page = await response.text();
      expect(response.status).toBe(200);
      expect(page).not.toContain('<script>alert');
      expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;');
      expect(page).toContain('Preparing');
      expect(page).toContain('Waiting for its turn.');
      // No script and no style but from files of this server.
      expect(page).not.toMatch(/<script(?! src="\/assets\/)/);
      expect(page).not.toMatch(/<style|style=|\son\w+=/);
      const policy = response.headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("script-src 'self'");
      expect(policy).not.toContain('unsafe');
      for (const [, asset] of page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)) {
        expect((await world.app.request(asset ?? '')).status).toBe(200);
      }
    }
    const home = await (await world.app.request('/', { headers: { cookie } })).text();
    expect(home).toContain('Audience Run Forced');
  });

  it('says 304 while nothing changed, and something else once it did', async () => {
    const cookie = await signIn('owner@example.com');
    const load = async (etag?: string): Promise<Response> =>
      await world.app.request('/', { headers: { cookie, ...(etag === undefined ? {} : { 'if-none-match': etag }) } });
    await load();
    const etag = (await load()).headers.get('etag') ?? '';
    expect((await load(etag)).status).toBe(304);
    await world.pool.query('update computations set live_size = 41, live_as_of = now() where id = $1', [audienceId]);
    expect((await load(etag)).status).toBe(200);
  });

  it('tells a member why there is no trail', async () => {
    const cookie = await signIn('member@example.com');
    const page = await (await world.app.request('/', { headers: { cookie } })).text();
    expect(page).toContain('The audit trail needs the role Workspace Owner');
    expect(page).not.toContain('Audience Run Forced');
  });

  it('tells an owner that the plan has no trail', async () => {
    const cookie = await signIn('owner@example.com');
    await world.pool.query(`update workspaces set plan = 'team' where id = $1`, [world.ours.workspaceId]);
    const page = await (await world.app.request('/', { headers: { cookie } })).text();
    await world.pool.query(`update workspaces set plan = 'business' where id = $1`, [world.ours.workspaceId]);
    expect(page).toContain('needs a workspace on the business plan');
  });

  it('is not there for a computation of another workspace', async () => {
    const cookie = await signIn('owner@example.com');
    const made = await world.send('POST', `/spaces/${world.stranger.spaceId}/audiences`, {
      token: world.stranger.owner,
      body: audienceBody(),
    });
    const { audience } = made.body.data as unknown as { audience: { id: string } };
    expect((await world.app.request(`/computations/${audience.id}`, { headers: { cookie } })).status).toBe(404);
  });

  it('asks support for a workspace, and lets nobody get stuck in one that is not theirs', async () => {
    await inTransaction(world.pool, async (tx) => {
      const user = await createUser(tx, { email: 'support@example.com', name: 'Sue', password: PASSWORD });
      await tx.query('update users set is_support = true where id = $1', [user.id]);
    });
    const support = await signIn('support@example.com');
    const asked = await world.app.request('/', { headers: { cookie: support } });
    expect([asked.status, await asked.text()]).toEqual([403, expect.stringContaining('name="workspace"')]);
    const entered = await world.app.request('/?workspace=ours', { headers: { cookie: support } });
    const choice = entered.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    const page = await world.app.request('/', { headers: { cookie: `${support}; ${choice}` } });
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('The ours')]);

    const member = await signIn('member@example.com');
    const refused = await world.app.request('/', { headers: { cookie: `${member}; trailmark_workspace=stranger` } });
    expect(refused.status).toBe(403);
    expect(await refused.text()).not.toContain('The stranger');
    expect(refused.headers.getSetCookie()).toEqual([expect.stringMatching(/^trailmark_workspace=;/)]);
  });

  it('is the workspace for a program', async () => {
    const response = await world.app.request('/', {
      headers: { accept: 'application/json', authorization: `Bearer ${world.ours.member}` },
    });
    expect(await response.json()).toMatchObject({ data: { workspace: { id: world.ours.workspaceId } } });
    expect((await world.app.request('/', { headers: { accept: 'application/json' } })).status).toBe(401);
  });
});
