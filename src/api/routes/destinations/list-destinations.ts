import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { listDestinations } from '../../../destinations/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, pageOf, paginationQuerySchema, paginationSchema, SIGNED_IN } from '../../schemas.ts';
import { destinationSchema, toDestinationResponse } from './schema.ts';

const route = createRoute({
  method: 'get',
  path: '/destinations',
  operationId: 'listDestinations',
  tags: ['Destinations'],
  summary: 'List destinations',
  description: 'Oldest first, of all spaces or of one.',
  security: SIGNED_IN,
  request: { query: paginationQuerySchema.extend({ spaceId: z.string().min(1).max(100).optional() }) },
  responses: answers({
    200: dataOf('A page.', z.object({ destinations: z.array(destinationSchema), pagination: paginationSchema })),
  }),
});

export function registerListDestinations(app: OpenAPIHono<ApiEnv>, { pool, destinations }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const query = c.req.valid('query');
    const all = await listDestinations(pool, destinations, c.get('principal').workspaceId, { spaceId: query.spaceId });
    const { rows, pagination } = pageOf(all, query);
    return c.json({ data: { destinations: rows.map(toDestinationResponse), pagination } }, 200);
  });
}
