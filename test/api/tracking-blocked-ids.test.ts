import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { trackingRoutes } from '../../src/api/routes/tracking/tracking.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { setBlockedIds } from '../../src/pipeline/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { addSpace, createPipelineWorld, silent, type PipelineWorld } from '../db/pipeline-world.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';

/** Ids that identify nobody, as the door of ingest takes and refuses them. */

let db: TestPool;
let world: PipelineWorld;
let app: ReturnType<typeof trackingRoutes>;
beforeAll(async () => {
  db = await createTestPool();
  app = trackingRoutes({ pool: db.pool, logger: silent });
});
afterAll(async () => {
  await db.close();
});
beforeEach(async () => {
  world = await createPipelineWorld(db.pool);
});

async function post(path: string, body: Record<string, unknown>) {
  const response = await app.request(path, {
    method: 'POST',
    body: JSON.stringify({ ...body, writeKey: world.writeKey }),
    headers: { 'content-type': 'application/json' },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function readEvents(): Promise<Record<string, unknown>[]> {
  const { rows } = await db.pool.query<{ event: Record<string, unknown> }>(
    'select event from event_log where source_id = $1 order by event_log.xid, position',
    [world.sourceId],
  );
  return rows.map(({ event }) => event);
}

const track = { type: 'track', event: 'Bought', userId: 'ann' };

test('without another id the message is refused, by field and value, with what would be right', async () => {
  for (const [path, body, field] of [
    ['/v1/track', { event: 'E', userId: 'null' }, 'userId'],
    ['/v1/identify', { userId: 0 }, 'userId'],
    ['/v1/page', { anonymousId: ' Undefined ' }, 'anonymousId'],
    ['/v1/group', { userId: '[object Object]', groupId: 'acme' }, 'userId'],
    ['/v1/alias', { userId: 'anonymous', previousId: 'none' }, 'userId'],
  ] as const) {
    const answer = await post(path, body);
    expect(answer).toMatchObject({ status: 400, body: { success: false, field } });
    const value = JSON.stringify(String((body as Record<string, unknown>)[field]));
    expect(answer.body['message']).toContain(`${field} ${value} identifies nobody`);
    expect(answer.body['message']).toContain('anonymousId');
  }
  expect(await readEvents()).toEqual([]);
});

test('with another id it is taken as it was sent, and the answer says under which it is kept', async () => {
  const { messageId, ...answer } = {
    messageId: 'm1',
    ...(await post('/v1/track', { ...track, messageId: 'm1', userId: 'null', anonymousId: 'a' })),
  };
  expect(answer).toEqual({
    status: 200,
    body: {
      success: true,
      warnings: [
        {
          index: 0,
          messageId,
          code: 'id_blocked',
          field: 'userId',
          message:
            'userId "null" identifies nobody: the event is kept under its anonymous id, and merges nobody by it.',
        },
      ],
    },
  });
  expect(await readEvents()).toMatchObject([{ userId: 'null', anonymousId: 'a' }]);
});

test("what one of the source's spaces takes for somebody is taken", async () => {
  const spaceId = await addSpace(db.pool, world);
  const { workspaceId } = world;
  await inTransaction(db.pool, async (tx) => {
    await setBlockedIds(tx, { workspaceId, spaceId, values: [], actor: SYSTEM_ACTOR });
  });
  expect(await post('/v1/track', { ...track, userId: 'guest' })).toMatchObject({
    status: 200,
    body: { success: true, warnings: [{ code: 'identifies_nobody', field: 'userId' }] },
  });
});
