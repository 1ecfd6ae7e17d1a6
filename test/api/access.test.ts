import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTenant, createApiWorld, type ApiWorld } from './api-world.ts';

let world: ApiWorld;

beforeAll(async () => {
  world = await createApiWorld();
});
afterAll(async () => await world.close());

describe('the audit trail', () => {
  it('is for owners, in workspaces on the business plan, and the refusal says which of the two it is', async () => {
    const team = await createTenant(world.pool, 'team', 'team');
    const cases = [
      [world.ours.owner, 200, undefined],
      [world.ours.member, 403, 'not_workspace_owner'],
      [world.ours.support, 403, 'not_workspace_owner'],
      [team.owner, 403, 'plan_not_business'],
      [team.member, 403, 'not_workspace_owner'],
    ] as const;
    for (const [token, status, type] of cases) {
      const answer = await world.send('GET', '/audit-events', { token });
      expect([answer.status, answer.body.errors?.[0]?.type]).toEqual([status, type]);
    }
  });

  it('is filtered by time, resource, type and actor, and refuses what is none of them', async () => {
    const list = async (query: string): Promise<{ status: number; types: string[]; field: string | undefined }> => {
      const answer = await world.send('GET', `/audit-events?${query}`, { token: world.ours.owner });
      const events = (answer.body.data as unknown as { events?: { type: string }[] } | undefined)?.events ?? [];
      return { status: answer.status, types: events.map((event) => event.type), field: answer.body.errors?.[0]?.field };
    };
    expect((await list(`resourceType=space&resourceId=${world.ours.spaceId}`)).types).toEqual(['Space Created']);
    expect((await list('type=access%20token%20created&pagination[count]=2')).types).toEqual([
      'Access Token Created',
      'Access Token Created',
    ]);
    expect((await list('startTime=2100-01-01T00:00:00Z')).types).toEqual([]);
    expect((await list('actor=nobody@example.com')).types).toEqual([]);
    expect(await list('startTime=yesterday')).toMatchObject({ status: 400, field: 'startTime' });
    expect(await list('type=Nothing')).toMatchObject({ status: 400, field: 'type' });
    expect(await list('pagination[count]=1001')).toMatchObject({ status: 400, field: 'pagination[count]' });
    expect(await list('pagination[count]=1000')).toMatchObject({ status: 200 });
  });

  it('has its catalogue, with areas, aliases and when', async () => {
    const answer = await world.send('GET', '/event-types', { token: world.ours.member });
    const { eventTypes } = answer.body.data as unknown as { eventTypes: { name: string }[] };
    expect(eventTypes.map((type) => type.name)).toContain('Audience Destination Sync Failed');
  });
});

describe('access tokens', () => {
  it('are an owner’s to make, shown once, kept hashed, and refused once revoked', async () => {
    const made = await world.send('POST', '/access-tokens', {
      token: world.ours.owner,
      body: { name: 'CI', role: 'workspace_member' },
    });
    const { accessToken } = made.body.data as unknown as { accessToken: { id: string; token: string } };
    expect((await world.send('GET', '/workspace', { token: accessToken.token })).status).toBe(200);
    const kept = await world.pool.query('select t::text as row from access_tokens t');
    const events = await world.pool.query('select e::text as row from audit_events e');
    const listed = await world.send('GET', '/access-tokens', { token: world.ours.owner });
    for (const text of [
      JSON.stringify(kept.rows),
      JSON.stringify(events.rows),
      JSON.stringify(listed.body),
      world.logged.join(),
    ]) {
      expect(text).not.toContain(accessToken.token);
    }
    expect((await world.send('DELETE', `/access-tokens/${accessToken.id}`, { token: world.ours.member })).status).toBe(
      403,
    );
    expect((await world.send('DELETE', `/access-tokens/${accessToken.id}`, { token: world.ours.owner })).status).toBe(
      200,
    );
    expect((await world.send('GET', '/workspace', { token: accessToken.token })).status).toBe(401);
  });
});

