import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/api/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import type { PostgresPool } from '../../src/store/index.ts';
import { addAudience, addPeople, addRun, connectWebhook, type World } from '../helpers/world.ts';
import { addLive, countEverything } from '../db/history-world.ts';
import { createApiWorld, type Answer, type ApiWorld } from './api-world.ts';

let world: ApiWorld;
let space: World;

beforeAll(async () => {
  world = await createApiWorld({ temporalUiUrl: 'http://127.0.0.1:8233/namespaces/default' });
  space = { workspaceId: world.ours.workspaceId, spaceId: world.ours.spaceId, actor: SYSTEM_ACTOR };
  await addPeople(world.deps.clickhouse, space, 60);
});
afterAll(async () => await world.close());

const EVERYBODY = "event('Visited').count() >= 1";
const upTo = (n: number): string => `event('Visited').where(property('n') <= ${n}).count() >= 1`;

async function get<Data>(path: string, token = world.ours.member): Promise<Data> {
  const answer = await world.send('GET', path, { token });
  expect([path, answer.status, answer.body.errors]).toEqual([path, 200, undefined]);
  return answer.body.data as unknown as Data;
}

/** An ended sync with so many rejected rows, written straight into the tables. */
async function addRejected(key: string, rows: number): Promise<{ taskId: string; computationId: string }> {
  const { pool } = world;
  const computationId = await addAudience(pool, space, EVERYBODY, { key });
  const { connectionId } = await connectWebhook(pool, space, computationId, 'http://127.0.0.1:9/');
  const { rows: made } = await pool.query<{ id: string }>(
    `with task as (
       insert into tasks (id, workspace_id, space_id, computation_id, connection_id, kind, reason, status, attempt, ended_at)
       values ('tsk_' || substr(md5($4), 1, 26), $1, $2, $3, $5, 'sync', 'fan_out', 'succeeded', 1, now()) returning id
     ), step as (
       insert into steps (task_id, position, name, completed_at, output)
       select id, 2, 'deliver', now(), jsonb_build_object('rejected', $6::integer) from task
     )
     select id from task`,
    [space.workspaceId, space.spaceId, computationId, key, connectionId, rows],
  );
  const taskId = made[0]?.id ?? '';
  await pool.query(
    `insert into rejected_rows (task_id, idx, profile, status, reason, user_id, anonymous_id, value)
     select $1, n, n + 1, case when n % 3 = 0 then 422 else 400 end, 'no, "' || n || '"', 'user-' || n, '', 'true'
     from generate_series(0, $2 - 1) n`,
    [taskId, rows],
  );
  return { taskId, computationId };
}

interface Rejected {
  rejected: { idx: number; userId: string; reason: string; redrivenBy: string | null }[];
  reasons: { rows: number }[];
  pagination: { next?: string; previous?: string; totalEntries: number };
}

describe('a history', () => {
  it('is of one computation or of the workspace, filtered, and links to Temporal', async () => {
    const computationId = await addAudience(world.pool, space, EVERYBODY, { key: 'listed' });
    const taskId = await addRun(world.pool, space, computationId);
    interface History {
      tasks: { id: string; temporalUrl: string; kind: string }[];
    }
    const path = `/spaces/${space.spaceId}/audiences/${computationId}/tasks`;
    const { tasks } = await get<History>(path);
    expect(tasks).toMatchObject([
      {
        id: taskId,
        temporalUrl: `http://127.0.0.1:8233/namespaces/default/workflows/task%2F${taskId}`,
        truth: { state: 'waiting' },
      },
    ]);
    expect((await get<History>(`/tasks?computationId=${computationId}&status=open`)).tasks).toEqual(tasks);
    expect((await get<History>(`${path}?kind=sync`)).tasks).toEqual([]);
    expect((await get<History>(`${path}?from=2100-01-01`)).tasks).toEqual([]);
    for (const [query, field] of [
      ['kind=walk', 'kind'],
      ['status=tired', 'status'],
      ['from=yesterday', 'from'],
      ['from=2026-02-01&to=2026-01-01', 'to'],
      ['pagination[count]=0', 'pagination[count]'],
      ['pagination[cursor]=x', 'pagination[cursor]'],
    ]) {
      const refused = await world.send('GET', `/tasks?${query}`, { token: world.ours.member });
      expect([query, refused.status, refused.body.errors[0]?.field]).toEqual([query, 400, field]);
    }
    const strange = await world.send('GET', path, { token: world.stranger.owner });
    expect(strange.status).toBe(404);
  });
});

