import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import {
  createComputation,
  deleteComputation,
  fillReferences,
  getComputation,
  updateComputation,
  type ComputationAddress,
  type CreateComputationInput,
} from '../../src/computations/index.ts';
import { inTransaction, type PostgresPool } from '../../src/store/index.ts';
import { createTestPool } from '../helpers/engines.ts';
import { connectWebhook, createWorld, type World } from '../helpers/world.ts';

let pool: PostgresPool;
let stores: Awaited<ReturnType<typeof createTestPool>>;
let world: World;

beforeAll(async () => {
  stores = await createTestPool();
  ({ pool } = stores);
  world = await createWorld(pool);
});
afterAll(async () => await stores.close());

const QUERY = "event('Order Completed').count() >= 2";

async function create(change: Partial<CreateComputationInput> = {}): Promise<ComputationAddress> {
  const input: CreateComputationInput = {
    workspaceId: world.workspaceId,
    spaceId: world.spaceId,
    kind: 'audience',
    name: 'Big spenders',
    definition: { type: 'USERS', query: QUERY },
    schedule: { intervalSeconds: 60 },
    ...change,
  };
  const row = await inTransaction(pool, async (tx) => await createComputation(tx, input, SYSTEM_ACTOR));
  return { workspaceId: row.workspace_id, spaceId: row.space_id, kind: row.kind, id: row.id };
}

async function update(address: ComputationAddress, patch: Parameters<typeof updateComputation>[2]): Promise<void> {
  await inTransaction(pool, async (tx) => await updateComputation(tx, address, patch, SYSTEM_ACTOR));
}

async function remove(address: ComputationAddress): Promise<void> {
  await inTransaction(pool, async (tx) => await deleteComputation(tx, address, SYSTEM_ACTOR));
}

async function eventsOf(id: string): Promise<{ type: string; before: unknown; after: unknown }[]> {
  const { rows } = await pool.query<{ type: string; before: unknown; after: unknown }>(
    'select type, before, after from audit_events where resource_id = $1 order by occurred_at',
    [id],
  );
  return rows;
}

