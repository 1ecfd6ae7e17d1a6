import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectComputation } from '../../src/connections/index.ts';
import { createDestination } from '../../src/destinations/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { findPlanted, PLANTED } from '../api/planted.ts';
import { createTestStores } from '../helpers/engines.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';
import { startTestWorker, type TestWorker } from '../helpers/worker.ts';
import {
  addAudience,
  addPeople,
  addRun,
  connectWebhook,
  createWorld,
  destinationDeps,
  eventually,
  readTaskRows,
  type World,
} from '../helpers/world.ts';

type Stores = Awaited<ReturnType<typeof createTestStores>>;

let stores: Stores;
let worker: TestWorker;
let receiver: Receiver;

beforeAll(async () => {
  stores = await createTestStores();
  worker = await startTestWorker({ ...stores, taskQueue: 'execute-task' });
  receiver = await startReceiver();
});
afterAll(async () => {
  await worker?.close();
  await receiver?.close();
  await stores?.close();
});

async function syncOf(runId: string): Promise<string> {
  return await eventually(
    async () => {
      const { rows } = await stores.pool.query<{ id: string }>('select id from tasks where parent_task_id = $1', [
        runId,
      ]);
      return rows[0]?.id;
    },
    { what: 'a sync of the run' },
  );
}

async function outcomeOf(taskId: string) {
  return await eventually(
    async () => {
      const task = await readTaskRows(stores.pool, taskId);
      return ['succeeded', 'failed', 'cancelled'].includes(task.status) ? task : null;
    },
    { what: `an outcome of ${taskId}`, timeoutMs: 60_000 },
  );
}

async function trail(world: World, taskId: string) {
  const { rows } = await stores.pool.query<{ type: string; attempt: number; details: Record<string, unknown> }>(
    'select type, attempt, details from audit_events where workspace_id = $1 and task_id = $2 order by id',
    [world.workspaceId, taskId],
  );
  return rows;
}

describe('a run and its sync', () => {
  test('the members go out once, and again only the difference', async () => {
    receiver.behave(() => undefined);
    const world = await createWorld(stores.pool);
    await addPeople(stores.clickhouse, world, 25);
    const audience = await addAudience(stores.pool, world, "event('Visited').where(property('n') <= 20).count() >= 1");
    await connectWebhook(stores.pool, world, audience, `${receiver.url}/first`);

    const run = await addRun(stores.pool, world, audience);
    expect(await worker.execute(run, 'run')).toBe('succeeded');
    const ran = await readTaskRows(stores.pool, run);
    expect(ran.result).toMatchObject({ members: 20, entered: 20, exited: 0 });
    expect(ran.steps.map((step) => [step.name, step.executions])).toEqual([
      ['pin', 1],
      ['compute', 1],
      ['diff', 1],
      ['guard', 1],
      ['commit', 1],
      ['fan_out', 1],
    ]);
    const synced = await outcomeOf(await syncOf(run));
    expect(synced.result).toMatchObject({ changes: 20, delivered: 20, rejected: 0, skipped: 0 });
    const first = receiver.accepted.filter((message) => message.event === 'Audience Entered');
    expect(new Set(first.map((message) => message.userId)).size).toBe(20);

    await stores.clickhouse.command({
      query: `INSERT INTO events (space_id, type, event, profile, timestamp, received_at, source_id, message_id, properties, context)
              SELECT space_id, type, event, profile, now64(3), received_at, source_id,
                concat('late-', message_id), '{"n":1}', context FROM events
              WHERE space_id = {space:String} AND profile = 25`,
      query_params: { space: world.spaceId },
    });
    const before = receiver.accepted.length;
    const again = await addRun(stores.pool, world, audience);
    expect(await worker.execute(again, 'run')).toBe('succeeded');
    const difference = await outcomeOf(await syncOf(again));
    expect(difference.result).toMatchObject({ changes: 1, delivered: 1 });
    expect(receiver.accepted.slice(before).map((message) => [message.event, message.userId])).toEqual([
      ['Audience Entered', 'user-25'],
    ]);
    expect((await trail(world, run)).map((event) => event.type)).toEqual(['Audience Run Complete']);
  });

  test('a computed trait delivers its values', async () => {
    const world = await createWorld(stores.pool);
    await addPeople(stores.clickhouse, world, 5);
    const trait = await addAudience(stores.pool, world, "event('Visited').sum(property('n'))", {
      kind: 'computed_trait',
      key: 'total_n',
    });
    await connectWebhook(stores.pool, world, trait, `${receiver.url}/trait`);
    const run = await addRun(stores.pool, world, trait);
    expect(await worker.execute(run, 'run')).toBe('succeeded');
    await outcomeOf(await syncOf(run));
    const values = receiver.requests
      .filter((request) => request.path === '/trait')
      .flatMap((request) => request.messages)
      .map((message) => [message.userId, (message['properties'] as Record<string, unknown>)['total_n']]);
    expect(Object.fromEntries(values)).toEqual({ 'user-1': 1, 'user-2': 2, 'user-3': 3, 'user-4': 4, 'user-5': 5 });
    expect(values).toHaveLength(5);
  });
});

