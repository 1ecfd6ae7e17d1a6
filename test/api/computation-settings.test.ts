import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { beginAttempt } from '../../src/tasks/index.ts';
import { addRun } from '../helpers/world.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { audienceBody, createApiWorld, type Answer, type ApiWorld } from './api-world.ts';

let world: ApiWorld;
let base: string;

beforeAll(async () => {
  world = await createApiWorld();
  base = `/spaces/${world.ours.spaceId}/audiences`;
});
afterAll(async () => await world.close());

interface Computation {
  id: string;
  status: string;
  statusLabel: string;
  disabledReason: string | null;
  schedule: Record<string, unknown>;
  guard: { share: number | null; minMembers: number } | null;
}

const one = (answer: Answer): Computation => (answer.body.data as unknown as { audience: Computation }).audience;

async function create(change: Record<string, unknown> = {}): Promise<Answer> {
  return await world.send('POST', base, { token: world.ours.member, body: audienceBody(change) });
}

async function patch(id: string, body: Record<string, unknown>): Promise<Answer> {
  return await world.send('PATCH', `${base}/${id}`, { token: world.ours.member, body });
}

describe('the schedule of an audience', () => {
  it('is answered whole, whichever of the two it is', async () => {
    const every = one(await create({ key: 'every', schedule: { intervalSeconds: 600, jitterSeconds: 60 } }));
    expect(every.schedule).toMatchObject({ intervalSeconds: 600, cron: null, timeZone: null, jitterSeconds: 60 });
    const changed = one(await patch(every.id, { schedule: { cron: '0 9 * * MON-FRI', timeZone: 'America/New_York' } }));
    expect(changed.schedule).toMatchObject({
      intervalSeconds: null,
      cron: '0 9 * * MON-FRI',
      timeZone: 'America/New_York',
      jitterSeconds: 0,
    });
    const clock = new Intl.DateTimeFormat('en', {
      timeZone: 'America/New_York',
      timeStyle: 'short',
      hourCycle: 'h23',
    });
    expect(clock.format(new Date(String(changed.schedule['nextSlotAt'])))).toBe('09:00');
    expect(one(await create({ key: 'utc', schedule: { cron: '@daily' } })).schedule).toMatchObject({ timeZone: 'UTC' });
  });

  it.each([
    ['both', { intervalSeconds: 60, cron: '* * * * *' }, 'schedule', /not both/],
    ['neither', {}, 'schedule', /either intervalSeconds or cron/],
    ['an interval that is too short', { intervalSeconds: 9 }, 'schedule.intervalSeconds', /At least 10 seconds/],
    ['an interval of no whole seconds', { intervalSeconds: 'hourly' }, 'schedule.intervalSeconds', /whole number/],
    ['a broken expression', { cron: '0 25 * * *' }, 'schedule.cron', /hour: 25.*such as 0 9 \* \* MON-FRI/],
    ['an expression that never comes', { cron: '0 0 30 2 *' }, 'schedule.cron', /never comes/],
    ['an expression that comes too often', { cron: '*/5 * * * * *' }, 'schedule.cron', /5 seconds apart/],
    ['an expression that is too long', { cron: '0,'.repeat(120) }, 'schedule.cron', /at most 200/],
    [
      'a zone that there is not',
      { cron: '0 9 * * *', timeZone: 'Berlin' },
      'schedule.timeZone',
      /perhaps Europe\/Berlin/,
    ],
    ['a zone of an interval', { intervalSeconds: 60, timeZone: 'UTC' }, 'schedule.timeZone', /goes with a cron/],
    [
      'as much jitter as interval',
      { intervalSeconds: 60, jitterSeconds: 60 },
      'schedule.jitterSeconds',
      /less than 60/,
    ],
    ['a field that there is not', { every: '1h' }, 'schedule.every', /./],
  ])('is refused with %s, naming the field and what would be right', async (_what, schedule, field, message) => {
    const created = await create({ key: 'refused', schedule });
    expect(created.status).toBe(400);
    expect(created.body.errors[0]?.field).toBe(field);
    expect(created.body.errors[0]?.message).toMatch(message);
    const { rows } = await world.pool.query(`select from computations where key = 'refused'`);
    expect(rows).toEqual([]);
  });

  it('is in the document as one of the two', async () => {
    const response = await world.app.request('/openapi.json');
    expect(JSON.stringify(await response.json())).toContain(
      '"oneOf":[{"required":["intervalSeconds"]},{"required":["cron"]}]',
    );
  });
});

