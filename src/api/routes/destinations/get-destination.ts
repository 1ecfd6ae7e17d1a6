import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { getDestination } from '../../../destinations/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { destinationParamsSchema, destinationSchema, toDestinationResponse } from './schema.ts';

const route = createRoute({
  method: 'get',
  path: '/destinations/{destinationId}',
  operationId: 'getDestination',
  tags: ['Destinations'],
  summary: 'Get a destination',
  security: SIGNED_IN,
  request: { params: destinationParamsSchema },
  responses: answers({ 200: dataOf('The destination.', z.object({ destination: destinationSchema })) }, 'not_found'),
});

export function registerGetDestination(app: OpenAPIHono<ApiEnv>, { pool, destinations }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const { workspaceId } = c.get('principal');
    const view = await getDestination(pool, destinations, workspaceId, c.req.valid('param').destinationId);
    return c.json({ data: { destination: toDestinationResponse(view) } }, 200);
  });
}
