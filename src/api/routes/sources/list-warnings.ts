import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { getSource, listSourceWarnings, type WarningCountRow } from '../../../pipeline/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN, timestampSchema } from '../../schemas.ts';
import { sourceParamsSchema } from './schema.ts';

const warningSchema = z
  .object({
    code: z.string().openapi({ example: 'time_in_future' }),
    field: z.string().describe('The field of the message that it is about.'),
    spaceId: z.string().nullable().describe('The space that it is true of; null for all of them.'),
    count: z.number().int().describe('Events so far.'),
    firstAt: timestampSchema,
    lastAt: timestampSchema,
    lastMessageId: z.string().describe('The messageId of the last of them.'),
    lastMessage: z.string().describe('What was said of it.'),
  })
  .openapi('SourceWarning');

const route = createRoute({
  method: 'get',
  path: '/sources/{sourceId}/warnings',
  operationId: 'listSourceWarnings',
  tags: ['Sources'],
  summary: "List the warnings about a source's events",
  description:
    'What of its events was taken in another way than they say, a time in the future for example: each kind once, with how often. An event has its own warnings with it.',
  security: SIGNED_IN,
  request: { params: sourceParamsSchema },
  responses: answers(
    { 200: dataOf('All kinds, the latest first.', z.object({ warnings: z.array(warningSchema) })) },
    'not_found',
  ),
});

export function registerListSourceWarnings(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const source = await getSource(pool, c.get('principal').workspaceId, c.req.valid('param').sourceId);
    const rows = await listSourceWarnings(pool, source.id);
    return c.json({ data: { warnings: rows.map(toResponse) } }, 200);
  });
}

function toResponse(row: WarningCountRow): z.infer<typeof warningSchema> {
  return {
    code: row.code,
    field: row.field,
    spaceId: row.space_id === '' ? null : row.space_id,
    count: row.count,
    firstAt: row.first_at.toISOString(),
    lastAt: row.last_at.toISOString(),
    lastMessageId: row.last_message_id,
    lastMessage: row.last_message,
  };
}