describe('rejected rows', () => {
  it('are listed with who, what and why, page by page', async () => {
    const { taskId } = await addRejected('paged', 25);
    const first = await get<Rejected>(`/tasks/${taskId}/rejected-rows?pagination[count]=10`);
    expect(first.rejected).toHaveLength(10);
    expect(first.rejected[3]).toMatchObject({
      idx: 3,
      profile: 4,
      userId: 'user-3',
      anonymousId: '',
      value: 'true',
      status: 422,
      reason: 'no, "3"',
      redrivenBy: null,
    });
    expect(first.pagination).toMatchObject({ totalEntries: 25 });
    expect(first.pagination.previous).toBeUndefined();
    const second = await get<Rejected>(
      `/tasks/${taskId}/rejected-rows?pagination[count]=10&pagination[cursor]=${first.pagination.next ?? ''}`,
    );
    const third = await get<Rejected>(
      `/tasks/${taskId}/rejected-rows?pagination[count]=10&pagination[cursor]=${second.pagination.next ?? ''}`,
    );
    expect(third.pagination.next).toBeUndefined();
    const all = [first, second, third].flatMap(({ rejected }) => rejected.map(({ idx }) => idx));
    expect(all).toEqual(Array.from({ length: 25 }, (_, index) => index));
    const back = await get<Rejected>(
      `/tasks/${taskId}/rejected-rows?pagination[count]=10&pagination[cursor]=${third.pagination.previous ?? ''}`,
    );
    expect(back.rejected).toEqual(second.rejected);
  });

  it('of a run are none', async () => {
    const runId = await addRun(world.pool, space, await addAudience(world.pool, space, EVERYBODY, { key: 'a_run' }));
    expect(await get<Rejected>(`/tasks/${runId}/rejected-rows`)).toMatchObject({ rejected: [], reasons: [] });
  });
});

describe('the CSV of rejected rows', () => {
  async function download(taskId: string, token: string, app = world.app): Promise<Response> {
    return await app.request(`/tasks/${taskId}/rejected-rows.csv`, { headers: { authorization: `Bearer ${token}` } });
  }

  async function downloads(taskId: string): Promise<{ actor_name: string; details: Record<string, unknown> }[]> {
    const { rows } = await world.pool.query<{ actor_name: string; details: Record<string, unknown> }>(
      `select actor_name, details from audit_events where task_id = $1 and type = 'Audience Rejected Rows Downloaded'`,
      [taskId],
    );
    return rows;
  }

  it('is a file by its name, safe to open, and its download is in the trail', async () => {
    const { taskId } = await addRejected('exported', 3);
    await world.pool.query(
      `update rejected_rows set user_id = '=HYPERLINK("http://evil.example")', reason = E'+1\n2', anonymous_id = 'ä€😀' where task_id = $1 and idx = 1`,
      [taskId],
    );
    const response = await download(taskId, world.ours.member);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/csv; charset=utf-8/);
    expect(response.headers.get('content-disposition')).toBe(
      `attachment; filename="rejected-rows-exported-${taskId}.csv"`,
    );
    expect(response.headers.get('cache-control')).toBe('no-store');
    const text = (await response.text()).replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME');
    expect(text).toBe(
      [
        'user_id,anonymous_id,value,status,reason,rejected_at,redriven_by,profile,idx',
        'user-0,,true,422,"no, ""0""",TIME,,1,0',
        `"'=HYPERLINK(""http://evil.example"")",ä€😀,true,400,"'+1\n2",TIME,,2,1`,
        'user-2,,true,400,"no, ""2""",TIME,,3,2',
        '',
      ].join('\r\n'),
    );
    expect(await downloads(taskId)).toMatchObject([{ actor_name: 'workspace_member', details: { rows: 3 } }]);
  });

  it('without rows takes nothing away, and is no event', async () => {
    const runId = await addRun(world.pool, space, await addAudience(world.pool, space, EVERYBODY, { key: 'no_rows' }));
    const text = await (await download(runId, world.ours.member)).text();
    expect(text.split('\r\n')).toHaveLength(2);
    expect(await downloads(runId)).toEqual([]);
  });

  it('is not there for a stranger, and that leaves no event', async () => {
    const { taskId } = await addRejected('private', 3);
    const response = await download(taskId, world.stranger.owner);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain('user-');
    expect(await downloads(taskId)).toEqual([]);
  });

  it('of 200,000 rows is whole, and reads no further than it is read', async () => {
    const { taskId } = await addRejected('large', 200_000);
    let selects = 0;
    const pool = new Proxy(world.pool, {
      get: (target: PostgresPool, key) =>
        key === 'query'
          ? async (text: string, values: unknown[]) => {
              if (text.includes('from rejected_rows r')) selects += 1;
              return await target.query(text, values);
            }
          : (Reflect.get(target, key) as unknown),
    });
    const app = createApp({ ...world.deps, pool });
    const response = await download(taskId, world.ours.member, app);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder('utf-8', { fatal: true });
    let text = '';
    for (let chunks = 0; chunks < 3; chunks += 1) {
      text += decoder.decode((await reader.read()).value, { stream: true });
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(selects, 'a reader who stops has no more rows read for them').toBeLessThanOrEqual(5);
    let lines = text.split('\r\n').length - 1;
    let last = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      last = decoder.decode(value, { stream: true });
      lines += last.split('\r\n').length - 1;
    }
    expect(lines).toBe(200_001);
    expect(last.trimEnd().split('\r\n').at(-1)).toMatch(/^user-199999,.*,200000,199999$/);
    expect(selects).toBeLessThanOrEqual(41);
  }, 120_000);
});