describe('the schedule of a computation', () => {
  const row = async (id: string) => {
    const { rows } = await pool.query<{ slot: number; run: number }>(
      `select extract(epoch from next_slot_at - now())::float8 as slot, extract(epoch from next_run_at - now())::float8 as run
       from computations where id = $1`,
      [id],
    );
    return rows[0] ?? { slot: Number.NaN, run: Number.NaN };
  };
  const shift = async (id: string, seconds: { slot: number; run: number }): Promise<void> => {
    await pool.query(
      `update computations set next_slot_at = now() + $2 * interval '1 s', next_run_at = now() + $3 * interval '1 s' where id = $1`,
      [id, seconds.slot, seconds.run],
    );
  };

  it('is by interval or by cron, and a new one is due at once', async () => {
    const every = await create({ key: 'every', schedule: { intervalSeconds: 600, jitterSeconds: 30 } });
    expect(await getComputation(pool, every)).toMatchObject({
      schedule_interval_seconds: 600,
      schedule_cron: null,
      schedule_time_zone: null,
      schedule_jitter_seconds: 30,
    });
    expect((await row(every.id)).slot).toBeGreaterThan(590);
    expect((await row(every.id)).run).toBeLessThanOrEqual(0);
    const daily = await create({ key: 'daily', schedule: { cron: '0 9 * * *', timeZone: 'europe/berlin' } });
    const view = await getComputation(pool, daily);
    expect(view).toMatchObject({
      schedule_interval_seconds: null,
      schedule_cron: '0 9 * * *',
      schedule_time_zone: 'Europe/Berlin',
      schedule_jitter_seconds: 0,
    });
    const clock = new Intl.DateTimeFormat('en', { timeZone: 'Europe/Berlin', timeStyle: 'medium', hourCycle: 'h23' });
    expect(clock.format(view.next_slot_at)).toBe('09:00:00');
    expect((await row(daily.id)).run).toBeLessThanOrEqual(0);
    await expect(create({ key: 'never', schedule: { cron: '0 0 30 2 *' } })).rejects.toMatchObject({
      kind: 'invalid',
      code: 'schedule_invalid',
      field: 'schedule.cron',
    });
  });

  it('that is changed begins now; one that stays keeps its rhythm', async () => {
    const address = await create({ key: 'changed', schedule: { intervalSeconds: 3_600 } });
    await shift(address.id, { slot: 1_000, run: 1_000 });
    await update(address, { schedule: { intervalSeconds: 3_600 }, name: 'Same' });
    expect((await row(address.id)).run).toBeGreaterThan(990);
    // A longer interval does not take the slot away that there is; a shorter one does not wait for it.
    await update(address, { schedule: { intervalSeconds: 7_200 } });
    expect(Math.round((await row(address.id)).slot / 10)).toBe(100);
    await update(address, { schedule: { intervalSeconds: 60 } });
    expect((await row(address.id)).slot).toBeLessThanOrEqual(60);
    await update(address, { schedule: { cron: '*/5 * * * *' } });
    const view = await getComputation(pool, address);
    expect(view).toMatchObject({
      schedule_interval_seconds: null,
      schedule_cron: '*/5 * * * *',
      schedule_time_zone: 'UTC',
    });
    expect(view.next_slot_at.getTime() % 300_000).toBe(0);
    expect(view.next_run_at).toEqual(view.next_slot_at);
    expect((await eventsOf(address.id)).at(-1)).toMatchObject({
      before: { schedule: { intervalSeconds: 60, jitterSeconds: 0 } },
      after: { schedule: { cron: '*/5 * * * *', timeZone: 'UTC', jitterSeconds: 0 } },
    });
  });

  it('leaves what is due due, whatever is changed', async () => {
    const address = await create({ key: 'still_due', schedule: { intervalSeconds: 3_600 } });
    await shift(address.id, { slot: -50, run: -50 });
    await update(address, { schedule: { intervalSeconds: 60 } });
    expect((await row(address.id)).run).toBeLessThan(-49);
    await update(address, { definition: { type: 'USERS', query: "event('A').count() >= 9" } });
    expect((await row(address.id)).run).toBeLessThan(-49);
  });

  it('owes nothing for the time it was disabled, and keeps its rhythm', async () => {
    const address = await create({ key: 'was_off', schedule: { intervalSeconds: 3_600 } });
    await update(address, { enabled: false });
    await shift(address.id, { slot: -10_000, run: -10_000 });
    await update(address, { enabled: true });
    const { slot, run } = await row(address.id);
    expect(Math.round(slot)).toBe(3 * 3_600 - 10_000);
    expect(run).toBeGreaterThan(-5);
    expect(run).toBeLessThanOrEqual(0);
  });
});

describe('enabling a computation', () => {
  it('starts clean: without its hard failures, the reason, and what the system suspended', async () => {
    const own = await createWorld(pool);
    const address = await create({ ...own, key: 'clean' });
    const { connectionId } = await connectWebhook(pool, own, address.id, 'http://127.0.0.1:9/hook');
    await pool.query(
      `update computations set enabled = false, hard_failures = 3, disabled_reason = 'three in a row' where id = $1`,
      [address.id],
    );
    await pool.query(
      `update connections set hard_failures = 2, suspended_at = now(), suspended_reason = 'two' where id = $1`,
      [connectionId],
    );
    await update(address, { name: 'Still off' });
    expect(await getComputation(pool, address)).toMatchObject({
      hard_failures: 3,
      disabled_reason: 'three in a row',
      connections: [{ suspended_reason: 'two' }],
    });
    await update(address, { enabled: true });
    expect(await getComputation(pool, address)).toMatchObject({
      enabled: true,
      hard_failures: 0,
      disabled_reason: null,
      connections: [{ suspended_at: null, suspended_reason: null }],
    });
    const { rows } = await pool.query('select hard_failures from connections where id = $1', [connectionId]);
    expect(rows).toEqual([{ hard_failures: 0 }]);
  });
});

