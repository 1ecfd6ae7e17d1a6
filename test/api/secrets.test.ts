import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sealSecrets } from '../../src/bin/seal-secrets.ts';
import { createLogger } from '../../src/logger.ts';
import { MASK } from '../../src/security/index.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { addPeople, addRun, secretBox } from '../helpers/world.ts';
import { tasksOn } from '../db/tasks-world.ts';
import { audienceBody, createApiWorld, type ApiWorld } from './api-world.ts';
import { createEverything, type Everything } from './everything.ts';

/** Everything that was planted: none of it may be read anywhere. */
const PLANTED = {
  shared: 'planted-shared-secret',
  authorization: 'planted-authorization',
  tenant: 'planted-tenant-header',
  path: 'planted-hook-path',
  query: 'planted-hook-query',
  user: 'planted-user-info',
  template: 'planted-in-template',
  channel: 'planted-channel-path',
  audience: 'planted-audience-token',
  createUrl: 'planted-create-path',
};

let world: ApiWorld;
let everything: Everything;
let receiver: Receiver;
let destinationId: string;
let subscriptionId: string;
let audienceId: string;
let channelId: string;
let channelSecret: string;

beforeAll(async () => {
  world = await createApiWorld();
  everything = await createEverything(world);
  receiver = await startReceiver();
  // It refuses, and repeats all that it was sent, in several forms.
  receiver.behave(({ headers, path, body }) => {
    const authorization = headers['authorization'] ?? '';
    const inBase64 = Buffer.from(`user:${PLANTED.tenant}`).toString('base64');
    const echo = { authorization, headers, path, inBase64, body: JSON.stringify(body ?? '').slice(0, 2_000) };
    return { status: 400, body: JSON.stringify(echo), headers: { 'retry-after': authorization } };
  });
  const { spaceId } = world.ours;
  await addPeople(
    world.deps.clickhouse,
    { workspaceId: world.ours.workspaceId, spaceId, actor: undefined as never },
    5,
  );
  const made = await post('/destinations', {
    spaceId,
    metadataId: 'webhook-audiences',
    name: 'Planted',
    settings: {
      sharedSecret: PLANTED.shared,
      createAudienceUrl: `${receiver.url}/${PLANTED.createUrl}`,
    },
    subscriptions: [
      {
        trigger: 'type = "track"',
        mapping: {
          url: `${receiver.url}/hooks/${PLANTED.path}?token=${PLANTED.query}`,
          headers: {
            Authorization: `Bearer ${PLANTED.authorization}`,
            'X-Tenant': PLANTED.tenant,
            'X-Template': { '@template': `${PLANTED.template}-{{userId}}` },
            'X-Environment': 'prod',
            'Content-Type': 'application/json',
          },
          batch_size: 10,
        },
      },
    ],
  });
  const destination = made['destination'] as { id: string; subscriptions: { id: string }[] };
  destinationId = destination.id;
  subscriptionId = destination.subscriptions[0]?.id ?? '';
  const audience = await post(
    `/spaces/${spaceId}/audiences`,
    audienceBody({ key: 'planted', definition: { type: 'USERS', query: "event('Visited').count() >= 1" } }),
  );
  audienceId = (audience['audience'] as { id: string }).id;
  await post(`/spaces/${spaceId}/audiences/${audienceId}/destinations`, {
    destinationId,
    settings: { extras: JSON.stringify({ token: PLANTED.audience, color: 'red' }) },
  });
  const channel = await post('/alert-channels', { name: 'Ops', url: `${receiver.url}/services/${PLANTED.channel}` });
  channelId = (channel['channel'] as { id: string }).id;
  channelSecret = String(channel['secret']);
}, 120_000);
afterAll(async () => {
  await world.close();
  await receiver.close();
});

async function post(path: string, body: unknown): Promise<Record<string, unknown>> {
  const answer = await world.send('POST', path, { token: world.ours.owner, body });
  expect([path, answer.status, answer.body.errors]).toEqual([path, 201, undefined]);
  return answer.body.data;
}

async function patch(path: string, body: unknown) {
  return await world.send('PATCH', path, { token: world.ours.owner, body });
}