describe('failures', () => {
  test('a transient failure is retried at its batch, and the trail tells failure and recovery', async () => {
    const world = await createWorld(stores.pool);
    await addPeople(stores.clickhouse, world, 30);
    const audience = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
    await connectWebhook(stores.pool, world, audience, `${receiver.url}/shaky`, 10);
    let refused = 0;
    receiver.behave((request) =>
      request.path === '/shaky' && request.messages.some((m) => m.userId === 'user-15') && refused++ < 2
        ? { status: 503 }
        : undefined,
    );
    const run = await addRun(stores.pool, world, audience);
    await worker.execute(run, 'run');
    const syncId = await syncOf(run);
    const sync = await outcomeOf(syncId);
    expect(sync.status).toBe('succeeded');
    expect(
      sync.attempts.map(({ attempt, outcome, step, code, failure_class }) => [
        attempt,
        outcome,
        step,
        code,
        failure_class,
      ]),
    ).toEqual([
      [1, 'failed', 'deliver', 'destination_unavailable', 'transient'],
      [2, 'failed', 'deliver', 'destination_unavailable', 'transient'],
      [3, 'succeeded', null, null, null],
    ]);
    expect(sync.steps.map((step) => [step.name, step.executions])).toEqual([
      ['prepare', 1],
      ['extract', 1],
      ['deliver', 3],
      ['reconcile', 1],
      ['finish', 1],
    ]);
    const sent = receiver.requests
      .filter((request) => request.path === '/shaky')
      .flatMap((request) => request.messages);
    const first = sent.filter((message) => message.userId === 'user-1');
    expect(first, 'a batch that was acknowledged is not sent again').toHaveLength(1);
    const shaky = sent.filter((message) => message.userId === 'user-15');
    expect(shaky).toHaveLength(3);
    expect(new Set(shaky.map((message) => message.messageId)).size).toBe(1);
    const events = await trail(world, syncId);
    expect(events.map((event) => [event.type, event.attempt])).toEqual([
      ['Audience Destination Sync Failed', 1],
      ['Audience Destination Sync Failed', 2],
      ['Audience Destination Sync Recovered', 3],
    ]);
    expect(events[0]?.details).toMatchObject({
      attempt: 1,
      maxAttempts: 6,
      step: 'deliver',
      code: 'destination_unavailable',
      class: 'transient',
    });
  });

  test('six attempts and no seventh, then one hard failure', async () => {
    const world = await createWorld(stores.pool);
    await addPeople(stores.clickhouse, world, 3);
    const audience = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
    await connectWebhook(stores.pool, world, audience, `${receiver.url}/down`);
    receiver.behave((request) => (request.path === '/down' ? { status: 500 } : undefined));
    const run = await addRun(stores.pool, world, audience);
    await worker.execute(run, 'run');
    const syncId = await syncOf(run);
    const sync = await outcomeOf(syncId);
    expect(sync.status).toBe('failed');
    await worker.client.workflow.getHandle(`task/${syncId}`).result();
    expect(receiver.requests.filter((request) => request.path === '/down')).toHaveLength(6);
    expect(sync.attempts.map((attempt) => attempt.failure_class)).toEqual([
      'transient',
      'transient',
      'transient',
      'transient',
      'transient',
      'hard',
    ]);
    expect((await trail(world, syncId)).map((event) => event.type)).toEqual([
      ...Array.from({ length: 6 }, () => 'Audience Destination Sync Failed'),
      'Audience Destination Sync Hard Failure',
    ]);
    const { rows } = await stores.pool.query('select kind, decision from alerts where task_id = $1 order by id', [
      syncId,
    ]);
    expect(rows).toEqual([
      ...Array.from({ length: 5 }, () => ({ kind: 'transient_failure', decision: 'sent' })),
      { kind: 'hard_failure', decision: 'sent' },
    ]);
  });

  test('rejected credentials are hard at once', async () => {
    const world = await createWorld(stores.pool);
    await addPeople(stores.clickhouse, world, 3);
    const audience = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
    await connectWebhook(stores.pool, world, audience, `${receiver.url}/closed`);
    receiver.behave((request) => (request.path === '/closed' ? { status: 401 } : undefined));
    const run = await addRun(stores.pool, world, audience);
    await worker.execute(run, 'run');
    const sync = await outcomeOf(await syncOf(run));
    expect(sync.attempts).toHaveLength(1);
    expect(sync.attempts[0]).toMatchObject({ code: 'destination_credentials_rejected', failure_class: 'hard' });
  });

  test('what is rejected does not advance the baseline: the next sync tries just that', async () => {
    const world = await createWorld(stores.pool);
    await addPeople(stores.clickhouse, world, 12);
    const audience = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
    const { connectionId } = await connectWebhook(stores.pool, world, audience, `${receiver.url}/picky`, 10);
    receiver.behave((request) =>
      request.path === '/picky' && request.messages.some((message) => message.userId === 'user-7')
        ? { status: 400 }
        : undefined,
    );
    const run = await addRun(stores.pool, world, audience);
    await worker.execute(run, 'run');
    const syncId = await syncOf(run);
    const sync = await outcomeOf(syncId);
    expect(sync.result).toMatchObject({ changes: 12, delivered: 11, rejected: 1, skipped: 0 });
    const rejected = await stores.pool.query('select profile, status from rejected_rows where task_id = $1', [syncId]);
    expect(rejected.rows).toEqual([{ profile: 7, status: 400 }]);
    const baseline = await stores.clickhouse.query({
      query:
        'SELECT count() AS n FROM (SELECT profile FROM baselines WHERE connection_id = {id:String} GROUP BY profile)',
      query_params: { id: connectionId },
      format: 'JSONEachRow',
    });
    expect(await baseline.json()).toEqual([{ n: 11 }]);

    const stillBad = await addRun(stores.pool, world, audience);
    await worker.execute(stillBad, 'run');
    const alone = await outcomeOf(await syncOf(stillBad));
    expect(alone.status, 'one bad row alone is a rejected row, not a failure').toBe('succeeded');
    expect(alone.result).toMatchObject({ changes: 1, delivered: 0, rejected: 1 });

    receiver.behave(() => undefined);
    const again = await addRun(stores.pool, world, audience);
    await worker.execute(again, 'run');
    expect((await outcomeOf(await syncOf(again))).result).toMatchObject({ changes: 1, delivered: 1 });
  });

  test('a first sync of which everything is rejected is a hard failure', async () => {
    const world = await createWorld(stores.pool);
    await addPeople(stores.clickhouse, world, 3);
    const audience = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
    await connectWebhook(stores.pool, world, audience, `${receiver.url}/never`);
    receiver.behave((request) => (request.path === '/never' ? { status: 400 } : undefined));
    const run = await addRun(stores.pool, world, audience);
    await worker.execute(run, 'run');
    const sync = await outcomeOf(await syncOf(run));
    expect(sync.status).toBe('failed');
    expect(sync.attempts).toHaveLength(1);
    expect(sync.attempts[0]).toMatchObject({
      step: 'reconcile',
      code: 'destination_rejected_all',
      failure_class: 'hard',
    });
  });

  test('being asked to slow down is waited out and costs no attempt', async () => {
    const world = await createWorld(stores.pool);
    await addPeople(stores.clickhouse, world, 3);
    const audience = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
    await connectWebhook(stores.pool, world, audience, `${receiver.url}/busy`);
    let asked = 0;
    receiver.behave((request) =>
      request.path === '/busy' && asked++ < 2 ? { status: 429, headers: { 'retry-after': '1' } } : undefined,
    );
    const run = await addRun(stores.pool, world, audience);
    await worker.execute(run, 'run');
    const sync = await outcomeOf(await syncOf(run));
    expect(sync.status).toBe('succeeded');
    expect(sync.attempts).toHaveLength(1);
  });
});