describe('the guard of an audience', () => {
  it('is half of more than a hundred members where nothing is said; can be set, and off', async () => {
    const address = await create({ key: 'guarded' });
    const guardOf = async () => {
      const { guard_share: share, guard_min_members: minMembers } = await getComputation(pool, address);
      return { share, minMembers };
    };
    expect(await guardOf()).toEqual({ share: 0.5, minMembers: 100 });
    await update(address, { guard: { share: 0.2 } });
    expect(await guardOf()).toEqual({ share: 0.2, minMembers: 100 });
    await update(address, { guard: { minMembers: 0 } });
    expect(await guardOf()).toEqual({ share: 0.2, minMembers: 0 });
    await update(address, { guard: null });
    expect(await guardOf()).toEqual({ share: null, minMembers: 0 });
    expect((await eventsOf(address.id)).at(-1)).toMatchObject({
      type: 'Audience Modified',
      before: { guard: { share: 0.2, minMembers: 0 } },
      after: { guard: { share: null, minMembers: 0 } },
    });
    const off = await create({ key: 'unguarded', guard: null });
    expect((await getComputation(pool, off)).guard_share).toBe(null);
  });

  it.each([
    [{ share: 0 }, 'guard.share'],
    [{ share: 1.01 }, 'guard.share'],
    [{ share: Number.NaN }, 'guard.share'],
    [{ minMembers: -1 }, 'guard.minMembers'],
    [{ minMembers: 1.5 }, 'guard.minMembers'],
    [{ minMembers: 2_147_483_648 }, 'guard.minMembers'],
  ])('is refused as %j', async (guard, field) => {
    await expect(create({ key: 'misguarded', guard })).rejects.toMatchObject({ code: 'guard_invalid', field });
  });

  it('is of computed traits too: of the values that would go', async () => {
    const definition = { type: 'USERS' as const, query: "event('A').count()" };
    const trait = await create({ key: 'guarded_values', kind: 'computed_trait', definition, guard: { share: 0.1 } });
    expect((await getComputation(pool, trait)).guard_share).toBe(0.1);
  });
});

describe('what a definition refers to', () => {
  const refersTo = async (id: string): Promise<string[]> => {
    const { rows } = await pool.query<{ refers_to: string[] }>('select refers_to from computations where id = $1', [
      id,
    ]);
    return rows[0]?.refers_to ?? [];
  };
  const about = (...names: string[]) => ({
    type: 'USERS' as const,
    query: names.map((name) => `trait('${name}') = true`).join(' AND '),
  });

  it('is kept beside it, through edits', async () => {
    const address = await create({ key: 'referring', definition: about('vip', 'address.city') });
    expect(await refersTo(address.id)).toEqual(['vip', 'address']);
    await update(address, { name: 'Renamed' });
    expect(await refersTo(address.id)).toEqual(['vip', 'address']);
    await update(address, { definition: about('other') });
    expect(await refersTo(address.id)).toEqual(['other']);
    await update(address, { definition: { type: 'USERS', query: QUERY } });
    expect(await refersTo(address.id)).toEqual([]);
  });

  it('is filled in for computations of an older version, and nothing else is touched', async () => {
    const old = await create({ key: 'old_referring', definition: about('vip') });
    const deleted = await create({ key: 'old_deleted', definition: about('vip') });
    const word = await create({
      key: 'old_word',
      definition: { type: 'USERS', query: "event('a trait').count() >= 1" },
    });
    const broken = await create({ key: 'old_broken' });
    const current = await create({ key: 'current', definition: about('other') });
    await remove(deleted);
    await pool.query(`update computations set refers_to = '{}' where id = any ($1)`, [[old.id, deleted.id]]);
    await pool.query(`update computations set definition_query = 'trait(' where id = $1`, [broken.id]);
    expect(await fillReferences(pool)).toBe(1);
    expect(await refersTo(old.id)).toEqual(['vip']);
    expect(await refersTo(word.id)).toEqual([]);
    expect(await refersTo(broken.id)).toEqual([]);
    expect(await refersTo(current.id)).toEqual(['other']);
    expect(await fillReferences(pool)).toBe(0);
  });
});
