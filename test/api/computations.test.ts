import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/api/index.ts';
import { createClickHouse } from '../../src/store/index.ts';
import { audienceBody, createApiWorld, type Answer, type ApiWorld } from './api-world.ts';

let world: ApiWorld;
let base: string;

beforeAll(async () => {
  world = await createApiWorld();
  base = `/spaces/${world.ours.spaceId}`;
});
afterAll(async () => await world.close());

interface Computation {
  id: string;
  key: string;
  status: string;
  statusLabel: string;
  definitionVersion: number;
  destinations: { destinationId: string }[];
}

const one = (answer: Answer): Computation => (answer.body.data as unknown as { audience: Computation }).audience;

async function create(change: Record<string, unknown> = {}): Promise<Answer> {
  return await world.send('POST', `${base}/audiences`, { token: world.ours.member, body: audienceBody(change) });
}

describe('creating an audience', () => {
  it('answers it as Segment summarises audiences, and Preparing for people', async () => {
    const answer = await create({ key: 'made' });
    expect(answer.status).toBe(201);
    expect(one(answer)).toMatchObject({
      key: 'made',
      name: 'Big spenders',
      enabled: true,
      definition: { type: 'USERS', query: "event('Order Completed').count() >= 2" },
      status: 'Backfilling',
      statusLabel: 'Preparing',
      size: null,
      destinations: [],
    });
  });

  it('takes an hourly schedule and the case of Segment’s SDK where nothing else is said', async () => {
    const definition = { type: 'users', query: "event('Order Completed').count() >= 2" };
    const answer = await create({ key: 'hourly', schedule: undefined, definition });
    expect(answer.status).toBe(201);
    expect(one(answer)).toMatchObject({
      schedule: { intervalSeconds: 3600 },
      definition: { ...definition, type: 'USERS' },
    });
  });

  it.each([
    ['no name', { name: undefined }, 'name'],
    ['an empty name', { name: '  ' }, 'name'],
    ['a key that is none', { key: 'Big Spenders' }, 'key'],
    ['no definition', { definition: undefined }, 'definition'],
    ['a type that is none', { definition: { type: 'PEOPLE', query: 'x' } }, 'definition.type'],
    ['an interval that is too short', { schedule: { intervalSeconds: 1 } }, 'schedule.intervalSeconds'],
    ['a broken query', { definition: { type: 'USERS', query: 'event(' } }, 'definition.query'],
    ['a field that there is not', { colour: 'red' }, 'colour'],
    ['a destination that there is not', { destinations: [{ destinationId: 'dst_x' }] }, 'destinations.0.destinationId'],
  ])('refuses %s, and writes nothing', async (_name, change, field) => {
    const before = await world.pool.query('select count(*) from computations');
    const answer = await create({ key: 'refused', ...change });
    expect(answer.status).toBe(400);
    expect(answer.body.errors[0]?.field).toBe(field);
    expect(answer.body.errors[0]?.message).not.toBe('');
    expect((await world.pool.query('select count(*) from computations')).rows).toEqual(before.rows);
  });

  it('refuses the key of a trait that a definition reads, by the definition, as a conflict', async () => {
    const query = "trait('email').ends_with('example.com')";
    expect((await create({ key: 'has_mail', definition: { type: 'USERS', query } })).status).toBe(201);
    const answer = await create({ key: 'email', name: 'email' });
    expect([answer.status, answer.body.errors[0]]).toMatchObject([
      409,
      { type: 'key_is_trait', field: 'key', data: { trait: 'email', definitions: ['has_mail'] } },
    ]);
    expect(answer.body.errors[0]?.message).toContain('has_mail');
  });

  it('says that nothing was created where ClickHouse, which knows the traits, is away', async () => {
    const away = createClickHouse({ url: 'http://127.0.0.1:9/none', applicationName: 'test' });
    const app = createApp({ ...world.deps, clickhouse: away });
    const before = await world.pool.query('select count(*) from computations');
    const answer = await app.request(`${base}/audiences`, {
      method: 'POST',
      headers: { authorization: `Bearer ${world.ours.owner}`, 'content-type': 'application/json' },
      body: JSON.stringify(audienceBody({ key: 'while_away' })),
    });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await answer.json()).toMatchObject({
      errors: [
        { type: 'traits_unknown', field: 'key', message: expect.stringMatching(/^Nothing was created\./) as string },
      ],
    });
    expect((await world.pool.query('select count(*) from computations')).rows).toEqual(before.rows);
    await away.close();
  });

  it('says where a definition is wrong, what was found and what was expected', async () => {
    const answer = await create({ key: 'wrong', definition: { type: 'USERS', query: "event('A').kount() > 1" } });
    expect(answer.body.errors).toHaveLength(1);
    expect(answer.body.errors[0]).toMatchObject({
      type: 'definition_invalid',
      field: 'definition.query',
      data: { offset: 11, line: 1, column: 12, found: expect.any(String), expected: expect.any(Array) },
    });
  });

  it('refuses a body that is not JSON, not well-formed, or too large', async () => {
    const send = async (body: string, type: string): Promise<[number, string | undefined]> => {
      const response = await world.app.request(`${base}/audiences`, {
        method: 'POST',
        headers: { authorization: `Bearer ${world.ours.owner}`, 'content-type': type },
        body,
      });
      return [response.status, ((await response.json()) as Answer['body']).errors[0]?.type];
    };
    expect(await send('{', 'application/json')).toEqual([400, 'malformed_body']);
    expect(await send('name=x', 'application/x-www-form-urlencoded')).toEqual([415, 'unsupported_media_type']);
    expect(await send(JSON.stringify({ name: 'x'.repeat(1_100_000) }), 'application/json')).toEqual([
      413,
      'body_too_large',
    ]);
  });
});

