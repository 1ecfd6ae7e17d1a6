import { expect } from 'vitest';
import { audienceBody, type ApiWorld } from './api-world.ts';

/** One of each thing there is, of our workspace: its id by the name of the path's parameter (`traitId` for a computed trait's `id`), and a body for each route that takes one. */
export interface Everything {
  ids: Record<string, string>;
  bodies: Record<string, unknown>;
  revokedToken: string;
}

export async function createEverything(world: ApiWorld): Promise<Everything> {
  const { spaceId, owner } = world.ours;
  const post = async (path: string, body: unknown): Promise<Record<string, never>> => {
    const answer = await world.send('POST', path, { token: owner, body });
    expect([path, answer.status, answer.body.errors]).toEqual([path, 201, undefined]);
    return answer.body.data as Record<string, never>;
  };
  const idOf = (data: Record<string, unknown>, name: string): string => (data[name] as { id: string }).id;

  const space = `/spaces/${spaceId}`;
  const id = idOf(await post(`${space}/audiences`, audienceBody()), 'audience');
  const traitBody = audienceBody({ key: 'orders', definition: { type: 'USERS', query: "event('A').count()" } });
  const traitId = idOf(await post(`${space}/computed-traits`, traitBody), 'computedTrait');
  const destinationBody = {
    spaceId,
    metadataId: 'webhook',
    name: 'Receiver',
    subscriptions: [{ trigger: 'type = "track"', mapping: { url: 'http://127.0.0.1:9/hook' } }],
  };
  const destinationId = idOf(await post('/destinations', destinationBody), 'destination');
  await post(`${space}/audiences/${id}/destinations`, { destinationId });
  await post(`${space}/computed-traits/${traitId}/destinations`, { destinationId });
  const taskId = idOf(await post(`${space}/audiences/${id}/runs`, undefined), 'task');
  const channelBody = { name: 'Hook', url: 'http://127.0.0.1:9/alerts' };
  const channelId = idOf(await post('/alert-channels', channelBody), 'channel');
  const tokenBody = { name: 'CI', role: 'workspace_member' };
  const token = (await post('/access-tokens', tokenBody)) as Record<string, unknown>;
  const tokenId = idOf(token, 'accessToken');
  const revoked = (
    (await post('/access-tokens', tokenBody)) as unknown as { accessToken: { id: string; token: string } }
  ).accessToken;
  await world.send('DELETE', `/access-tokens/${revoked.id}`, { token: owner });
  const sourceBody = { slug: 'shop', enabled: true, metadataId: 'http-api', name: 'Shop' };
  const source = (await post('/sources', sourceBody)) as unknown as { source: { id: string; writeKeys: string[] } };

  const patches = { audiences: { name: 'Taken over' }, 'computed-traits': { name: 'Taken over' } };
  const bodies: Record<string, unknown> = {
    'PATCH /destinations/:destinationId': { name: 'Taken over' },
    'POST /destinations': destinationBody,
    'PATCH /alert-channels/:channelId': { name: 'Taken over' },
    'POST /alert-channels': channelBody,
    'POST /access-tokens': tokenBody,
    'PATCH /sources/:sourceId': { name: 'Taken over' },
    'POST /sources': { ...sourceBody, slug: 'shop-two' },
    'PATCH /settings/notifications': { reducedNotifications: false },
    'PATCH /settings/tasks': { autoDisableAfter: 5 },
    'PATCH /spaces/:spaceId': { name: 'Taken over' },
    'PUT /spaces/:spaceId/blocked-ids': { values: ['taken over'] },
    'POST /tasks/:taskId/cancel': {},
    'POST /tasks/:taskId/retry': {},
  };
  bodies['POST /spaces/:spaceId/sources'] = { sourceId: source.source.id };
  for (const [kind, patch] of Object.entries(patches)) {
    const trait = kind === 'computed-traits';
    bodies[`POST /spaces/:spaceId/${kind}`] = trait ? { ...traitBody, key: 'taken' } : audienceBody({ key: 'taken' });
    bodies[`PATCH /spaces/:spaceId/${kind}/:id`] = patch;
    bodies[`POST /spaces/:spaceId/${kind}/:id/resync`] = {};
    const definition = trait ? traitBody['definition'] : audienceBody()['definition'];
    bodies[`POST /spaces/:spaceId/${kind}/:id/dry-run`] = { definition };
    bodies[`POST /spaces/:spaceId/${kind}/preview`] = { definition };
    bodies[`POST /spaces/:spaceId/${kind}/:id/destinations`] = { destinationId };
    bodies[`PATCH /spaces/:spaceId/${kind}/:id/destinations/:destinationId`] = { settings: {} };
  }
  return {
    ids: {
      spaceId,
      id,
      traitId,
      destinationId,
      taskId,
      channelId,
      tokenId,
      sourceId: source.source.id,
      writeKey: source.source.writeKeys[0] ?? '',
      destinationMetadataId: 'webhook',
    },
    bodies,
    revokedToken: revoked.token,
  };
}
