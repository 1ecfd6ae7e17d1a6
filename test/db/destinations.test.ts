import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SYSTEM_ACTOR, type AuditEventRow } from '../../src/audit/index.ts';
import {
  connectComputation,
  disconnectComputation,
  listConnections,
  updateConnection,
  endConnectionsTo,
} from '../../src/connections/index.ts';
import {
  createDestination,
  createDestinationDeps,
  deleteDestination,
  getDestination,
  keepRefreshedTokens,
  listDestinations,
  MASK,
  openDestination,
  updateDestination,
  type DestinationView,
} from '../../src/destinations/index.ts';
import { createSecretBox } from '../../src/security/index.ts';
import { inTransaction, newId } from '../../src/store/index.ts';
import { createTestPool } from '../helpers/engines.ts';

const actor = { kind: 'user' as const, id: 'usr_1', name: 'Olga Owner', email: 'olga@example.com' };
const secretBox = createSecretBox('a secret for tests only, 32 characters');
const deps = createDestinationDeps({ secretBox, allowPrivateAddresses: false });
const SECRET = 'the-shared-secret-of-the-hook';
const hook = { mapping: { url: 'https://example.com/hook', headers: { authorization: 'Bearer very-secret' } } };

let db: Awaited<ReturnType<typeof createTestPool>>;
let workspaceId: string;
let spaceId: string;
let audienceId: string;

beforeAll(async () => {
  db = await createTestPool();
});
afterAll(async () => {
  await db.close();
});
beforeEach(async () => {
  workspaceId = newId('workspace');
  spaceId = await addSpace('main');
  audienceId = await addComputation('audience', 'big_spenders');
}, 30_000);

async function addSpace(slug: string): Promise<string> {
  const id = newId('space');
  await db.pool.query(
    `insert into workspaces (id, slug, name, plan) values ($1, lower($1), 'Test', 'business') on conflict do nothing`,
    [workspaceId],
  );
  await db.pool.query('insert into spaces (id, workspace_id, slug, name) values ($1, $2, $3, $3)', [
    id,
    workspaceId,
    slug,
  ]);
  return id;
}

async function addComputation(kind: 'audience' | 'computed_trait', key: string, space = spaceId): Promise<string> {
  const id = newId(kind === 'audience' ? 'audience' : 'computedTrait');
  await db.pool.query(
    `insert into computations (id, workspace_id, space_id, kind, key, name, definition_type, definition_query,
       schedule_interval_seconds, created_by, updated_by)
     values ($1, $2, $3, $4, $5, $5, 'USERS', 'q', 60, 'usr_1', 'usr_1')`,
    [id, workspaceId, space, kind, key],
  );
  return id;
}

async function create(input: Partial<Parameters<typeof createDestination>[2]> = {}): Promise<DestinationView> {
  return await inTransaction(db.pool, async (tx) =>
    createDestination(tx, deps, {
      workspaceId,
      spaceId,
      actor,
      slug: 'webhook',
      name: 'Our hook',
      settings: { sharedSecret: SECRET },
      subscriptions: [hook],
      ...input,
    }),
  );
}

async function update(
  destinationId: string,
  changes: Partial<Parameters<typeof updateDestination>[2]>,
): Promise<DestinationView> {
  return await inTransaction(db.pool, async (tx) =>
    updateDestination(tx, deps, { workspaceId, destinationId, actor, ...changes }),
  );
}

async function connect(computationId: string, destinationId: string, audienceSettings?: Record<string, unknown>) {
  return await inTransaction(db.pool, async (tx) =>
    connectComputation(tx, deps, { workspaceId, computationId, destinationId, actor, audienceSettings }),
  );
}

async function trail(): Promise<AuditEventRow[]> {
  const { rows } = await db.pool.query<AuditEventRow>(
    'select * from audit_events where workspace_id = $1 order by occurred_at, id',
    [workspaceId],
  );
  return rows;
}

const refused = (kind: string, field: string) => expect.objectContaining({ name: 'RequestError', kind, field });

