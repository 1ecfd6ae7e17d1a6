import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { outlastSends, removeDestination } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, DELETED, deletedSchema, SIGNED_IN } from '../../schemas.ts';
import { signalTasks } from '../../signal-tasks.ts';
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

export function registerDeleteDestination(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const { destinationId } = c.req.valid('param');
    const open = await inTransaction(
      deps.pool,
      async (tx) => await removeDestination(tx, deps.destinations, { workspaceId, destinationId, actor }),
    );
    await signalTasks(deps, open);
    await outlastSends(deps.pool, { destinationId });
    return c.json(DELETED, 200);
  });
}
