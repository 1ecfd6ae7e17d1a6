import { setImmediate as aTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createApiWorld, type Answer, type ApiWorld } from './api-world.ts';

let world: ApiWorld;

beforeAll(async () => {
  world = await createApiWorld();
});
afterAll(async () => await world.close());

interface Source {
  id: string;
  writeKeys: string[];
  spaceIds: string[];
  enabled: boolean;
}
const sourceOf = (answer: Answer): Source => (answer.body.data as unknown as { source: Source }).source;

const ownerOf = (): { token: string } => ({ token: world.ours.owner });

async function typesOf(resourceId: string): Promise<string[]> {
  const answer = await world.send('GET', `/audit-events?resourceId=${resourceId}`, { token: world.ours.owner });
  return (answer.body.data as unknown as { events: { type: string }[] }).events.map((event) => event.type).reverse();
}

describe('a source', () => {
  it('shows its write keys to owners, and nowhere else', async () => {
    const { owner, member, spaceId } = world.ours;
    const made = sourceOf(
      await world.send('POST', '/sources', {
        token: owner,
        body: { slug: 'shop', enabled: true, spaceIds: [spaceId] },
      }),
    );
    expect(made).toMatchObject({ enabled: true, spaceIds: [spaceId] });
    const [key = ''] = made.writeKeys;
    const path = `/sources/${made.id}`;
    expect(sourceOf(await world.send('GET', path, { token: owner })).writeKeys).toEqual([key]);
    expect(sourceOf(await world.send('GET', path, { token: member })).writeKeys).toEqual([]);
    const listed = await world.send('GET', '/sources', { token: member });
    expect(JSON.stringify(listed.body)).not.toContain(key);

    const more = await world.send('POST', `${path}/writekey`, { token: owner });
    const fresh = sourceOf(more).writeKeys.find((one) => one !== key) ?? '';
    expect((await world.send('POST', `${path}/writekey`, { token: member })).status).toBe(403);
    expect((await world.send('DELETE', `${path}/writekey/${key}`, { token: member })).status).toBe(403);
    expect((await world.send('DELETE', `${path}/writekey/${key}`, { token: owner })).status).toBe(200);
    expect((await world.send('DELETE', `${path}/writekey/nonsense`, { token: owner })).status).toBe(404);
    expect(sourceOf(await world.send('GET', path, { token: owner })).writeKeys).toEqual([fresh]);

    const kept = await world.pool.query(
      'select e::text as row from audit_events e union all select k::text from write_keys k',
    );
    for (const secret of [key, fresh]) {
      expect(JSON.stringify(kept.rows)).not.toContain(secret);
      expect(world.logged.join()).not.toContain(secret);
    }
  });

  it.each([
    [
      'disabled',
      403,
      async (path: string) => await world.send('PATCH', path, { ...ownerOf(), body: { enabled: false } }),
    ],
    ['deleted', 401, async (path: string) => await world.send('DELETE', path, ownerOf())],
    [
      'left without its key',
      401,
      async (path: string, key: string) => await world.send('DELETE', `${path}/writekey/${key}`, ownerOf()),
    ],
  ] as const)('that is %s has stored all that it stores when the answer is there', async (how, refusal, switchOff) => {
    const slug = how.replaceAll(' ', '-');
    const { id, writeKeys } = sourceOf(await world.send('POST', '/sources', { ...ownerOf(), body: { slug } }));
    const [key = ''] = writeKeys;
    const stored = async (): Promise<number> =>
      (await world.pool.query('select from event_log where source_id = $1', [id])).rowCount ?? 0;
    const statuses: number[] = [];
    let over = false;
    const client = async (): Promise<void> => {
      // The last of them begins when it is over.
      for (let last = false; !last;) {
        last = over;
        const answer = await world.app.request('/v1/track', {
          method: 'POST',
          headers: { authorization: `Basic ${btoa(`${key}:`)}`, 'content-type': 'application/json' },
          body: JSON.stringify({ event: 'Visited', userId: 'ann' }),
        });
        statuses.push(answer.status);
        // A refusal may need no answer of PostgreSQL, and others have to have their turn.
        await aTurn();
      }
    };
    const clients = Array.from({ length: 8 }, client);
    let then = 0;
    try {
      await vi.waitUntil(() => statuses.length > 40, { timeout: 10_000 });
      expect(await switchOff(`/sources/${id}`, key)).toMatchObject({ status: 200 });
      then = await stored();
    } finally {
      over = true;
      await Promise.all(clients);
    }
    expect(await stored()).toBe(then);
    expect(then).toBe(statuses.filter((status) => status === 200).length);
    expect(new Set(statuses)).toEqual(new Set([200, refusal]));
  });

  it('is renamed, disabled, connected, disconnected and deleted, each of it audited once', async () => {
    const { member, spaceId } = world.ours;
    const { id } = sourceOf(await world.send('POST', '/sources', { token: member, body: { slug: 'till' } }));
    const send = async (method: string, path: string, body?: unknown): Promise<number> =>
      (await world.send(method, path, { token: member, ...(body === undefined ? {} : { body }) })).status;
    expect(await send('POST', '/sources', { slug: 'till' })).toBe(409);
    expect(await send('POST', '/sources', { slug: 'Till!' })).toBe(400);
    expect(await send('POST', '/sources', { slug: 'other', metadataId: 'segment-js' })).toBe(400);
    expect(await send('PATCH', `/sources/${id}`, { name: 'The till' })).toBe(200);
    expect(await send('PATCH', `/sources/${id}`, { enabled: false })).toBe(200);
    expect(await send('PATCH', `/sources/${id}`, { enabled: false })).toBe(200);
    for (let time = 0; time < 2; time += 1) {
      expect(await send('POST', `/spaces/${spaceId}/sources`, { sourceId: id })).toBe(200);
    }
    const connected = await world.send('GET', `/spaces/${spaceId}/sources`, { token: member });
    expect(JSON.stringify(connected.body)).toContain(id);
    expect(await send('DELETE', `/spaces/${spaceId}/sources/${id}`)).toBe(200);
    expect(await send('DELETE', `/sources/${id}`)).toBe(200);
    expect(await send('GET', `/sources/${id}`)).toBe(404);
    expect(await typesOf(id)).toEqual([
      'Source Created',
      'Source Modified',
      'Source Disabled',
      'Source Connected To Space',
      'Source Disconnected From Space',
      'Source Deleted',
    ]);
  });
});

