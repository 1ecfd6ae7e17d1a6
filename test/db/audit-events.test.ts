import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWorkspace } from '../../src/access/index.ts';
import {
  listAuditEvents,
  readAuditTrail,
  recordAuditEvent,
  SYSTEM_ACTOR,
  type Actor,
  type AuditEventInput,
} from '../../src/audit/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createTestPool } from '../helpers/engines.ts';

const ANN: Actor = { kind: 'user', id: 'usr_ann', name: 'Ann', email: 'ann@example.com' };
const TOKEN: Actor = { kind: 'token', id: 'tok_ci', name: 'CI' };

let db: Awaited<ReturnType<typeof createTestPool>>;
let workspaces = 0;

beforeAll(async () => {
  db = await createTestPool();
});
afterAll(async () => {
  await db.close();
});

/** A workspace with no event but its creation. */
async function newWorkspace(): Promise<string> {
  workspaces += 1;
  const workspace = await inTransaction(db.pool, (tx) =>
    createWorkspace(tx, { slug: `audit-${workspaces}`, name: 'Shop', plan: 'business', actor: SYSTEM_ACTOR }),
  );
  return workspace.id;
}

function event(workspaceId: string, input: Partial<AuditEventInput> = {}): AuditEventInput {
  return {
    workspaceId,
    type: 'Source Created',
    actor: ANN,
    resource: { type: 'source', id: 'src_web', name: 'Web' },
    ...input,
  };
}

describe('recordAuditEvent', () => {
  test('keeps before and after as given, lists and nested nulls too', async () => {
    const workspaceId = await newWorkspace();
    const before = { tags: ['a', 'b'], limit: null, nested: { on: true } };
    await recordAuditEvent(db.pool, event(workspaceId, { before, after: ['x', 1, null], details: { n: 1 } }));
    const { events } = await listAuditEvents(db.pool, { workspaceId, count: 1 });
    expect(events[0]).toMatchObject({
      type: 'Source Created',
      actor: 'usr_ann',
      actorEmail: 'ann@example.com',
      actorKind: 'user',
      resourceId: 'src_web',
      resourceType: 'source',
      resourceName: 'Web',
      outcome: 'success',
      before,
      after: ['x', 1, null],
      details: { n: 1 },
      taskId: null,
      attempt: null,
    });
    expect(events[0]?.timestamp).toMatch(/^\d{4}-\d\d-\d\dT.+Z$/);
  });

  test('goes with the change that it tells of: rolled back, it is not there', async () => {
    const workspaceId = await newWorkspace();
    await expect(
      inTransaction(db.pool, async (tx) => {
        await recordAuditEvent(tx, event(workspaceId));
        throw new Error('the change failed');
      }),
    ).rejects.toThrow('the change failed');
    const { events } = await listAuditEvents(db.pool, { workspaceId, type: 'Source Created', count: 10 });
    expect(events).toEqual([]);
  });

  test.each([
    ['update', `update audit_events set actor_name = 'nobody'`],
    ['delete', 'delete from audit_events'],
    ['truncate', 'truncate audit_events cascade'],
  ])('the trail is append-only: %s is refused, also for the owner of the table', async (_, sql) => {
    const workspaceId = await newWorkspace();
    await expect(db.pool.query(sql)).rejects.toThrow(/append-only/);
    expect((await listAuditEvents(db.pool, { workspaceId, count: 10 })).events).toHaveLength(1);
  });

  test('a workspace with a trail cannot be deleted', async () => {
    const workspaceId = await newWorkspace();
    await expect(db.pool.query('delete from workspaces where id = $1', [workspaceId])).rejects.toMatchObject({
      code: expect.stringMatching(/^23/) as string,
    });
  });
});