describe('an audience', () => {
  it('is changed by what is given, but for its key', async () => {
    const { id } = one(await create({ key: 'changed' }));
    const patch = async (body: unknown): Promise<Answer> =>
      await world.send('PATCH', `${base}/audiences/${id}`, { token: world.ours.member, body });
    expect(one(await patch({ enabled: false })).status).toBe('Disabled');
    expect(
      one(await patch({ enabled: true, definition: { type: 'USERS', query: "event('B').count() >= 1" } })),
    ).toMatchObject({
      definitionVersion: 2,
      status: 'Backfilling',
    });
    const refused = await patch({ key: 'other' });
    expect(refused.status).toBe(400);
    expect(refused.body.errors[0]).toMatchObject({ field: 'key' });
    expect(refused.body.errors[0]?.message).toContain("can't be changed");
    expect((await patch({})).status).toBe(400);
  });

  it('is run when someone asks, once at a time', async () => {
    const { id } = one(await create({ key: 'forced' }));
    const run = async (): Promise<Answer> =>
      await world.send('POST', `${base}/audiences/${id}/runs`, { token: world.ours.member });
    const first = await run();
    expect(first.status).toBe(201);
    const { task } = first.body.data as unknown as { task: { id: string; reason: string; status: string } };
    expect(task).toMatchObject({ reason: 'run_now', status: 'pending' });
    expect(world.started).toContain(task.id);
    const second = await run();
    expect(second.status).toBe(409);
    expect(second.body.errors[0]).toMatchObject({ type: 'run_open', data: { taskId: task.id } });
    expect((await world.send('GET', `/tasks/${task.id}`, { token: world.ours.support })).status).toBe(200);
  });

  it('is run later where Temporal is not there: what is committed is not lost', async () => {
    const failing = await createApiWorld({
      startTask: async () => await Promise.reject(new Error('no Temporal')),
    });
    try {
      const made = await failing.send('POST', `/spaces/${failing.ours.spaceId}/audiences`, {
        token: failing.ours.owner,
        body: audienceBody(),
      });
      const answer = await failing.send('POST', `/spaces/${failing.ours.spaceId}/audiences/${one(made).id}/runs`, {
        token: failing.ours.owner,
      });
      expect(answer.status).toBe(201);
      expect(failing.logged.some((line) => line.includes('no Temporal'))).toBe(true);
    } finally {
      await failing.close();
    }
  });

  it('is connected, shown with its runs and syncs, disconnected and deleted', async () => {
    const made = await world.send('POST', '/destinations', {
      token: world.ours.member,
      body: {
        spaceId: world.ours.spaceId,
        metadataId: 'webhook',
        subscriptions: [
          { trigger: 'type = "track"', mapping: { url: 'http://127.0.0.1:9/', headers: { a: 'secret' } } },
        ],
      },
    });
    const { destination } = made.body.data as unknown as { destination: { id: string } };
    const audience = one(await create({ key: 'connected', destinations: [{ destinationId: destination.id }] }));
    expect(audience.destinations).toMatchObject([{ destinationId: destination.id, inStep: false }]);
    const again = await world.send('POST', `${base}/audiences/${audience.id}/destinations`, {
      token: world.ours.member,
      body: { destinationId: destination.id },
    });
    expect([again.status, again.body.errors[0]?.type]).toEqual([409, 'already_connected']);

    const overview = await world.send('GET', `${base}/audiences/${audience.id}/overview`, { token: world.ours.member });
    expect(overview.body.data).toMatchObject({ audience: { id: audience.id }, hardFailures: [], runs: [], syncs: [] });

    const path = `${base}/audiences/${audience.id}/destinations/${destination.id}`;
    expect((await world.send('DELETE', path, { token: world.ours.member })).status).toBe(200);
    expect((await world.send('DELETE', path, { token: world.ours.member })).status).toBe(404);

    // Live now, so that connecting it again syncs what is live at once.
    await world.pool.query(
      'update computations set live_version = 5, live_definition_version = 1, live_size = 2, live_as_of = now() where id = $1',
      [audience.id],
    );
    const back = await world.send('POST', `${base}/audiences/${audience.id}/destinations`, {
      token: world.ours.member,
      body: { destinationId: destination.id },
    });
    const { taskId } = back.body.data as unknown as { taskId: string };
    expect(world.started).toContain(taskId);

    expect((await world.send('DELETE', `${base}/audiences/${audience.id}`, { token: world.ours.member })).status).toBe(
      200,
    );
    expect((await world.send('GET', `${base}/audiences/${audience.id}`, { token: world.ours.member })).status).toBe(
      404,
    );
    const task = await world.send('GET', `/tasks/${taskId}`, { token: world.ours.member });
    expect(task.body.data).toMatchObject({ task: { status: 'cancelled', truth: { needsAction: false } } });
  });

  it('is not support’s to change', async () => {
    const { id } = one(await create({ key: 'supported' }));
    for (const [method, path, body] of [
      ['POST', `${base}/audiences`, audienceBody({ key: 'by_support' })],
      ['PATCH', `${base}/audiences/${id}`, { enabled: false }],
      ['DELETE', `${base}/audiences/${id}`, undefined],
      ['POST', `${base}/audiences/${id}/runs`, undefined],
    ] as const) {
      const answer = await world.send(method, path, { token: world.ours.support, body });
      expect([method, answer.status]).toEqual([method, 403]);
    }
    expect((await world.send('GET', `${base}/audiences/${id}`, { token: world.ours.support })).status).toBe(200);
  });
});