describe('the list of sources', () => {
  interface Page {
    sources: Source[];
    pagination: { next?: string; previous?: string };
  }
  const read = async (query: Record<string, string>): Promise<Page> => {
    const path = `/sources?${new URLSearchParams(query).toString()}`;
    return (await world.send('GET', path, { token: world.ours.owner })).body.data as unknown as Page;
  };
  const make = async (slug: string): Promise<Source> =>
    sourceOf(await world.send('POST', '/sources', { token: world.ours.owner, body: { slug, settings: {} } }));

  it('has each with its own keys and spaces, by as many queries however many there are', async () => {
    const { owner, spaceId } = world.ours;
    const made = [await make('listed-1'), await make('listed-2'), await make('listed-3')];
    await world.send('POST', `/spaces/${spaceId}/sources`, { token: owner, body: { sourceId: made[1]?.id } });
    const query = vi.spyOn(world.pool, 'query');
    const counts: number[] = [];
    for (const count of ['1', '1000']) {
      query.mockClear();
      await read({ 'pagination[count]': count });
      counts.push(query.mock.calls.length);
    }
    query.mockRestore();
    expect(counts[1]).toBe(counts[0]);
    const { sources } = await read({ 'pagination[count]': '1000' });
    const listed = made.map(({ id }) => sources.find((source) => source.id === id));
    expect(listed.map((source) => source?.writeKeys)).toEqual(made.map((source) => source.writeKeys));
    expect(listed.map((source) => source?.spaceIds)).toEqual([[], [spaceId], []]);
  });

  it('is read to its end and back, also when the source at the edge of a page is deleted meanwhile', async () => {
    await make('paged-1');
    await make('paged-2');
    const all = (await read({})).sources.map((source) => source.id);
    const first = await read({ 'pagination[count]': '2' });
    expect(first.pagination.previous).toBeUndefined();
    const [, edge] = first.sources;
    await world.send('DELETE', `/sources/${edge?.id}`, { token: world.ours.owner });
    const second = await read({ 'pagination[count]': '2', 'pagination[cursor]': first.pagination.next ?? '' });
    expect(second.sources.map((source) => source.id)).toEqual(all.slice(2, 4));
    const back = await read({ 'pagination[count]': '2', 'pagination[cursor]': second.pagination.previous ?? '' });
    expect(back.sources.map((source) => source.id)).toEqual([all[0], all[2]]);
    expect(back.pagination.previous).toBeUndefined();
  });
});

