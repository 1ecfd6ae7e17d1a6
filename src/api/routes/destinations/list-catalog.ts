import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { listDefinitions } from '../../../destinations/index.ts';
import type { ApiEnv } from '../../deps.ts';
import { answers, dataOf, offsetPageOf, paginationQuerySchema, paginationSchema, SIGNED_IN } from '../../schemas.ts';
import { metadataSchema } from './schema.ts';

const route = createRoute({
  method: 'get',
  path: '/catalog/destinations',
  operationId: 'getDestinationsCatalog',
  tags: ['Destinations'],
  summary: 'List the catalog of destinations',
  description:
    'Every kind of destination that Trailmark can send to, by slug. One of them has its settings and actions.',
  security: SIGNED_IN,
  request: { query: paginationQuerySchema },
  responses: answers({
    200: dataOf('A page.', z.object({ destinationsCatalog: z.array(metadataSchema), pagination: paginationSchema })),
  }),
});

export function registerListCatalog(app: OpenAPIHono<ApiEnv>): void {
  app.openapi(route, (c) => {
    const { rows, pagination } = offsetPageOf(listDefinitions(), c.req.valid('query'));
    return c.json(
      { data: { destinationsCatalog: rows.map(({ slug, name }) => ({ id: slug, slug, name })), pagination } },
      200,
    );
  });
}