describe('a list', () => {
  it('comes in pages that are not over the limit, each item once', async () => {
    for (let index = 0; index < 4; index += 1) {
      await world.send('POST', `${base}/computed-traits`, {
        token: world.ours.member,
        body: audienceBody({ key: `trait_${index}`, definition: { type: 'USERS', query: "event('A').count()" } }),
      });
    }
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const query = new URLSearchParams({
        'pagination[count]': '3',
        ...(cursor === undefined ? {} : { 'pagination[cursor]': cursor }),
      });
      const answer = await world.send('GET', `${base}/computed-traits?${query.toString()}`, {
        token: world.ours.member,
      });
      const data = answer.body.data as unknown as {
        computedTraits: Computation[];
        pagination: { next?: string; previous?: string; totalEntries: number };
      };
      expect(data.pagination.totalEntries).toBe(4);
      expect(data.pagination.previous === undefined).toBe(cursor === undefined);
      seen.push(...data.computedTraits.map((trait) => trait.key));
      cursor = data.pagination.next;
    } while (cursor !== undefined);
    expect(seen).toEqual(['trait_0', 'trait_1', 'trait_2', 'trait_3']);

    for (const count of ['0', '1001', '1.5', 'many', '']) {
      const answer = await world.send('GET', `${base}/computed-traits?pagination[count]=${count}`, {
        token: world.ours.member,
      });
      expect([count, answer.status, answer.body.errors[0]?.field]).toEqual([count, 400, 'pagination[count]']);
    }
    const broken = await world.send('GET', `${base}/computed-traits?pagination[cursor]=nonsense`, {
      token: world.ours.member,
    });
    expect([broken.status, broken.body.errors[0]?.type]).toEqual([400, 'cursor_invalid']);
  });
});
