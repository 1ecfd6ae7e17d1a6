import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { deleteComputation, getComputation, type ComputationKind } from '../../../computations/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { cancelOpenTasks, outlastSends } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { requireMember } from '../../../access/index.ts';
import { answers, dataOf, DELETED, deletedSchema, SIGNED_IN } from '../../schemas.ts';
import { computationParamsSchema, SURFACES } from './schema.ts';

export function registerDeleteComputation(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'delete',
    path: `/spaces/{spaceId}/${surface.path}/{id}`,
    operationId: `remove${surface.Name}FromSpace`,
    tags: [surface.tag],
    summary: `Delete ${surface.words}`,
    description: 'Its open tasks are cancelled. Refused while other definitions refer to it.',
    security: SIGNED_IN,
    request: { params: computationParamsSchema },
    responses: answers({ 200: dataOf('Deleted.', deletedSchema) }, 'not_found', 'conflict'),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const address = { workspaceId: principal.workspaceId, kind, ...c.req.valid('param') };
    await inTransaction(pool, async (tx) => {
      await getComputation(tx, address);
      // Its tasks are locked before it, as a step does it: the other way round, both could wait for ever.
      await cancelOpenTasks(tx, { computationId: address.id });
      await deleteComputation(tx, address, principal.actor);
    });
    await outlastSends(pool, { computationId: address.id });
    return c.json(DELETED, 200);
  });
}