describe('listAuditEvents', () => {
  test('newest first, page by page, with none missing or twice where microseconds differ or are equal', async () => {
    const workspaceId = await newWorkspace();
    // One statement for many rows, so that several fall into one millisecond; half of them into one microsecond.
    await db.pool.query(
      `insert into audit_events (id, workspace_id, type, actor_kind, actor_id, actor_name, resource_type, resource_id, resource_name, occurred_at)
       select 'evt_' || lpad(n::text, 26, '0'), $1, 'Source Modified', 'user', 'usr_ann', 'Ann', 'source', 'src_web', 'Web',
              timestamptz '2026-01-01 00:00:00.123456Z' + (n / 2) * interval '1 microsecond'
       from generate_series(1, 50) n`,
      [workspaceId],
    );
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await listAuditEvents(db.pool, { workspaceId, type: 'Source Modified', count: 7, cursor });
      seen.push(...page.events.map((found) => found.id));
      cursor = page.pagination.next;
      if (cursor !== undefined) {
        const next = await listAuditEvents(db.pool, { workspaceId, type: 'Source Modified', count: 7, cursor });
        const back = await listAuditEvents(db.pool, {
          workspaceId,
          type: 'Source Modified',
          count: 7,
          cursor: next.pagination.previous,
        });
        expect(back.events).toEqual(page.events);
      }
    } while (cursor !== undefined);
    expect(seen).toEqual(Array.from({ length: 50 }, (_, n) => `evt_${String(50 - n).padStart(26, '0')}`));
  });

  test('filters by resource, type or alias, actor id or email, and time, alone and together', async () => {
    const workspaceId = await newWorkspace();
    const disabled = await recordAuditEvent(
      db.pool,
      event(workspaceId, { type: 'Destination Disabled', resource: { type: 'destination', id: 'dst_1', name: 'CRM' } }),
    );
    const created = await recordAuditEvent(db.pool, event(workspaceId, { actor: TOKEN }));
    const ids = async (query: Partial<Parameters<typeof listAuditEvents>[1]>) =>
      (await listAuditEvents(db.pool, { workspaceId, count: 100, ...query })).events.map((found) => found.id);

    expect(await ids({ resourceId: 'dst_1' })).toEqual([disabled.id]);
    expect(await ids({ resourceType: 'source' })).toEqual([created.id]);
    expect(await ids({ type: 'Integrations Disabled' })).toEqual([disabled.id]);
    expect(await ids({ actor: 'tok_ci' })).toEqual([created.id]);
    expect(await ids({ actor: 'token/tok_ci' })).toEqual([created.id]);
    expect(await ids({ actor: 'Ann@Example.com' })).toEqual([disabled.id]);
    expect(await ids({ actor: 'ann@example.com', resourceType: 'source' })).toEqual([]);
    expect(await ids({ startTime: disabled.occurred_at, actor: 'ann@example.com' })).toEqual([disabled.id]);
    expect(await ids({ endTime: disabled.occurred_at, resourceId: 'dst_1' })).toEqual([]);
    expect(await ids({ endTime: new Date(created.occurred_at.getTime() + 1), resourceId: 'src_web' })).toEqual([
      created.id,
    ]);
  });

  test("shows nothing of another workspace, not even with that one's cursor", async () => {
    const [mine, theirs] = [await newWorkspace(), await newWorkspace()];
    for (let n = 0; n < 3; n++) await recordAuditEvent(db.pool, event(theirs));
    const page = await listAuditEvents(db.pool, { workspaceId: theirs, count: 1 });
    const stolen = await listAuditEvents(db.pool, { workspaceId: mine, count: 10, cursor: page.pagination.next });
    expect(stolen.events.every((found) => found.resourceId === mine)).toBe(true);
  });

  test.each([
    [{ type: 'Source Exploded' }, 'event_type_unknown', 'type'],
    [{ cursor: 'x' }, 'cursor_invalid', 'pagination[cursor]'],
    [{ count: 1001 }, 'count_invalid', 'pagination[count]'],
    [{ startTime: new Date(2), endTime: new Date(1) }, 'time_range_invalid', 'endTime'],
  ])('refuses %j', async (query, code, field) => {
    await expect(listAuditEvents(db.pool, { workspaceId: 'wrk_1', count: 1, ...query })).rejects.toMatchObject({
      kind: 'invalid',
      code,
      field,
    });
  });
});

describe('readAuditTrail', () => {
  test('is itself in the trail: once for an actor and a filter, however many pages, times and moments', async () => {
    const workspaceId = await newWorkspace();
    for (let n = 0; n < 3; n++) await recordAuditEvent(db.pool, event(workspaceId));
    const views = async () =>
      (await listAuditEvents(db.pool, { workspaceId, type: 'Audit Trail Viewed', count: 100 })).events;

    const first = await readAuditTrail(db.pool, ANN, { workspaceId, count: 1 });
    expect(first.events[0]?.type).toBe('Source Created');
    await Promise.all(
      [1, 2, 3, 4].map((count) => readAuditTrail(db.pool, ANN, { workspaceId, count, startTime: new Date(count) })),
    );
    await readAuditTrail(db.pool, ANN, { workspaceId, count: 1, cursor: first.pagination.next });
    expect(await views()).toHaveLength(1);

    await readAuditTrail(db.pool, ANN, { workspaceId, count: 1, resourceId: 'src_web' });
    await readAuditTrail(db.pool, TOKEN, { workspaceId, count: 1 });
    expect((await views()).map((view) => [view.actor, view.details['filter']])).toEqual([
      ['tok_ci', {}],
      ['usr_ann', { resourceId: 'src_web' }],
      ['usr_ann', {}],
    ]);
  });

  test('a reading that is refused is no viewing', async () => {
    const workspaceId = await newWorkspace();
    await expect(readAuditTrail(db.pool, ANN, { workspaceId, count: 0 })).rejects.toThrow();
    const { events } = await listAuditEvents(db.pool, { workspaceId, type: 'Audit Trail Viewed', count: 10 });
    expect(events).toEqual([]);
  });
});