describe('a destination', () => {
  it('is checked by its kind, changed and deleted, and never shows a secret', async () => {
    const { member, spaceId } = world.ours;
    const create = async (change: Record<string, unknown>): Promise<Answer> =>
      await world.send('POST', '/destinations', {
        token: member,
        body: {
          spaceId,
          metadataId: 'webhook',
          settings: { sharedSecret: 'very-secret' },
          subscriptions: [{ trigger: 'type = "track"', mapping: { url: 'http://127.0.0.1:9/hook' } }],
          ...change,
        },
      });
    const unknown = await create({ metadataId: 'no-such-thing' });
    expect([unknown.status, unknown.body.errors[0]?.field]).toEqual([400, 'metadataId']);
    const wrong = await create({ subscriptions: [{ trigger: 'type =', mapping: { url: 'http://127.0.0.1:9/' } }] });
    expect([wrong.status, wrong.body.errors[0]?.field]).toEqual([400, 'subscriptions[0].trigger']);

    const made = await create({});
    expect(made.status).toBe(201);
    const { destination } = made.body.data as unknown as { destination: { id: string } };
    const path = `/destinations/${destination.id}`;
    const answers = [
      made,
      await world.send('PATCH', path, { token: member, body: { enabled: false, name: null } }),
      await world.send('GET', path, { token: member }),
      await world.send('GET', '/destinations', { token: member }),
    ];
    expect(answers.map((answer) => answer.status)).toEqual([201, 200, 200, 200]);
    expect(JSON.stringify(answers.map((answer) => answer.body))).not.toContain('very-secret');
    expect((await world.send('DELETE', path, { token: member })).status).toBe(200);
    expect((await world.send('GET', path, { token: member })).status).toBe(404);
    expect(await typesOf(destination.id)).toEqual([
      'Destination Created',
      'Destination Disabled',
      'Destination Deleted',
    ]);
    const kept = await world.pool.query('select e::text as row from audit_events e');
    expect(JSON.stringify(kept.rows)).not.toContain('very-secret');
    expect(world.logged.join()).not.toContain('very-secret');
  });

  it('has a catalog that is read page by page, and each kind whole', async () => {
    const slugs: string[] = [];
    let cursor: string | undefined;
    do {
      const query = new URLSearchParams({
        'pagination[count]': '100',
        ...(cursor === undefined ? {} : { 'pagination[cursor]': cursor }),
      });
      const answer = await world.send('GET', `/catalog/destinations?${query.toString()}`, { token: world.ours.member });
      const data = answer.body.data as unknown as {
        destinationsCatalog: { slug: string }[];
        pagination: { next?: string; totalEntries: number };
      };
      slugs.push(...data.destinationsCatalog.map((entry) => entry.slug));
      cursor = data.pagination.next;
      if (cursor === undefined) expect(slugs).toHaveLength(data.pagination.totalEntries);
    } while (cursor !== undefined);
    expect(slugs).toContain('webhook');
    const webhook = await world.send('GET', '/catalog/destinations/webhook', { token: world.ours.member });
    expect(webhook.body.data).toMatchObject({ destinationMetadata: { slug: 'webhook', actions: [{ key: 'send' }] } });
    expect((await world.send('GET', '/catalog/destinations/no-such-thing', { token: world.ours.member })).status).toBe(
      404,
    );
  });
});

