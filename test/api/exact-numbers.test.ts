import { afterAll, beforeAll, expect, test } from 'vitest';
import { storedJson } from '../../src/stored-json.ts';
import { parseJson } from '../../src/exact-json.ts';
import { createApiWorld, type ApiWorld } from './api-world.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld();
});
afterAll(async () => {
  await world?.close();
});

async function post(path: string, body: string): Promise<{ status: number; text: string }> {
  const answer = await world.app.request(path, {
    method: 'POST',
    headers: { authorization: `Bearer ${world.ours.owner}`, 'content-type': 'application/json' },
    body,
  });
  return { status: answer.status, text: await answer.text() };
}

test('a preview shows a value with all of its digits', async () => {
  const { spaceId } = world.ours;
  await world.deps.clickhouse.insert({
    table: 'profiles',
    values: [{ space_id: spaceId, profile: 1, user_id: 'u', anonymous_id: '', merged_into: 0, version: 1 }],
    format: 'JSONEachRow',
  });
  await world.deps.clickhouse.insert({
    table: 'events',
    values: [
      {
        space_id: spaceId,
        type: 'track',
        event: 'A',
        profile: 1,
        timestamp: '2026-01-01 00:00:00.000',
        received_at: '2026-01-01 00:00:00.000',
        source_id: 's',
        message_id: 'm',
        properties: storedJson(
          parseJson('{"p": {"id": 9007199254740993, "large": 1e400, "fine": 0.12345678901234567890}}'),
        ),
        context: '{}',
      },
    ],
    format: 'JSONEachRow',
  });
  const definition = JSON.stringify({ type: 'USERS', query: "event('A').last(property('p'))" });
  const { status, text } = await post(`/spaces/${spaceId}/computed-traits/preview`, `{"definition": ${definition}}`);
  expect(status).toBe(200);
  expect(text).toContain('"after":{"id":9007199254740993,"large":1e400,"fine":0.1234567890123456789}');
});

test.each([
  ['{"spaceId": "s", "metadataId": "webhook", "settings": {"a": [{"limit": 9007199254740993}]}}', 'settings.a.0.limit'],
  [
    '{"spaceId": "s", "name": "x", "subscriptions": [{"trigger": "t", "mapping": {"n": 1e400}}]}',
    'subscriptions.0.mapping.n',
  ],
  ['{"spaceId": 0.1234567890123456789}', 'spaceId'],
])('%s is refused by the field whose digits would be lost', async (body, field) => {
  const { status, text } = await post('/destinations', body);
  expect(status).toBe(400);
  expect(JSON.parse(text)).toMatchObject({
    errors: [{ type: 'number_not_kept', field, message: expect.stringContaining('Send it as a string') as string }],
  });
});

test('numbers that lose nothing are taken, however they are spelt', async () => {
  const { text } = await post(
    '/destinations',
    '{"spaceId": "s", "settings": {"a": 1.50, "b": 1e3, "c": 1E-7, "d": -0.0}}',
  );
  expect(text).not.toContain('number_not_kept');
});