/** Every table as text, with what is bytes in the form in which a secret would be readable. */
async function dump(): Promise<string> {
  const { rows } = await world.pool.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'public'`,
  );
  const texts: string[] = [];
  for (const { name } of rows) {
    const table = await world.pool.query<object>(`select * from ${name}`);
    texts.push(
      JSON.stringify(table.rows, (_, value: unknown) => {
        const bytes = value as { type?: string; data?: number[] } | null;
        return bytes?.type === 'Buffer' ? Buffer.from(bytes.data ?? []).toString('latin1') : value;
      }),
    );
  }
  return texts.join('\n');
}

function plantedIn(text: string): string[] {
  const all = [...Object.values(PLANTED), channelSecret];
  return all.filter((secret) =>
    [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64').slice(0, -4)].some((form) =>
      text.includes(form),
    ),
  );
}

const idsOf = (): Record<string, string> => ({
  ...everything.ids,
  spaceId: world.ours.spaceId,
  destinationId,
  id: audienceId,
  channelId,
});

/** The answer of every route that reads, as a role. */
async function readAll(token: string, extra: Record<string, string> = {}): Promise<string[]> {
  const document = (await (await world.app.request('/openapi.json')).json()) as { paths: Record<string, object> };
  const texts: string[] = [];
  const ids = { ...idsOf(), ...extra };
  for (const [path, item] of Object.entries(document.paths)) {
    if (!('get' in item)) continue;
    const trait = path.includes('/computed-traits/');
    const target = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      return (trait && name === 'id' ? everything.ids['traitId'] : ids[name]) ?? 'none';
    });
    const response = await world.app.request(target, { headers: { authorization: `Bearer ${token}` } });
    texts.push(`${target}\n${await response.text()}`);
  }
  return texts;
}

async function expectNothingRead(extra: Record<string, string> = {}): Promise<void> {
  for (const role of ['owner', 'member', 'support'] as const) {
    for (const text of await readAll(world.ours[role], extra)) {
      expect([role, text.split('\n')[0], plantedIn(text)]).toEqual([role, text.split('\n')[0], []]);
    }
  }
}

describe('a secret', () => {
  it('is read by nobody on any route, is not in the trail, and stands in no table', async () => {
    await expectNothingRead();
    expect(plantedIn(await dump())).toEqual([]);
    expect(plantedIn(world.logged.join('\n'))).toEqual([]);
    const read = await world.send('GET', `/destinations/${destinationId}`, { token: world.ours.owner });
    expect(read.body.data['destination']).toMatchObject({
      settings: { sharedSecret: MASK, createAudienceUrl: `${receiver.url}/${MASK}` },
      subscriptions: [
        {
          mapping: {
            url: `${receiver.url}/hooks/${MASK}?token=${MASK}`,
            headers: { Authorization: MASK, 'X-Tenant': MASK, 'Content-Type': 'application/json' },
            method: 'POST',
          },
        },
      ],
    });
  });

  it('that is read and written back stays, and the trail has no event of it', async () => {
    const { owner } = world.ours;
    const read = await world.send('GET', `/destinations/${destinationId}`, { token: owner });
    const { settings, subscriptions } = read.body.data['destination'] as unknown as Record<string, object>;
    const before = await dump();
    expect((await patch(`/destinations/${destinationId}`, { settings, subscriptions })).status).toBe(200);
    const channel = await patch(`/alert-channels/${channelId}`, { url: `${receiver.url}/services/${MASK}` });
    expect([channel.status, channel.body.errors]).toEqual([200, undefined]);
    const connections = `/spaces/${world.ours.spaceId}/audiences/${audienceId}/destinations`;
    const listed = await world.send('GET', connections, { token: owner });
    const [connection] = listed.body.data['connections'] as unknown as { audienceSettings: object }[];
    expect(connection?.audienceSettings).toEqual({ extras: `{"token":"${MASK}","color":"red"}` });
    const same = await patch(`${connections}/${destinationId}`, { settings: connection?.audienceSettings });
    expect([same.status, same.body.errors]).toEqual([200, undefined]);
    const events = (text: string) => text.match(/"type":"(?:Destination|Alert Channel) [\w ]*"/g)?.length;
    expect(events(await dump())).toBe(events(before));
  });

  it('does not follow to another address: whoever changes it enters it again', async () => {
    const path = `/destinations/${destinationId}`;
    const header = 'subscriptions[0].mapping.headers';
    const shown = (await world.send('GET', path, { token: world.ours.owner })).body.data['destination'] as unknown as {
      subscriptions: { mapping: Record<string, object> }[];
    };
    const mapping = shown.subscriptions[0]?.mapping ?? {};
    for (const [change, fields] of [
      [
        { subscriptions: [{ id: subscriptionId, mapping: { ...mapping, url: 'http://127.0.0.1:9/' } }] },
        ['settings.sharedSecret', `${header}.Authorization`],
      ],
      [
        { settings: { createAudienceUrl: 'http://127.0.0.1:9/' } },
        ['settings.sharedSecret', `${header}.Authorization`],
      ],
      [
        { settings: { createAudienceUrl: 'http://127.0.0.1:9/', sharedSecret: MASK } },
        ['settings.sharedSecret', `${header}.X-Tenant`],
      ],
      [
        { subscriptions: [{ id: subscriptionId, mapping }, { mapping: { url: 'http://127.0.0.1:9/' } }] },
        ['settings.sharedSecret'],
      ],
    ] as const) {
      const answer = await patch(path, change);
      expect([change, answer.status, answer.body.errors?.[0]?.type]).toEqual([change, 400, 'secrets_required']);
      expect(answer.body.errors[0]?.data?.['fields']).toEqual(expect.arrayContaining([...fields]));
    }
    for (const [change, field] of [
      [{ subscriptions: [{ mapping }] }, 'subscriptions[0].mapping.url'],
      [{ settings: { getAudienceUrl: MASK } }, 'settings.getAudienceUrl'],
    ] as const) {
      const answer = await patch(path, change);
      expect([answer.status, answer.body.errors?.[0]]).toMatchObject([400, { type: 'secret_masked', field }]);
    }
    const created = await world.send('POST', '/destinations', {
      token: world.ours.owner,
      body: { spaceId: world.ours.spaceId, metadataId: 'webhook', settings: { sharedSecret: MASK }, subscriptions: [] },
    });
    expect(created.body.errors[0]).toMatchObject({ type: 'secret_masked', field: 'settings.sharedSecret' });
    const channel = await patch(`/alert-channels/${channelId}`, { url: `http://127.0.0.1:9/services/${MASK}` });
    expect(channel.body.errors[0]).toMatchObject({ type: 'secret_masked', field: 'url' });
  });

  it('is taken out of what a tool answers that repeats what it was sent, wherever that is kept and shown', async () => {
    const tasks = tasksOn(world.pool, world.deps.clickhouse);
    const { ours } = world;
    const place = { workspaceId: ours.workspaceId, spaceId: ours.spaceId, actor: undefined as never };
    const open = await world.pool.query<{ id: string }>(
      `select id from tasks where computation_id = $1 and kind = 'run' and ended_at is null`,
      [audienceId],
    );
    const run = open.rows[0]?.id ?? (await addRun(world.pool, place, audienceId));
    const [sync = ''] = await tasks.execute(run);
    const { attempt } = await tasks.begin(sync);
    const failed = await tasks.step(sync, attempt, 'prepare').then(
      () => null,
      (error: unknown) => error as { code: string; detail: string },
    );
    expect(plantedIn(String(failed?.detail))).toEqual([]);
    await world.pool.query(`update connections set external_audience_id = 'ext' where destination_id = $1`, [
      destinationId,
    ]);
    for (const step of ['prepare', 'extract', 'deliver'] as const) await tasks.step(sync, attempt, step);
    const reasons = await world.pool.query<{ reason: string }>('select reason from rejected_rows where task_id = $1', [
      sync,
    ]);
    expect(reasons.rows).toHaveLength(5);
    expect(reasons.rows[0]?.reason).toContain('***');
    expect(
      receiver.requests.some(({ headers }) => String(headers['authorization']).includes(PLANTED.authorization)),
    ).toBe(true);
    expect(plantedIn(await dump())).toEqual([]);
    await expectNothingRead({ taskId: sync });
    const csv = await world.app.request(`/tasks/${sync}/rejected-rows.csv`, {
      headers: { authorization: `Bearer ${ours.owner}` },
    });
    expect(plantedIn(await csv.text())).toEqual([]);
  }, 120_000);

  it('of an older version is encrypted and masked when a program starts, also in the trail and in kept answers', async () => {
    const { pool } = world;
    const mapping = { url: `${receiver.url}/${PLANTED.path}`, headers: { Authorization: PLANTED.authorization } };
    await pool.query(`update subscriptions set mapping = $2, mapping_box = null where id = $1`, [
      subscriptionId,
      JSON.stringify(mapping),
    ]);
    await pool.query(
      `update connections set audience_settings = $2, audience_settings_box = null where destination_id = $1`,
      [destinationId, JSON.stringify({ extras: `{"token":"${PLANTED.audience}"}` })],
    );
    await pool.query(`update channels set url = $2, url_box = null where id = $1`, [
      channelId,
      `${receiver.url}/${PLANTED.channel}`,
    ]);
    await pool.query(`update rejected_rows set reason = $1`, [`400: you sent ${PLANTED.authorization}`]);
    await pool.query(
      `insert into audit_events (id, workspace_id, type, actor_kind, actor_id, actor_name, resource_type, resource_id, resource_name, details, before, after)
       values ('evt_old', $1, 'Destination Subscription Modified', 'user', 'u', 'u', 'subscription', $2, 'x', $3, $4, $4)`,
      [
        world.ours.workspaceId,
        subscriptionId,
        JSON.stringify({ destinationId }),
        JSON.stringify({ action: 'send', mapping }),
      ],
    );
    expect(plantedIn(await dump()).length).toBeGreaterThan(3);
    const logger = createLogger({ level: 'silent', program: 'test' });
    await Promise.all([sealSecrets(pool, secretBox, logger), sealSecrets(pool, secretBox, logger)]);
    expect(plantedIn(await dump())).toEqual([]);
    await expectNothingRead();
    await expect(pool.query(`update audit_events set before = null where id = 'evt_old'`)).rejects.toThrow(
      'append-only',
    );
    await sealSecrets(pool, secretBox, logger);
  });
});
