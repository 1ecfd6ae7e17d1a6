import { Analytics } from '@segment/analytics-node';
import { AudiencesApi, AuditTrailApi } from '@segment/public-api-sdk-typescript/dist/api.js';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiClient } from '../../src/sample/api-client.ts';
import { addressOf } from '../helpers/engines.ts';
import { startProgram, type Program } from '../helpers/program.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { eventually } from '../helpers/world.ts';

let folder: string;
let env: Record<string, string>;
let system: Program;
let receiver: Receiver;
let apiUrl: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trailmark-path-'));
  await chmod(folder, 0o711);
  env = {
    TRAILMARK_DATA: join(folder, 'data'),
    TRAILMARK_CACHE: process.env['TRAILMARK_CACHE'] ?? join(homedir(), '.cache', 'trailmark'),
    TRAILMARK_PORT: '0',
    TRAILMARK_SAMPLE: 'off',
    TRAILMARK_ALLOW_PRIVATE_ADDRESSES: 'on',
    TRAILMARK_SCHEDULER_SECONDS: '1',
    TRAILMARK_BACKOFF_BASE_SECONDS: '0.2',
  };
  receiver = await startReceiver();
  system = await startProgram(['start'], env);
  await system.says('Ctrl-C stops it', 120_000);
  apiUrl = /App and API\s+(http:\S+)/.exec(system.output())?.[1] ?? '';
});
afterAll(async () => {
  if (system?.process.exitCode === null) await system.terminate();
  await receiver?.close();
  await rm(folder, { recursive: true, force: true });
});

test("from Segment's analytics client to a tool, and back through Segment's Public API client", async () => {
  const token = await makeToken('whole-path');
  const api = new ApiClient(apiUrl, token);
  const spaces = await api.get<{ spaces: { id: string }[] }>('/spaces');
  const spaceId = spaces.spaces[0]?.id ?? '';
  const made = await api.post<{ source: { writeKeys: string[] } }>('/sources', {
    slug: 'site',
    spaceIds: [spaceId],
  });

  const analytics = new Analytics({ writeKey: made.source.writeKeys[0] ?? '', host: apiUrl, flushInterval: 50 });
  for (let person = 1; person <= 10; person++) {
    const userId = `person-${person}`;
    analytics.track({
      anonymousId: `visitor-${person}`,
      event: 'Order Completed',
      properties: { total: person * 10.1 },
    });
    analytics.identify({ userId, anonymousId: `visitor-${person}`, traits: { email: `${userId}@example.com` } });
  }
  await analytics.closeAndFlush();

  // The receiver fails once, so that there is a failure and a recovery to tell of.
  let failed = false;
  receiver.behave(() => {
    if (failed) return undefined;
    failed = true;
    return { status: 503 };
  });
  const { destination } = await api.post<{ destination: { id: string } }>('/destinations', {
    spaceId,
    metadataId: 'webhook',
    name: 'Tool',
    subscriptions: [{ trigger: 'type = "track"', mapping: { url: receiver.url } }],
  });
  await waitForProfiles(api, spaceId);
  const created = await api.post<{ audience: { id: string } }>(`/spaces/${spaceId}/audiences`, {
    name: 'Big spenders',
    definition: { type: 'USERS', query: "event('Order Completed').sum(property('total')) > 50.5" },
    schedule: { intervalSeconds: 3_600 },
    destinations: [{ destinationId: destination.id }],
  });
  const overview = await eventually(
    async () => {
      const data = await api.get<Overview>(`/spaces/${spaceId}/audiences/${created.audience.id}/overview`);
      return data.syncs[0]?.status === 'succeeded' ? data : null;
    },
    { what: 'a sync that succeeded', timeoutMs: 60_000 },
  );
  expect(overview.syncs[0]?.attempts.map((attempt) => attempt.outcome)).toEqual(['failed', 'succeeded']);
  // 5 people at 10.1 each are at 50.5 exactly, which is not more.
  const entered = receiver.accepted.filter((message) => message.event === 'Audience Entered');
  expect(new Set(entered.map((message) => message.userId))).toEqual(
    new Set(['person-6', 'person-7', 'person-8', 'person-9', 'person-10']),
  );
  expect(entered).toHaveLength(5);

  const trail = new AuditTrailApi(apiUrl);
  trail.accessToken = token;
  const { body } = await trail.listAuditEvents({ count: 100 });
  const types = (body.data?.events ?? []).map((event) => event.type);
  for (const type of [
    'Source Created',
    'Audience Created',
    'Audience Run Complete',
    'Audience Destination Sync Failed',
    'Audience Destination Sync Recovered',
  ]) {
    expect(types).toContain(type);
  }
  const audiences = new AudiencesApi(apiUrl);
  audiences.accessToken = token;
  const listed = await audiences.listAudiences(spaceId, { count: 10 });
  expect(listed.body.data?.audiences.map((audience) => audience.key)).toEqual(['probe', 'big_spenders']);
});

interface Overview {
  syncs: { status: string; attempts: { outcome: string }[] }[];
}

async function makeToken(workspace: string): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [await addressOf('program'), 'token', '--workspace', workspace, '--name', 'test', '--create'],
    { env: { ...process.env, ...env } },
  );
  return stdout.trim();
}

/** Until an audience of everybody would find all ten people: the events are in the log at once, and loaded in a moment. */
async function waitForProfiles(api: ApiClient, spaceId: string): Promise<void> {
  const { audience } = await api.post<{ audience: { id: string } }>(`/spaces/${spaceId}/audiences`, {
    name: 'Probe',
    definition: { type: 'USERS', query: "trait('email').exists() AND event('Order Completed').count() >= 1" },
    schedule: { intervalSeconds: 10 },
  });
  const path = `/spaces/${spaceId}/audiences/${audience.id}`;
  await eventually(
    async () => {
      const found = await api.get<{ audience: { size: number | null } }>(path);
      return found.audience.size === 10 ? true : null;
    },
    { what: 'ten people', timeoutMs: 60_000 },
  );
  await api.patch(path, { enabled: false });
}
