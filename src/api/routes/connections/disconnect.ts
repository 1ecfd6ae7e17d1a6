import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { getComputation, type ComputationKind } from '../../../computations/index.ts';
import { disconnectComputation } from '../../../connections/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { cancelOpenTasks, outlastSends } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, DELETED, deletedSchema, SIGNED_IN } from '../../schemas.ts';
import { connectionParamsSchema } from './connections-schema.ts';
import { SURFACES } from '../computations/schema.ts';

export function registerDisconnect(
  kind: ComputationKind,
  app: OpenAPIHono<ApiEnv>,
  { pool, destinations: deps }: ApiDeps,
): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'delete',
    path: `/spaces/{spaceId}/${surface.path}/{id}/destinations/{destinationId}`,
    operationId: `disconnect${surface.Name}`,
    tags: [surface.tag],
    summary: `Disconnect ${surface.words} from a destination`,
    description: 'An open sync is cancelled. What was sent stays at the destination.',
    security: SIGNED_IN,
    request: { params: connectionParamsSchema },
    responses: answers({ 200: dataOf('Disconnected.', deletedSchema) }, 'not_found'),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const { destinationId, ...params } = c.req.valid('param');
    await inTransaction(pool, async (tx) => {
      const computation = await getComputation(tx, { workspaceId, kind, ...params });
      const connection = computation.connections.find((one) => one.destination_id === destinationId);
      // The sync's task is locked before the connection, as the sync itself does it: the other way round, both could wait for ever.
      if (connection !== undefined) {
        await cancelOpenTasks(tx, { computationId: computation.id, connectionId: connection.id });
      }
      await disconnectComputation(tx, deps, { workspaceId, computationId: computation.id, destinationId, actor });
    });
    await outlastSends(pool, { destinationId });
    return c.json(DELETED, 200);
  });
}
