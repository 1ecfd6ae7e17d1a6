import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { deleteDestination } from '../../../destinations/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, DELETED, deletedSchema, SIGNED_IN } from '../../schemas.ts';
import { destinationParamsSchema } from './schema.ts';

const route = createRoute({
  method: 'delete',
  path: '/destinations/{destinationId}',
  operationId: 'deleteDestination',
  tags: ['Destinations'],
  summary: 'Delete a destination',
  description: 'Its secrets are gone at once and its connections end. What was sent stays there.',
  security: SIGNED_IN,
  request: { params: destinationParamsSchema },
  responses: answers({ 200: dataOf('Deleted.', deletedSchema) }, 'not_found'),
});

export function registerDeleteDestination(app: OpenAPIHono<ApiEnv>, { pool, destinations }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const { destinationId } = c.req.valid('param');
    await inTransaction(pool, async (tx) => {
      await deleteDestination(tx, destinations, { workspaceId, destinationId, actor });
    });
    return c.json(DELETED, 200);
  });
}