describe('who leaves', () => {
  it('is not known of a sync, nor of a run that has compared nothing', async () => {
    const { taskId, computationId } = await addRejected('leaving_sync', 0);
    const runId = await addRun(world.pool, space, computationId);
    for (const id of [taskId, runId]) {
      const refused = await world.send('GET', `/tasks/${id}/leaving`, { token: world.ours.member });
      expect([refused.status, refused.body.errors[0]?.type]).toEqual([409, 'leaving_not_known']);
    }
  });
});

describe('a dry run', () => {
  const body = (query: string) => ({ definition: { type: 'USERS', query } });

  async function tryOut(path: string, query: string, token = world.ours.member): Promise<Answer> {
    return await world.send('POST', `/spaces/${space.spaceId}/${path}`, { token, body: body(query) });
  }

  it('says what a definition would change, whether that would be asked about, and changes nothing', async () => {
    const live = await addLive({ ...world.deps }, space, upTo(50), { key: 'dry' });
    const before = await countEverything(world.deps);
    const loss = await tryOut(`audiences/${live.id}/dry-run`, upTo(10));
    expect(loss.status).toBe(200);
    expect(loss.body.data).toMatchObject({
      dryRun: {
        before: 50,
        after: 10,
        entered: 0,
        exited: 40,
        unchanged: 10,
        comparedWith: { version: live.liveVersion },
      },
      // 80 % would leave, of fewer members than the guard is for.
      asksForApproval: false,
    });
    await world.pool.query('update computations set guard_min_members = 20 where id = $1', [live.id]);
    expect((await tryOut(`audiences/${live.id}/dry-run`, upTo(10))).body.data).toMatchObject({ asksForApproval: true });
    expect((await tryOut(`audiences/${live.id}/dry-run`, upTo(40))).body.data).toMatchObject({
      asksForApproval: false,
    });
    expect((await tryOut('audiences/preview', upTo(12))).body.data).toMatchObject({
      dryRun: { comparedWith: null, before: 0, after: 12, entered: 12 },
    });
    expect((await tryOut('computed-traits/preview', "event('Visited').count()")).body.data).toMatchObject({
      dryRun: {
        after: 60,
        entered: 60,
        examples: { entered: expect.arrayContaining([expect.objectContaining({ after: 1 })]) },
      },
    });
    expect(await countEverything(world.deps)).toEqual(before);
  });

  it('refuses a definition in the words in which creating it would', async () => {
    const made = await world.send('POST', `/spaces/${space.spaceId}/audiences`, {
      token: world.ours.member,
      body: { name: 'Broken', ...body("event('Visited').cuont() >= 1") },
    });
    const { id } = await addLive({ ...world.deps }, space, upTo(3), { key: 'dry_broken' });
    for (const path of [`audiences/${id}/dry-run`, 'audiences/preview']) {
      const refused = await tryOut(path, "event('Visited').cuont() >= 1");
      expect([refused.status, refused.body.errors]).toEqual([made.status, made.body.errors]);
      expect(refused.body.errors[0]).toMatchObject({ type: 'definition_invalid', field: 'definition.query' });
    }
  });

  it('is not for support, not for strangers, and one at a time in a workspace', async () => {
    const { id } = await addLive({ ...world.deps }, space, upTo(3), { key: 'dry_one' });
    expect((await tryOut(`audiences/${id}/dry-run`, EVERYBODY, world.ours.support)).status).toBe(403);
    expect((await tryOut(`audiences/${id}/dry-run`, EVERYBODY, world.stranger.owner)).status).toBe(404);
    expect((await tryOut('audiences/preview', EVERYBODY, world.stranger.owner)).status).toBe(404);

    const answers = await Promise.all(
      Array.from({ length: 4 }, async () => await tryOut(`audiences/${id}/dry-run`, EVERYBODY)),
    );
    const statuses = answers.map(({ status }) => status).sort((one, other) => one - other);
    expect(statuses[0]).toBe(200);
    expect(statuses.at(-1)).toBe(429);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.body.errors[0]?.type).toBe('dry_run_open');
    expect((await tryOut(`audiences/${id}/dry-run`, EVERYBODY)).status).toBe(200);
  });
});