describe('a destination', () => {
  it('is kept with its settings encrypted, read with its secrets masked, and opened for sending', async () => {
    const created = await create();
    expect(created).toMatchObject({
      name: 'Our hook',
      slug: 'webhook',
      definitionName: 'Webhook',
      enabled: true,
      settings: { sharedSecret: MASK },
      subscriptions: [{ action: 'send', trigger: 'type = "track" or type = "identify"', enabled: true }],
    });
    expect(await getDestination(db.pool, deps, workspaceId, created.id)).toEqual(created);
    expect(await listDestinations(db.pool, deps, workspaceId, { spaceId })).toEqual([created]);
    expect(await listDestinations(db.pool, deps, workspaceId, { spaceId: 'spa_other' })).toEqual([]);
    const { rows } = await db.pool.query('select * from destinations');
    expect(
      JSON.stringify(rows, (_, value: unknown) => (Buffer.isBuffer(value) ? value.toString('latin1') : value)),
    ).not.toContain(SECRET);
    const opened = await openDestination(db.pool, deps, workspaceId, created.id);
    expect(opened.settings).toEqual({ sharedSecret: SECRET });
    expect(opened.subscriptions[0]?.mapping).toMatchObject({ url: 'https://example.com/hook', method: 'POST' });
  });

  it('is nobody else’s', async () => {
    const { id } = await create();
    const stranger = newId('workspace');
    await expect(getDestination(db.pool, deps, stranger, id)).rejects.toThrow(refused('not_found', 'destinationId'));
    await expect(openDestination(db.pool, deps, stranger, id)).rejects.toMatchObject({ code: 'destination_missing' });
    await expect(
      inTransaction(db.pool, async (tx) =>
        deleteDestination(tx, deps, { workspaceId: stranger, destinationId: id, actor }, endConnectionsTo),
      ),
    ).rejects.toThrow(refused('not_found', 'destinationId'));
    await expect(create({ workspaceId: stranger })).rejects.toThrow(refused('not_found', 'spaceId'));
  });

  it('is not made of what is not valid, nor is there an event of it', async () => {
    await expect(create({ slug: 'wehbook' })).rejects.toThrow(refused('invalid', 'slug'));
    await expect(create({ settings: { secret: 'x' } })).rejects.toThrow(refused('invalid', 'settings.secret'));
    await expect(create({ subscriptions: undefined })).rejects.toThrow(
      refused('invalid', 'subscriptions[0].mapping.url'),
    );
    await expect(create({ name: ' ' })).rejects.toThrow(refused('invalid', 'name'));
    await expect(create({ slug: 'kafka', settings: {}, subscriptions: undefined })).rejects.toThrow(
      refused('invalid', 'slug'),
    );
    expect(await listDestinations(db.pool, deps, workspaceId)).toEqual([]);
    expect(await trail()).toEqual([]);
  });

  it('tells the trail of every change, and no secret', async () => {
    const { id, subscriptions } = await create();
    const [first] = subscriptions;
    await update(id, { name: 'Renamed', enabled: false });
    await update(id, { enabled: true, settings: { sharedSecret: MASK } });
    await update(id, { settings: { sharedSecret: 'another-secret-of-the-hook' } });
    await update(id, {
      subscriptions: [
        { id: first?.id, trigger: 'type = "track"' },
        { name: 'Traits', trigger: 'type = "identify"', ...hook },
      ],
    });
    await update(id, { subscriptions: [] });
    await inTransaction(db.pool, async (tx) =>
      deleteDestination(tx, deps, { workspaceId, destinationId: id, actor }, endConnectionsTo),
    );
    const events = await trail();
    expect(events.map(({ type, resource_type }) => [type, resource_type])).toEqual([
      ['Destination Created', 'destination'],
      ['Destination Modified', 'destination'],
      ['Destination Disabled', 'destination'],
      ['Destination Enabled', 'destination'],
      ['Destination Modified', 'destination'],
      ['Destination Subscription Modified', 'subscription'],
      ['Destination Subscription Created', 'subscription'],
      ['Destination Subscription Deleted', 'subscription'],
      ['Destination Subscription Deleted', 'subscription'],
      ['Destination Deleted', 'destination'],
    ]);
    expect(events[1]).toMatchObject({
      actor_email: 'olga@example.com',
      before: { name: 'Our hook', enabled: true },
      after: { name: 'Renamed', enabled: false },
    });
    expect(events[4]).toMatchObject({
      details: { changedSettings: ['sharedSecret'] },
      before: { settings: { sharedSecret: MASK } },
      after: { settings: { sharedSecret: MASK } },
    });
    expect(events[5]).toMatchObject({
      before: { trigger: 'type = "track" or type = "identify"' },
      after: { trigger: 'type = "track"', mapping: { url: 'https://example.com/hook' } },
    });
    expect(JSON.stringify(events)).not.toMatch(/the-shared-secret|another-secret|very-secret/);
  });

  it('keeps what an update leaves away', async () => {
    const { id, subscriptions } = await create();
    const updated = await update(id, { name: 'Renamed' });
    expect(updated.subscriptions).toEqual(subscriptions);
    expect((await openDestination(db.pool, deps, workspaceId, id)).settings).toEqual({ sharedSecret: SECRET });
    await expect(update(id, { subscriptions: [{ id: 'sub_other' }] })).rejects.toThrow(
      refused('invalid', 'subscriptions[0].id'),
    );
    await update(id, { settings: { sharedSecret: null } });
    expect((await openDestination(db.pool, deps, workspaceId, id)).settings).toEqual({});
  });

  it('is gone when it is deleted, its secrets at once, and missing for a sync when it is off', async () => {
    const { id } = await create();
    const connection = await connect(audienceId, id);
    await update(id, { enabled: false });
    await expect(openDestination(db.pool, deps, workspaceId, id)).rejects.toMatchObject({
      code: 'destination_missing',
    });
    await inTransaction(db.pool, async (tx) =>
      deleteDestination(tx, deps, { workspaceId, destinationId: id, actor }, endConnectionsTo),
    );
    await expect(getDestination(db.pool, deps, workspaceId, id)).rejects.toThrow(refused('not_found', 'destinationId'));
    expect(await listConnections(db.pool, deps, workspaceId, audienceId)).toEqual([]);
    const { rows } = await db.pool.query(
      'select length(d.settings_box) as box, n.enabled from destinations d join connections n on n.destination_id = d.id where n.id = $1',
      [connection.id],
    );
    expect(rows).toEqual([{ box: 0, enabled: false }]);
    expect((await trail()).at(-1)).toMatchObject({ details: { disconnectedComputations: [audienceId] } });
  });

  it('does not open with another installation’s secret', async () => {
    const { id } = await create();
    const other = createDestinationDeps({
      secretBox: createSecretBox('another secret of more than 32 characters'),
      allowPrivateAddresses: false,
    });
    await expect(openDestination(db.pool, other, workspaceId, id)).rejects.toMatchObject({
      name: 'TaskFailure',
      code: 'destination_settings_sealed',
    });
  });

  it('does not open for an action that an upgrade took away', async () => {
    const { id } = await create();
    await db.pool.query(`update subscriptions set action = 'sendByPost' where destination_id = $1`, [id]);
    await expect(openDestination(db.pool, deps, workspaceId, id)).rejects.toMatchObject({
      code: 'destination_settings_invalid',
      detail: 'webhook has no action sendByPost any more',
    });
  });

  it('keeps OAuth tokens that were refreshed', async () => {
    const { id } = await create({
      slug: 'facebook-custom-audiences',
      settings: {
        retlAdAccountId: 'act_1',
        oauth: { access_token: 'old', refresh_token: 'r1', clientId: 'c' },
      },
      subscriptions: undefined,
    });
    await inTransaction(db.pool, async (tx) =>
      keepRefreshedTokens(tx, deps, { id, workspaceId }, { accessToken: 'new' }),
    );
    expect((await openDestination(db.pool, deps, workspaceId, id)).settings).toEqual({
      retlAdAccountId: 'act_1',
      oauth: { access_token: 'new', refresh_token: 'r1', clientId: 'c' },
    });
    expect((await getDestination(db.pool, deps, workspaceId, id)).settings['oauth']).toBe(MASK);
  });
});

