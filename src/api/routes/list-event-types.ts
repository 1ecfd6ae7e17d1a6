import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { EVENT_TYPES } from '../../audit/index.ts';
import type { ApiEnv } from '../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../schemas.ts';

const eventTypeSchema = z
  .object({
    name: z.string(),
    area: z.string().describe("One of the product areas of Segment's Audit Trail."),
    when: z.string(),
    emitted: z.boolean().describe('Whether this version of Trailmark records it by itself.'),
    aliases: z.array(z.string()).describe('Other names of the same event: a filter by any of them finds it.'),
  })
  .openapi('EventType');

const route = createRoute({
  method: 'get',
  path: '/event-types',
  operationId: 'listEventTypes',
  tags: ['Audit trail'],
  summary: 'List event types',
  description: 'The catalogue: every event type once, in the order of the product areas.',
  security: SIGNED_IN,
  responses: answers({ 200: dataOf('The catalogue.', z.object({ eventTypes: z.array(eventTypeSchema) })) }),
});

export function registerListEventTypes(app: OpenAPIHono<ApiEnv>): void {
  app.openapi(route, (c) =>
    c.json({ data: { eventTypes: EVENT_TYPES.map((type) => ({ ...type, aliases: [...type.aliases] })) } }, 200),
  );
}