describe('a tool that repeats the secrets it was sent, at every step and attempt,', () => {
  /** Connects the audience to a destination with secrets wherever there can be some. */
  async function connectPlanted(world: World, computationId: string): Promise<void> {
    await inTransaction(stores.pool, async (tx) => {
      const { id: destinationId } = await createDestination(tx, destinationDeps, {
        ...world,
        slug: 'webhook-audiences',
        name: 'Planted',
        settings: { sharedSecret: PLANTED.shared, createAudienceUrl: `${receiver.url}/${PLANTED.createUrl}` },
        subscriptions: [
          {
            trigger: 'type = "track"',
            mapping: {
              url: `${receiver.url}/hooks/${PLANTED.path}?token=${PLANTED.query}`,
              headers: { Authorization: `Bearer ${PLANTED.authorization}`, 'X-Tenant': PLANTED.tenant },
            },
          },
        ],
      });
      const audienceSettings = { extras: JSON.stringify({ token: PLANTED.audience }) };
      await connectComputation(tx, destinationDeps, { ...world, computationId, destinationId, audienceSettings });
    });
  }

  test('finds none of them kept by Temporal', async () => {
    const world = await createWorld(stores.pool);
    await addPeople(stores.clickhouse, world, 3);
    const audience = await addAudience(stores.pool, world, "event('Visited').count() >= 1");
    await connectPlanted(world, audience);
    const asked = { create: 0, send: 0 };
    receiver.behave(({ path, headers, body }) => {
      const echo = {
        body: JSON.stringify({ path, headers, body }),
        headers: { 'x-echo': headers['authorization'] ?? '' },
      };
      if (!path.includes(PLANTED.createUrl)) return { ...echo, status: asked.send++ === 0 ? 500 : 400 };
      return asked.create++ === 0 ? { ...echo, status: 503 } : { body: '{"externalId":"ext"}' };
    });
    const run = await addRun(stores.pool, world, audience);
    expect(await worker.execute(run, 'run')).toBe('succeeded');
    const sync = await outcomeOf(await syncOf(run));
    expect(sync.attempts.map(({ step, code }) => [step, code])).toEqual([
      ['prepare', 'destination_unavailable'],
      ['deliver', 'destination_unavailable'],
      [expect.any(String), 'destination_rejected_all'],
    ]);
    const sent = JSON.stringify(receiver.requests.filter(({ path }) => findPlanted(path).length > 0));
    expect(findPlanted(sent)).toEqual(
      expect.arrayContaining([PLANTED.authorization, PLANTED.path, PLANTED.createUrl, PLANTED.audience]),
    );

    const { rows } = await stores.pool.query<{ id: string }>('select id from tasks where workspace_id = $1', [
      world.workspaceId,
    ]);
    expect(rows).toHaveLength(2);
    for (const { id } of rows) {
      const handle = worker.client.workflow.getHandle(`task/${id}`);
      const history = await handle.fetchHistory();
      // Search attributes, memo and whatever else is said of it without its history.
      const kept = asText([history, (await handle.describe()).raw]);
      expect(kept).toContain(id);
      expect(findPlanted(kept)).toEqual([]);
    }
  });

  /** A value of Temporal's as text, with the bytes of its payloads readable. */
  function asText(value: unknown): string {
    return JSON.stringify(value, (_, part: unknown) => {
      if (part instanceof Uint8Array) return Buffer.from(part).toString('latin1');
      const bytes = part as { type?: string; data?: number[] } | null;
      return bytes?.type === 'Buffer' ? Buffer.from(bytes.data ?? []).toString('latin1') : part;
    });
  }
});