describe('reduced notifications', () => {
  it('are switched on by support with a reason, seen by all, and undone by an owner', async () => {
    const patch = async (token: string, body: unknown): Promise<[number, string | undefined]> => {
      const answer = await world.send('PATCH', '/settings/notifications', { token, body });
      return [answer.status, answer.body.errors?.[0]?.type];
    };
    expect(await patch(world.ours.owner, { reducedNotifications: true, reason: 'Noise' })).toEqual([
      403,
      'not_support',
    ]);
    expect(await patch(world.ours.support, { reducedNotifications: true })).toEqual([400, 'reason_required']);
    expect(await patch(world.ours.support, { reducedNotifications: true, reason: 'Asked for by Ann' })).toEqual([
      200,
      undefined,
    ]);
    const seen = await world.send('GET', '/settings/notifications', { token: world.ours.member });
    expect(seen.body.data).toMatchObject({ notifications: { reducedNotifications: true, reason: 'Asked for by Ann' } });
    expect(await patch(world.ours.member, { reducedNotifications: false })).toEqual([403, 'not_workspace_owner']);
    expect(await patch(world.ours.owner, { reducedNotifications: false })).toEqual([200, undefined]);
    const alerts = await world.send('GET', '/alerts?kind=notice', { token: world.ours.member });
    expect((alerts.body.data as unknown as { alerts: unknown[] }).alerts).toHaveLength(2);
  });
});

describe('every answer', () => {
  it('has a request id, and the limit of its token', async () => {
    const answer = await world.send('GET', '/workspace', {
      token: world.ours.owner,
      headers: { 'x-request-id': 'my-request-1' },
    });
    expect(answer.headers.get('x-request-id')).toBe('my-request-1');
    expect(answer.headers.get('x-ratelimit-limit')).toBe('10000');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    // The path that Segment has for it is limited like any other.
    const atRoot = await world.app.request('/', {
      headers: { accept: 'application/json', authorization: `Bearer ${world.ours.owner}` },
    });
    expect([atRoot.status, atRoot.headers.get('x-ratelimit-limit')]).toEqual([200, '10000']);
    expect(Number(answer.headers.get('x-ratelimit-remaining'))).toBeGreaterThan(0);
    const made = await world.send('GET', '/workspace', { headers: { 'x-request-id': 'no good\u00e9' } });
    expect(made.status).toBe(401);
    expect(made.headers.get('x-request-id')).toMatch(/^req_/);
  });

  it('comes in Segment’s media type to whoever asks for that, and such a body is read', async () => {
    const type = 'application/vnd.segment.v1+json';
    const response = await world.app.request('/access-tokens', {
      method: 'POST',
      headers: { authorization: `Bearer ${world.ours.owner}`, accept: type, 'content-type': type },
      body: JSON.stringify({ name: 'By media type', role: 'workspace_member' }),
    });
    expect([response.status, response.headers.get('content-type')]).toEqual([201, `${type}; charset=utf-8`]);
    const refused = await world.app.request('/spaces', { headers: { accept: 'application/vnd.segment.v1alpha+json' } });
    expect(refused.headers.get('content-type')).toContain('vnd.segment.v1alpha+json');
  });

  it('is 429 with Retry-After for a token that asks too often, and for that one only', async () => {
    const limited = await createApiWorld({ rateLimit: { perSecond: 1, burst: 3 } });
    try {
      const statuses: number[] = [];
      for (let index = 0; index < 5; index += 1) {
        const answer = await limited.send('GET', '/workspace', { token: limited.ours.owner });
        statuses.push(answer.status);
        if (answer.status === 429) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      }
      expect(statuses).toEqual([200, 200, 200, 429, 429]);
      expect((await limited.send('GET', '/workspace', { token: limited.ours.member })).status).toBe(200);
    } finally {
      await limited.close();
    }
  });

  it('is 404 for a route that there is not', async () => {
    const response = await world.app.request('/nowhere', { headers: { authorization: `Bearer ${world.ours.owner}` } });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ errors: [{ type: 'route_not_found' }] });
  });

  it('hides what nobody foresaw, and logs it under the request id', async () => {
    const broken = new Proxy(world.pool, {
      get: (pool, key) =>
        key === 'query'
          ? async (text: string, values: unknown[]) => {
              if (text.includes('from spaces')) throw new Error('a secret detail');
              return await pool.query(text, values);
            }
          : (Reflect.get(pool, key) as unknown),
    });
    const { createApp } = await import('../../src/api/index.ts');
    const response = await createApp({ ...world.deps, pool: broken }).request('/spaces', {
      headers: { authorization: `Bearer ${world.ours.owner}` },
    });
    const text = await response.text();
    expect(response.status).toBe(500);
    expect(text).not.toContain('a secret detail');
    expect(
      world.logged.some(
        (line) => line.includes('a secret detail') && line.includes(response.headers.get('x-request-id') ?? '?'),
      ),
    ).toBe(true);
  });
});

describe('health', () => {
  it('is of the process, and readiness of PostgreSQL and ClickHouse', async () => {
    expect((await world.send('GET', '/healthz')).status).toBe(200);
    expect((await world.send('GET', '/readyz')).body).toEqual({
      status: 'ok',
      engines: { postgres: true, clickhouse: true },
      reasons: [],
    });
  });
});
