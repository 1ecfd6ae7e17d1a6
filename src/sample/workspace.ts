import { addMember, createAccessToken, createSpace, createUser, createWorkspace } from '../access/index.ts';
import { SYSTEM_ACTOR } from '../audit/index.ts';
import { waitUntilLoaded } from '../pipeline/index.ts';
import { randomToken } from '../security/index.ts';
import { inTransaction, type PostgresPool } from '../store/index.ts';
import { ApiClient } from './api-client.ts';
import { SAMPLE_COMPUTATIONS } from './computations.ts';
import { sendShop } from './send-shop.ts';
import type { ShopMessage } from './shop.ts';

/** Who may sign in to the sample workspace. Made on the first start, with random passwords. */
export interface SampleAccess {
  workspaceId: string;
  spaceId: string;
  users: { email: string; password: string; role: 'Workspace Owner' | 'Support' }[];
  ownerToken: string;
  supportToken: string;
}

const OWNER_EMAIL = 'owner@example.com';
const SUPPORT_EMAIL = 'support@example.com';
const LOAD_TIMEOUT_MS = 120_000;

/** The sample's workspace on the business plan, with its owner, a support user, a space and a token for each. */
export async function createSampleAccess(pool: PostgresPool): Promise<SampleAccess> {
  const password = { owner: randomToken(''), support: randomToken('') };
  return await inTransaction(pool, async (tx) => {
    const actor = SYSTEM_ACTOR;
    const workspace = await createWorkspace(tx, { slug: 'sample', name: 'Sample shop', plan: 'business', actor });
    const workspaceId = workspace.id;
    const owner = await createUser(tx, { email: OWNER_EMAIL, name: 'Sample Owner', password: password.owner });
    await addMember(tx, { workspaceId, userId: owner.id, role: 'workspace_owner', actor });
    await createUser(tx, {
      email: SUPPORT_EMAIL,
      name: 'Sample Support',
      password: password.support,
      isSupport: true,
    });
    const space = await createSpace(tx, { workspaceId, slug: 'shop', name: 'Shop', actor });
    const token = async (name: string, role: 'workspace_owner' | 'support'): Promise<string> =>
      (await createAccessToken(tx, { workspaceId, name, role, actor })).token;
    return {
      workspaceId,
      spaceId: space.id,
      users: [
        { email: OWNER_EMAIL, password: password.owner, role: 'Workspace Owner' },
        { email: SUPPORT_EMAIL, password: password.support, role: 'Support' },
      ],
      ownerToken: await token('Sample', 'workspace_owner'),
      supportToken: await token('Sample support', 'support'),
    };
  });
}

export interface FillOptions {
  pool: PostgresPool;
  apiUrl: string;
  access: SampleAccess;
  messages: readonly ShopMessage[];
  receivers: { shakyUrl: string; rejectingUrl: string };
  onProgress: (sentence: string) => void;
}

/**
 * Fills the sample workspace through the API: a source, the shop's events by Segment's own client, reduced notifications
 * switched on by support, two destinations, three audiences and three computed traits. What is there already is left as it
 * is, so that a start which was interrupted goes on. Returns how many events were sent.
 */
export async function fillSampleWorkspace(options: FillOptions): Promise<number> {
  const { access, onProgress } = options;
  const owner = new ApiClient(options.apiUrl, access.ownerToken);
  const support = new ApiClient(options.apiUrl, access.supportToken);
  const writeKey = await findOrCreateSource(owner, access.spaceId);
  const total = options.messages.length;
  const sent = await sendShop(options.messages, { host: options.apiUrl, writeKey }, (taken) => {
    onProgress(`Events: ${taken} of ${total} sent`);
  });
  onProgress('Events: waiting until all are loaded');
  if (!(await waitUntilLoaded(options.pool, LOAD_TIMEOUT_MS))) {
    throw new Error(`The events were not loaded within ${LOAD_TIMEOUT_MS / 1_000} s; the worker's log says why.`);
  }
  await support.patch('/settings/notifications', {
    reducedNotifications: true,
    reason: 'The sample: alerts about failures that heal by themselves wait for the outcome.',
  });
  const destinations = {
    shaky: await findOrCreateWebhook(owner, access.spaceId, 'Shaky CRM', options.receivers.shakyUrl),
    rejecting: await findOrCreateWebhook(owner, access.spaceId, 'Strict Ads', options.receivers.rejectingUrl),
  };
  onProgress('Audiences and computed traits');
  await createComputations(owner, access.spaceId, destinations);
  return sent;
}

async function findOrCreateSource(owner: ApiClient, spaceId: string): Promise<string> {
  interface Source {
    slug: string;
    writeKeys: string[];
  }
  const { sources } = await owner.get<{ sources: Source[] }>('/sources?pagination[count]=200');
  const known = sources.find((source) => source.slug === 'shop')?.writeKeys[0];
  if (known !== undefined) return known;
  const { source } = await owner.post<{ source: Source }>('/sources', {
    slug: 'shop',
    name: 'Shop (HTTP API)',
    spaceIds: [spaceId],
  });
  const key = source.writeKeys[0];
  if (key === undefined) throw new Error('the new source has no write key');
  return key;
}

async function findOrCreateWebhook(owner: ApiClient, spaceId: string, name: string, url: string): Promise<string> {
  interface Destination {
    id: string;
    name: string;
  }
  const { destinations } = await owner.get<{ destinations: Destination[] }>('/destinations?pagination[count]=200');
  const known = destinations.find((destination) => destination.name === name);
  if (known !== undefined) return known.id;
  const { destination } = await owner.post<{ destination: Destination }>('/destinations', {
    spaceId,
    metadataId: 'webhook',
    name,
    subscriptions: [
      { name: 'Everything', trigger: 'type = "track" or type = "identify"', mapping: { url, batch_size: 200 } },
    ],
  });
  return destination.id;
}

async function createComputations(
  owner: ApiClient,
  spaceId: string,
  destinations: { shaky: string; rejecting: string },
): Promise<void> {
  interface Computation {
    key: string;
  }
  const audiences = await owner.get<{ audiences: Computation[] }>(`/spaces/${spaceId}/audiences?pagination[count]=200`);
  const traits = await owner.get<{ computedTraits: Computation[] }>(
    `/spaces/${spaceId}/computed-traits?pagination[count]=200`,
  );
  const known = new Set([...audiences.audiences, ...traits.computedTraits].map(({ key }) => key));
  for (const computation of SAMPLE_COMPUTATIONS) {
    if (known.has(computation.key)) continue;
    const path = computation.kind === 'audience' ? 'audiences' : 'computed-traits';
    await owner.post(`/spaces/${spaceId}/${path}`, {
      name: computation.name,
      key: computation.key,
      definition: { type: 'USERS', query: computation.query },
      schedule: { intervalSeconds: 3_600 },
      destinations: [
        { destinationId: destinations.shaky },
        ...(computation.toRejecting === true ? [{ destinationId: destinations.rejecting }] : []),
      ],
    });
  }
}
