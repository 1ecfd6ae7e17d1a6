import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { getSource, listQuarantined, redriveQuarantined, type QuarantinedEventRow } from '../../../pipeline/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN, timestampSchema } from '../../schemas.ts';
import { sourceParamsSchema } from './schema.ts';

const SHOWN = 200;

const quarantinedSchema = z
  .object({
    messageId: z.string(),
    type: z.string(),
    code: z.string().openapi({ example: 'event_invalid' }),
    reason: z.string().describe('What is wrong with it.'),
    tries: z.int().describe('How often it came here: more than once where it was redriven.'),
    receivedAt: timestampSchema,
    quarantinedAt: timestampSchema,
  })
  .openapi('QuarantinedEvent');

const listRoute = createRoute({
  method: 'get',
  path: '/sources/{sourceId}/quarantine',
  operationId: 'listQuarantinedEvents',
  tags: ['Sources'],
  summary: 'List the events that could not be loaded',
  description: `Events that were taken and could not be loaded are put aside, so that the others go on. The oldest ${SHOWN}.`,
  security: SIGNED_IN,
  request: { params: sourceParamsSchema },
  responses: answers({ 200: dataOf('The events.', z.object({ events: z.array(quarantinedSchema) })) }, 'not_found'),
});

const redriveRoute = createRoute({
  method: 'post',
  path: '/sources/{sourceId}/quarantine/redrive',
  operationId: 'redriveQuarantinedEvents',
  tags: ['Sources'],
  summary: 'Load the events that could not be loaded again',
  description:
    "All of the source's that are put aside go back into the event log, with the times that they have. What still can't be loaded comes back.",
  security: SIGNED_IN,
  request: { params: sourceParamsSchema },
  responses: answers(
    { 200: dataOf('They are in the log.', z.object({ redriven: z.int().describe('How many.') })) },
    'not_found',
  ),
});

export function registerQuarantine(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(listRoute, async (c) => {
    const { workspaceId } = c.get('principal');
    const source = await getSource(pool, workspaceId, c.req.valid('param').sourceId);
    const rows = await listQuarantined(pool, { workspaceId, sourceId: source.id, limit: SHOWN });
    return c.json({ data: { events: rows.map(toResponse) } }, 200);
  });
  app.openapi(redriveRoute, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const source = await getSource(pool, workspaceId, c.req.valid('param').sourceId);
    const redriven = await inTransaction(
      pool,
      async (tx) => await redriveQuarantined(tx, { workspaceId, sourceId: source.id, actor }),
    );
    return c.json({ data: { redriven } }, 200);
  });
}

function toResponse(row: QuarantinedEventRow): z.infer<typeof quarantinedSchema> {
  return {
    messageId: row.message_id,
    type: row.type,
    code: row.code,
    reason: row.reason,
    tries: row.tries,
    receivedAt: row.received_at.toISOString(),
    quarantinedAt: row.quarantined_at.toISOString(),
  };
}
