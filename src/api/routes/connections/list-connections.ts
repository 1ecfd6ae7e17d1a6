import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { getComputation, type ComputationKind } from '../../../computations/index.ts';
import { listConnections } from '../../../connections/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { connectionSchema } from './connections-schema.ts';
import { computationParamsSchema, SURFACES } from '../computations/schema.ts';

export function registerListConnections(
  kind: ComputationKind,
  app: OpenAPIHono<ApiEnv>,
  { pool, destinations }: ApiDeps,
): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'get',
    path: `/spaces/{spaceId}/${surface.path}/{id}/destinations`,
    operationId: `list${surface.Name}Destinations`,
    tags: [surface.tag],
    summary: `List the destinations of ${surface.words}`,
    security: SIGNED_IN,
    request: { params: computationParamsSchema },
    responses: answers(
      { 200: dataOf('Its connections, all of them.', z.object({ connections: z.array(connectionSchema) })) },
      'not_found',
    ),
  });
  app.openapi(route, async (c) => {
    const { workspaceId } = c.get('principal');
    const params = c.req.valid('param');
    await getComputation(pool, { workspaceId, kind, ...params });
    return c.json({ data: { connections: await listConnections(pool, destinations, workspaceId, params.id) } }, 200);
  });
}
