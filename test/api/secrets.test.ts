import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MASK } from '../../src/security/index.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { addPeople, addRun } from '../helpers/world.ts';
import { tasksOn } from '../db/tasks-world.ts';
import { audienceBody, createApiWorld, type ApiWorld } from './api-world.ts';
import { createEverything, type Everything } from './everything.ts';
import { dumpTables, findPlanted, PLANTED } from './planted.ts';

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

const dump = async (): Promise<string> => await dumpTables(world.pool);
const plantedIn = (text: string): string[] => findPlanted(text, [channelSecret]);

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

  it('is in no answer of a write, nor in the refusal of one that is wrong', async () => {
    const { ours } = world;
    const answers: string[] = [];
    const say = async (method: string, path: string, body: unknown): Promise<number> => {
      const response = await world.app.request(path, {
        method,
        headers: { authorization: `Bearer ${ours.owner}`, 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
      answers.push(
        `${method} ${path} ${JSON.stringify(body).slice(0, 200)}\n${response.status} ${await response.text()}`,
      );
      return response.status;
    };
    const secretUrl = `${receiver.url}/hooks/${PLANTED.path}?token=${PLANTED.query}`;
    const mapping = { url: secretUrl, headers: { Authorization: PLANTED.authorization } };
    const subscriptions = [{ trigger: 'type = "track"', mapping }];
    const settings = { sharedSecret: PLANTED.shared, createAudienceUrl: `${receiver.url}/${PLANTED.createUrl}` };
    const made = { spaceId: ours.spaceId, metadataId: 'webhook-audiences', name: 'More', settings, subscriptions };
    const destination = `/destinations/${destinationId}`;
    const connections = `/spaces/${ours.spaceId}/audiences/${audienceId}/destinations`;
    const extras = JSON.stringify({ token: PLANTED.audience });
    const channel = { name: 'More', url: `${receiver.url}/services/${PLANTED.channel}` };
    const right: [string, string, unknown][] = [
      ['POST', '/destinations', made],
      ['PATCH', destination, { name: 'Again', settings, subscriptions }],
      ['PATCH', destination, { enabled: false }],
      ['PATCH', destination, { enabled: true }],
      ['PATCH', `${connections}/${destinationId}`, { settings: { extras: `${extras} ` } }],
      ['DELETE', `${connections}/${destinationId}`, ''],
      ['POST', connections, { destinationId, settings: { extras } }],
      ['POST', '/alert-channels', channel],
      ['PATCH', `/alert-channels/${channelId}`, { name: 'Again', url: channel.url }],
      ['POST', `/alert-channels/${channelId}/tests`, ''],
    ];
    for (const [method, path, body] of right)
      expect([method, path, await say(method, path, body)]).toEqual([method, path, expect.closeTo(200, -1)]);
    // The signing secret of a channel is told once, to whoever makes it.
    const told = answers.filter((answer) => answer.includes('whsec_'));
    expect(told).toEqual([expect.stringContaining('POST /alert-channels ')]);

    const oddly = (secret: string): unknown[] => [secret, [secret], { secret }, { '@template': `${secret}{{` }];
    const values = [secretUrl, `ftp://u:${PLANTED.user}@h/${PLANTED.path}`].flatMap(oddly);
    const wrong = values.flatMap((value, at): [string, string, unknown][] => {
      const secret = oddly(PLANTED.shared)[at % 4];
      const withMapping = (change: unknown) => ({ subscriptions: [{ ...subscriptions[0], mapping: change }] });
      return [
        ['POST', '/destinations', { ...made, settings: { sharedSecret: secret, createAudienceUrl: value } }],
        ['POST', '/destinations', { ...made, settings: { ...settings, unknown: secret } }],
        ['POST', '/destinations', { ...made, settings: secret }],
        ['PATCH', destination, { settings: { createAudienceUrl: value } }],
        ['PATCH', destination, { settings: { oauth: secret } }],
        ['PATCH', destination, withMapping({ ...mapping, url: value })],
        ['PATCH', destination, withMapping({ ...mapping, headers: secret })],
        ['PATCH', destination, withMapping(value)],
        ['PATCH', `${connections}/${destinationId}`, { settings: { extras: [extras] } }],
        ['PATCH', `${connections}/${destinationId}`, { settings: { other: secret } }],
        ['POST', '/alert-channels', { ...channel, url: [value] }],
        ['PATCH', `/alert-channels/${channelId}`, { url: `mailto:${JSON.stringify(value)}` }],
        ['PATCH', destination, `{"settings":{"sharedSecret": ${JSON.stringify(secret)} oops`],
      ];
    });
    for (const [method, path, body] of wrong) {
      const status = await say(method, path, body);
      // Some of it may be a mapping after all: nothing is answered that was not foreseen.
      expect([method, path, body, status < 500]).toEqual([method, path, body, true]);
    }
    const read = answers.map((answer) => answer.slice(answer.indexOf('\n')));
    for (const [at, answer] of read.entries()) expect([answers[at], plantedIn(answer)]).toEqual([answers[at], []]);
    expect(plantedIn(world.logged.join('\n'))).toEqual([]);
    expect(plantedIn(await dump())).toEqual([]);
  });

  it("is entered again by whoever changes an audience's setting that says where the destination sends", async () => {
    const { ours } = world;
    const url = { '@path': '$.context.personas.audience_settings.extras' };
    const made = await post('/destinations', {
      spaceId: ours.spaceId,
      metadataId: 'webhook-audiences',
      name: 'Where the audience says',
      settings: { sharedSecret: PLANTED.shared },
      subscriptions: [{ trigger: 'type = "track"', mapping: { url, headers: { 'X-Tenant': PLANTED.tenant } } }],
    });
    const where = (made['destination'] as { id: string }).id;
    const connections = `/spaces/${ours.spaceId}/audiences/${audienceId}/destinations`;
    const needed = ['settings.sharedSecret', 'subscriptions[0].mapping.headers.X-Tenant'];
    const secrets = { [needed[0] ?? '']: PLANTED.shared, [needed[1] ?? '']: PLANTED.tenant };
    const connect = async (more: object, path = connections, method = 'POST') =>
      await world.send(method, path, {
        token: ours.owner,
        body: { settings: { extras: 'http://127.0.0.1:9/' }, ...more },
      });
    for (const wrong of [{}, { secrets: {} }, { secrets: { ...secrets, [needed[0] ?? '']: 'guessed' } }]) {
      const refused = await connect({ destinationId: where, ...wrong });
      expect([refused.status, refused.body.errors[0]]).toMatchObject([
        400,
        { type: 'secrets_required', field: 'secrets' },
      ]);
    }
    expect((await connect({ destinationId: where })).body.errors[0]?.data).toEqual({
      fields: needed,
      changed: ['audienceSettings.extras'],
    });
    expect((await connect({ destinationId: where, secrets })).status).toBe(201);
    const changed = { settings: { extras: 'http://127.0.0.1:10/' } };
    expect((await connect(changed, `${connections}/${where}`, 'PATCH')).status).toBe(400);
    expect((await connect({ ...changed, secrets }, `${connections}/${where}`, 'PATCH')).status).toBe(200);
    expect((await connect(changed, `${connections}/${where}`, 'PATCH')).status).toBe(200);
    expect(plantedIn(await dump())).toEqual([]);
    const inOne = audienceBody({
      key: 'in_one',
      destinations: [{ destinationId: where, settings: { extras: 'http://127.0.0.1:9/' } }],
    });
    const refused = await world.send('POST', `/spaces/${ours.spaceId}/audiences`, { token: ours.owner, body: inOne });
    expect([refused.status, refused.body.errors[0]]).toMatchObject([400, { field: 'destinations.0.secrets' }]);
  });
});
