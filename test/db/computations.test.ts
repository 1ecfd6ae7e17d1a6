import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import {
  computationStatus,
  createComputation,
  deleteComputation,
  getComputation,
  listComputations,
  updateComputation,
  type ComputationAddress,
  type CreateComputationInput,
} from '../../src/computations/index.ts';
import { inTransaction, type PostgresPool } from '../../src/store/index.ts';
import { beginAttempt, readOverview } from '../../src/tasks/index.ts';
import { createTestPool } from '../helpers/engines.ts';
import { addRun, connectWebhook, createWorld, type World } from '../helpers/world.ts';

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

describe('a computation', () => {
  it('gets its key from its name, and refuses the same key of the other kind', async () => {
    const address = await create({ name: 'Größte Käufer (30 days)!' });
    const view = await getComputation(pool, address);
    expect(view.key).toBe('gro_te_kaufer_30_days');
    await expect(
      create({ key: view.key, kind: 'computed_trait', definition: { type: 'USERS', query: "event('A').count()" } }),
    ).rejects.toMatchObject({
      kind: 'conflict',
      code: 'key_taken',
      field: 'key',
    });
    await remove(address);
    await remove(await create({ key: view.key }));
  });

  it.each(['Big', '1st', 'a-b', '', 'a'.repeat(101)])('refuses the key %j', async (key) => {
    await expect(create({ key })).rejects.toMatchObject({ kind: 'invalid', code: 'key_invalid', field: 'key' });
  });

  it('refuses a definition that does not parse, saying where', async () => {
    await expect(
      create({ key: 'broken', definition: { type: 'USERS', query: "event('A').count() >= " } }),
    ).rejects.toMatchObject({
      code: 'definition_invalid',
      field: 'definition.query',
      data: { offset: 22, line: 1, column: 23 },
    });
    // Of the wrong kind: a number is a trait, and no audience.
    await expect(
      create({ key: 'broken', definition: { type: 'USERS', query: "event('A').count()" } }),
    ).rejects.toMatchObject({
      code: 'definition_invalid',
    });
  });

  it('is not of another workspace, space or kind', async () => {
    const address = await create({ key: 'scoped' });
    const other = await createWorld(pool);
    for (const wrong of [
      { ...address, workspaceId: other.workspaceId },
      { ...address, spaceId: other.spaceId },
      { ...address, kind: 'computed_trait' as const },
    ]) {
      await expect(getComputation(pool, wrong)).rejects.toMatchObject({ kind: 'not_found' });
      await expect(update(wrong, { name: 'Mine' })).rejects.toMatchObject({ kind: 'not_found' });
      await expect(remove(wrong)).rejects.toMatchObject({ kind: 'not_found' });
    }
    await expect(create({ workspaceId: other.workspaceId, key: 'elsewhere' })).rejects.toMatchObject({
      code: 'space_not_found',
    });
  });

  it('is due at once when its definition changes and when it is enabled, and audited as what it is', async () => {
    const address = await create({ key: 'edited' });
    const later = async (): Promise<void> => {
      await pool.query(`update computations set next_run_at = now() + interval '1 hour' where id = $1`, [address.id]);
    };
    const dueInSeconds = async (): Promise<number> => {
      const view = await getComputation(pool, address);
      return (view.next_run_at.getTime() - Date.now()) / 1_000;
    };
    await later();
    await update(address, { name: 'Renamed' });
    // The schedule is every minute, so an hour from now was too late already.
    expect(await dueInSeconds()).toBeGreaterThan(50);
    await update(address, { definition: { type: 'USERS', query: "event('Order Completed').count() >= 3" } });
    expect(await dueInSeconds()).toBeLessThan(5);
    expect((await getComputation(pool, address)).definition_version).toBe(2);
    await later();
    await update(address, { enabled: false });
    await update(address, { enabled: false });
    expect(await dueInSeconds()).toBeGreaterThan(50);
    await update(address, { enabled: true });
    expect(await dueInSeconds()).toBeLessThan(5);

    const events = await eventsOf(address.id);
    expect(events.map((event) => event.type)).toEqual([
      'Audience Created',
      'Audience Modified',
      'Audience Modified',
      'Audience Disabled',
      'Audience Enabled',
    ]);
    expect(events[2]).toMatchObject({
      before: { definition: { query: QUERY, version: 1 } },
      after: { definition: { query: "event('Order Completed').count() >= 3", version: 2 } },
    });
  });

  it('refuses to refer back to itself, also through others, and to go while others refer to it', async () => {
    const definition = (key: string) => ({ type: 'USERS' as const, query: `trait('${key}') = true` });
    const first = await create({ key: 'first' });
    const second = await create({ key: 'second', definition: definition('first') });
    const third = await create({ key: 'third', definition: definition('second') });
    await expect(update(first, { definition: definition('first') })).rejects.toMatchObject({
      code: 'definition_cycle',
    });
    await expect(update(first, { definition: definition('third') })).rejects.toMatchObject({
      code: 'definition_cycle',
      data: { cycle: ['first', 'third', 'second', 'first'] },
    });
    await expect(remove(second)).rejects.toMatchObject({
      code: 'computation_referred_to',
      data: { referrers: ['third'] },
    });
    await remove(third);
    await remove(second);
    expect((await eventsOf(second.id)).at(-1)).toMatchObject({
      type: 'Audience Deleted',
      before: { key: 'second' },
      after: null,
    });
  });

  it('two edits at once can not close a cycle together', async () => {
    const query = (key: string) => ({ definition: { type: 'USERS' as const, query: `trait('${key}') = true` } });
    const left = await create({ key: 'left' });
    const right = await create({ key: 'right' });
    const results = await Promise.allSettled([update(left, query('right')), update(right, query('left'))]);
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('is listed page by page, each once', async () => {
    const other = await createWorld(pool);
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1) {
      const { id } = await create({ workspaceId: other.workspaceId, spaceId: other.spaceId, key: `page_${index}` });
      ids.push(id);
    }
    const seen: string[] = [];
    let afterId: string | null | undefined;
    do {
      const page = await listComputations(pool, {
        workspaceId: other.workspaceId,
        spaceId: other.spaceId,
        kind: 'audience',
        afterId: afterId ?? undefined,
        limit: 2,
      });
      expect(page.total).toBe(5);
      seen.push(...page.rows.map((row) => row.id));
      afterId = page.nextAfterId;
    } while (afterId !== null);
    expect(seen).toEqual([...ids].sort());
  });
});

describe('the status of a computation', () => {
  it('follows its runs and syncs', async () => {
    const own = await createWorld(pool);
    const address = await create({ workspaceId: own.workspaceId, spaceId: own.spaceId, key: 'followed' });
    const status = async () => computationStatus(await getComputation(pool, address));
    expect(await status()).toBe('Backfilling');

    const taskId = await addRun(pool, own, address.id);
    expect((await getComputation(pool, address)).run_in_progress).toBe(false);
    await beginAttempt(pool, taskId);
    expect((await getComputation(pool, address)).run_in_progress).toBe(true);

    await pool.query(`update tasks set status = 'failed', ended_at = now() where id = $1`, [taskId]);
    expect(await status()).toBe('Failed');

    const secondId = await addRun(pool, own, address.id);
    await pool.query(`update tasks set status = 'succeeded', ended_at = now() where id = $1`, [secondId]);
    await pool.query(
      `update computations set live_version = 9, live_definition_version = 1, live_size = 4, live_as_of = now() where id = $1`,
      [address.id],
    );
    expect(await status()).toBe('Live');

    const { connectionId, destinationId } = await connectWebhook(pool, own, address.id, 'http://127.0.0.1:9/hook');
    expect(await status()).toBe('Awaiting Destinations');
    await pool.query('update connections set synced_version = 8 where id = $1', [connectionId]);
    expect(await status()).toBe('Awaiting Destinations');
    await pool.query('update destinations set enabled = false where id = $1', [destinationId]);
    expect(await status()).toBe('Live');
    await pool.query('update destinations set enabled = true where id = $1', [destinationId]);
    await pool.query('update connections set synced_version = 9, synced_at = now() where id = $1', [connectionId]);
    expect(await status()).toBe('Live');
    expect((await getComputation(pool, address)).connections).toMatchObject([
      { id: connectionId, destination_id: destinationId, synced_version: 9 },
    ]);

    await addRun(pool, own, address.id).then(async (id) => await beginAttempt(pool, id));
    expect(await status()).toBe('Computing');
    await update(address, { definition: { type: 'USERS', query: "event('A').count() >= 1" } });
    expect(await status()).toBe('Backfilling');
    await update(address, { enabled: false });
    expect(await status()).toBe('Disabled');

    const overview = await readOverview(pool, { workspaceId: own.workspaceId, computationId: address.id, limit: 10 });
    // The failed run is not the latest outcome any more, and what made it good is said of it.
    expect(overview.hardFailures).toEqual([]);
    expect(overview.runs.map((run) => run.truth.state)).toEqual(['running', 'succeeded', 'resolved_later']);
    expect(overview.runs[0]?.steps.map((step) => step.name)).toEqual([
      'pin',
      'compute',
      'diff',
      'guard',
      'commit',
      'fan_out',
    ]);
  });
});