describe('the guard of an audience', () => {
  it('can be set, and off', async () => {
    const audience = one(await create({ key: 'guarded' }));
    expect(audience.guard).toEqual({ share: 0.5, minMembers: 100 });
    expect(one(await patch(audience.id, { guard: { share: 0.1, minMembers: 10 } })).guard).toEqual({
      share: 0.1,
      minMembers: 10,
    });
    expect(one(await patch(audience.id, { guard: { share: null } })).guard).toEqual({ share: null, minMembers: 10 });
    expect(one(await patch(audience.id, { guard: { share: 1 } })).guard).toEqual({ share: 1, minMembers: 10 });
    expect(one(await patch(audience.id, { guard: null })).guard).toEqual({ share: null, minMembers: 10 });
  });

  it.each([
    [{ share: 0 }, 'guard.share', /More than 0/],
    [{ share: 50 }, 'guard.share', /At most 1/],
    [{ minMembers: -1 }, 'guard.minMembers', /At least 0/],
    [{ limit: 1 }, 'guard.limit', /./],
  ])('is refused as %j', async (guard, field, message) => {
    const answer = await create({ key: 'misguarded', guard });
    expect(answer.status).toBe(400);
    expect(answer.body.errors[0]?.field).toBe(field);
    expect(answer.body.errors[0]?.message).toMatch(message);
  });

  it('guards the values of a computed trait as well', async () => {
    const traits = `/spaces/${world.ours.spaceId}/computed-traits`;
    const body = audienceBody({ key: 'a_trait', definition: { type: 'USERS', query: "event('A').count()" } });
    const made = await world.send('POST', traits, {
      token: world.ours.member,
      body: { ...body, guard: { share: 0.2 } },
    });
    expect(made.body.data).toMatchObject({ computedTrait: { guard: { share: 0.2, minMembers: 100 } } });
  });
});

describe('what people read of an audience', () => {
  it('is Paused, and Awaiting Approval, while the status stays one of Segment’s', async () => {
    const audience = one(await create({ key: 'held_back' }));
    const read = async (): Promise<Computation> =>
      one(await world.send('GET', `${base}/${audience.id}`, { token: world.ours.member }));
    await world.pool.query('update computations set paused_at = now() where id = $1', [audience.id]);
    expect(await read()).toMatchObject({ status: 'Backfilling', statusLabel: 'Paused', pausedAt: expect.any(String) });
    await world.pool.query('update computations set paused_at = null where id = $1', [audience.id]);
    const run = await addRun(world.pool, { ...world.ours, actor: SYSTEM_ACTOR }, audience.id);
    await beginAttempt(world.pool, run);
    await world.pool.query(`update tasks set status = 'awaiting_approval' where id = $1`, [run]);
    expect(await read()).toMatchObject({ status: 'Backfilling', statusLabel: 'Awaiting Approval', pausedAt: null });
  });

  it('says why the system disabled it, and forgets that when it is enabled', async () => {
    const audience = one(await create({ key: 'disabled_by_system' }));
    await world.pool.query(
      `update computations set enabled = false, hard_failures = 3, disabled_reason = 'Three hard failures in a row.' where id = $1`,
      [audience.id],
    );
    const read = one(await world.send('GET', `${base}/${audience.id}`, { token: world.ours.member }));
    expect(read).toMatchObject({ statusLabel: 'Disabled', disabledReason: 'Three hard failures in a row.' });
    expect(one(await patch(audience.id, { enabled: true }))).toMatchObject({
      statusLabel: 'Preparing',
      disabledReason: null,
    });
  });
});

describe('editing a definition while a run of it waits for approval', () => {
  /** A run that the guard stopped, as far as PostgreSQL is concerned. */
  async function addAsking(key: string): Promise<{ id: string; run: string }> {
    const { id } = one(await create({ key }));
    const run = await addRun(world.pool, { ...world.ours, actor: SYSTEM_ACTOR }, id);
    await beginAttempt(world.pool, run);
    await world.pool.query(
      `update steps set completed_at = now(), output = '{"definitionVersion": 1}' where task_id = $1 and name = 'pin'`,
      [run],
    );
    await world.pool.query(`update tasks set status = 'awaiting_approval' where id = $1`, [run]);
    return { id, run };
  }
  async function stateOf(run: string): Promise<unknown> {
    const { rows } = await world.pool.query(
      'select status, cancelled_because, ended_at is not null as ended from tasks where id = $1',
      [run],
    );
    return rows[0];
  }

  it('ends that run as superseded, and the new definition is due', async () => {
    const { id, run } = await addAsking('superseded');
    expect((await patch(id, { name: 'Another name' })).status).toBe(200);
    expect(await stateOf(run)).toMatchObject({ status: 'awaiting_approval' });
    const definition = { type: 'USERS', query: "event('Order Completed').count() >= 5" };
    expect((await patch(id, { definition })).status).toBe(200);
    expect(await stateOf(run)).toEqual({ status: 'cancelled', cancelled_because: 'superseded', ended: true });
    expect(world.woken.filter((woken) => woken === run)).toEqual([run]);
    const { rows } = await world.pool.query(
      `select actor_kind, details->>'because' as because from audit_events where task_id = $1 and type = 'Audience Run Cancelled'`,
      [run],
    );
    expect(rows).toEqual([{ actor_kind: 'token', because: 'superseded' }]);
    const due = await world.pool.query('select next_run_at <= now() as due from computations where id = $1', [id]);
    expect(due.rows).toEqual([{ due: true }]);
  });

  it('leaves a run alone that is under way, and all of them where the edit is refused', async () => {
    const { id, run } = await addAsking('left_alone');
    expect((await patch(id, { definition: { type: 'USERS', query: 'event(' } })).status).toBe(400);
    expect(await stateOf(run)).toMatchObject({ status: 'awaiting_approval' });
    await world.pool.query(`update tasks set status = 'running' where id = $1`, [run]);
    const definition = { type: 'USERS', query: "event('Order Completed').count() >= 6" };
    expect((await patch(id, { definition })).status).toBe(200);
    expect(await stateOf(run)).toMatchObject({ status: 'running', ended: false });
  });
});
