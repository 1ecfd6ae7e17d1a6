import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { beginAttempt, DEFAULT_BACKOFF, recordFailure } from '../../src/tasks/index.ts';
import { audienceBody, createApiWorld, type ApiWorld } from './api-world.ts';

let world: ApiWorld;

beforeAll(async () => {
  world = await createApiWorld();
});
afterAll(async () => await world.close());

interface Overview {
  audience: { status: string };
  hardFailures: { id: string; truth: { sentence: string; needsAction: boolean } }[];
  runs: {
    attempt: number;
    maxAttempts: number;
    truth: { state: string };
    attempts: { outcome: string; code: string }[];
  }[];
}

/** An audience with a run that has begun. */
async function begin(key: string): Promise<{ path: string; taskId: string }> {
  const made = await world.send('POST', `/spaces/${world.ours.spaceId}/audiences`, {
    token: world.ours.owner,
    body: audienceBody({ key }),
  });
  const { id } = (made.body.data as unknown as { audience: { id: string } }).audience;
  const path = `/spaces/${world.ours.spaceId}/audiences/${id}`;
  const run = await world.send('POST', `${path}/runs`, { token: world.ours.owner });
  const taskId = (run.body.data as unknown as { task: { id: string } }).task.id;
  await beginAttempt(world.pool, taskId);
  return { path, taskId };
}

async function fail(taskId: string, code: 'clickhouse_unavailable' | 'definition_invalid'): Promise<void> {
  await recordFailure(
    world.pool,
    { taskId, attempt: 1, step: 'compute', code, detail: 'an internal detail' },
    { backoff: DEFAULT_BACKOFF, random: () => 0.5 },
  );
}

async function overviewOf(path: string): Promise<Overview> {
  const answer = await world.send('GET', `${path}/overview`, { token: world.ours.member });
  expect(JSON.stringify(answer.body)).not.toContain('an internal detail');
  return answer.body.data as unknown as Overview;
}

async function alertsOf(
  taskId: string,
): Promise<{ kind: string; decision: string; now: { taskStatus: string } | null }[]> {
  const answer = await world.send('GET', `/alerts?taskId=${taskId}`, { token: world.ours.member });
  return (answer.body.data as unknown as { alerts: { kind: string; decision: string; now: { taskStatus: string } }[] })
    .alerts;
}

describe('a failed attempt', () => {
  it('is an alert, an audit event and a run that is tried again: all three agree', async () => {
    const { path, taskId } = await begin('transient');
    await fail(taskId, 'clickhouse_unavailable');
    const overview = await overviewOf(path);
    expect(overview.audience.status).toBe('Backfilling');
    expect(overview.hardFailures).toEqual([]);
    expect(overview.runs).toMatchObject([
      {
        attempt: 1,
        maxAttempts: 6,
        truth: { state: 'retrying', needsAction: false },
        attempts: [{ outcome: 'failed', code: 'clickhouse_unavailable' }],
      },
    ]);
    expect(await alertsOf(taskId)).toMatchObject([
      { kind: 'transient_failure', decision: 'sent', now: { taskStatus: 'backing_off' } },
    ]);
    const trail = await world.send('GET', `/audit-events?type=Audience%20Run%20Failed`, { token: world.ours.owner });
    const { events } = trail.body.data as unknown as { events: { taskId: string; attempt: number; details: object }[] };
    expect(events).toMatchObject([
      { taskId, attempt: 1, outcome: 'failure', details: { maxAttempts: 6, step: 'compute', class: 'transient' } },
    ]);
  });

  it('that can not heal is Failed at once, and stands until a later run makes it good', async () => {
    const { path, taskId } = await begin('hard');
    await fail(taskId, 'definition_invalid');
    const failed = await overviewOf(path);
    expect(failed.audience.status).toBe('Failed');
    expect(failed.hardFailures).toMatchObject([{ id: taskId, truth: { needsAction: true } }]);
    expect((await alertsOf(taskId)).map((alert) => alert.kind)).toContain('hard_failure');

    const again = await world.send('POST', `${path}/runs`, { token: world.ours.owner });
    const laterId = (again.body.data as unknown as { task: { id: string } }).task.id;
    await world.pool.query(`update tasks set status = 'succeeded', ended_at = now() where id = $1`, [laterId]);
    const good = await overviewOf(path);
    expect(good.hardFailures).toEqual([]);
    expect(good.runs.map((run) => run.truth.state)).toEqual(['succeeded', 'resolved_later']);
  });
});