describe('a connection', () => {
  it('is made, changed, ended and made again, as one connection', async () => {
    const { id } = await create({ slug: 'webhook-audiences', subscriptions: [hook] });
    const connected = await connect(audienceId, id, { extras: '{"a":1}' });
    expect(await listConnections(db.pool, deps, workspaceId, audienceId)).toEqual([connected]);
    expect(connected).toMatchObject({
      computationId: audienceId,
      destinationId: id,
      destinationName: 'Our hook',
      slug: 'webhook-audiences',
      audienceSettings: { extras: '{"a":1}' },
      externalAudienceId: null,
      syncedVersion: null,
    });
    await expect(connect(audienceId, id)).rejects.toThrow(refused('conflict', 'destinationId'));
    const change = { workspaceId, computationId: audienceId, destinationId: id, actor };
    await inTransaction(db.pool, async (tx) =>
      updateConnection(tx, deps, { ...change, audienceSettings: { extras: '{}' } }),
    );
    await inTransaction(db.pool, async (tx) => disconnectComputation(tx, deps, change));
    expect(await listConnections(db.pool, deps, workspaceId, audienceId)).toEqual([]);
    await expect(inTransaction(db.pool, async (tx) => disconnectComputation(tx, deps, change))).rejects.toThrow(
      refused('not_found', 'destinationId'),
    );
    expect(await connect(audienceId, id)).toEqual({ ...connected, audienceSettings: { extras: '{}' } });
    expect((await trail()).map(({ type, resource_type, resource_id }) => [type, resource_type, resource_id])).toEqual([
      ['Destination Created', 'destination', id],
      ['Destination Added into Audience', 'audience', audienceId],
      ['Destination Updated for Audience', 'audience', audienceId],
      ['Destination Removed from Audience', 'audience', audienceId],
      ['Destination Added into Audience', 'audience', audienceId],
    ]);
  });

  it('of a computed trait has event types of its own, and no audience settings', async () => {
    const { id } = await create();
    const traitId = await addComputation('computed_trait', 'revenue');
    await expect(connect(traitId, id, { extras: '' })).rejects.toThrow(refused('invalid', 'audienceSettings'));
    await connect(traitId, id);
    await inTransaction(db.pool, async (tx) =>
      disconnectComputation(tx, deps, {
        workspaceId,
        computationId: traitId,
        destinationId: id,
        actor: SYSTEM_ACTOR,
      }),
    );
    expect((await trail()).slice(1).map(({ type, resource_type }) => [type, resource_type])).toEqual([
      ['Destination Added into Computed Trait', 'computed_trait'],
      ['Destination Removed from Computed Trait', 'computed_trait'],
    ]);
  });

  it('stays within a space and a workspace', async () => {
    const { id } = await create();
    const elsewhere = await addComputation('audience', 'elsewhere', await addSpace('other'));
    await expect(connect(elsewhere, id)).rejects.toThrow(refused('invalid', 'destinationId'));
    await expect(connect('aud_unknown', id)).rejects.toThrow(refused('not_found', 'computationId'));
    await expect(listConnections(db.pool, deps, newId('workspace'), audienceId)).rejects.toThrow(
      refused('not_found', 'computationId'),
    );
  });

  it('is made once when two people make it at the same moment', async () => {
    const { id } = await create();
    const results = await Promise.allSettled([
      connect(audienceId, id),
      connect(audienceId, id),
      connect(audienceId, id),
    ]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await listConnections(db.pool, deps, workspaceId, audienceId)).toHaveLength(1);
  });
});