describe('events that could not be loaded', () => {
  it('are listed by their source and go back into the log, once, with an event of the trail', async () => {
    const { member, workspaceId } = world.ours;
    const source = sourceOf(await world.send('POST', '/sources', { token: member, body: { slug: 'put-aside' } }));
    await world.pool.query(
      `insert into event_quarantine (source_id, message_id, workspace_id, type, event, code, reason, received_at)
       select $1, 'm' || n, $2, 'track', '{"type":"track","event":"A","userId":"u","messageId":"m"}', 'event_invalid',
              'it has no time', now() from generate_series(1, 3) as n`,
      [source.id, workspaceId],
    );
    const path = `/sources/${source.id}/quarantine`;
    const listed = await world.send('GET', path, { token: member });
    expect(listed.body.data['events']).toMatchObject([
      { messageId: 'm1', code: 'event_invalid', reason: 'it has no time', tries: 1 },
      { messageId: 'm2' },
      { messageId: 'm3' },
    ]);
    for (const token of [world.ours.support, world.stranger.owner]) {
      expect((await world.send('POST', `${path}/redrive`, { token })).status).toBeGreaterThanOrEqual(403);
    }
    for (const redriven of [3, 0]) {
      const answer = await world.send('POST', `${path}/redrive`, { token: member });
      expect([answer.status, answer.body.data]).toEqual([200, { redriven }]);
    }
    const logged = await world.pool.query('select message_id from event_log where source_id = $1 order by message_id', [
      source.id,
    ]);
    expect(logged.rows.map((row: { message_id: string }) => row.message_id)).toEqual(['m1', 'm2', 'm3']);
    expect((await world.send('GET', path, { token: member })).body.data['events']).toEqual([]);
    expect((await typesOf(source.id)).filter((type) => type.startsWith('Events'))).toEqual(['Events Redriven']);
  });
});

describe('the ids that identify nobody', () => {
  it('are read by members, replaced by owners, and each change is audited', async () => {
    const { owner, member, spaceId } = world.ours;
    const path = `/spaces/${spaceId}/blocked-ids`;
    const read = async (token: string) => (await world.send('GET', path, { token })).body.data;
    expect(await read(member)).toMatchObject({ blockedIds: { isDefault: true } });
    const put = async (values: unknown, token = owner) => await world.send('PUT', path, { token, body: { values } });
    expect((await put(['void'], member)).status).toBe(403);
    expect((await put([' Void ', 'null'])).body.data).toEqual({
      blockedIds: { values: ['Void', 'null'], isDefault: false },
    });
    expect(await read(member)).toEqual({ blockedIds: { values: ['Void', 'null'], isDefault: false } });
    for (const wrong of [
      'void',
      [' '],
      [7],
      ['a\0'],
      ['x'.repeat(513)],
      Array.from({ length: 201 }, (_, n) => `v${n}`),
    ]) {
      expect((await put(wrong)).status).toBe(400);
    }
    expect((await world.send('GET', path, { token: world.stranger.owner })).status).toBe(404);
    expect((await put(null)).body.data).toMatchObject({ blockedIds: { isDefault: true } });
    expect((await typesOf(spaceId)).filter((type) => type === 'Space Modified')).toHaveLength(2);
  });
});
