import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { getComputation, type ComputationKind } from '../../../computations/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { computationParamsSchema, computationSchema, keyed, SURFACES, toComputationResponse } from './schema.ts';

export function registerGetComputation(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'get',
    path: `/spaces/{spaceId}/${surface.path}/{id}`,
    operationId: `get${surface.Name}`,
    tags: [surface.tag],
    summary: `Get ${surface.words}`,
    security: SIGNED_IN,
    request: { params: computationParamsSchema },
    responses: answers({ 200: dataOf('It.', keyed({ [surface.one]: computationSchema })) }, 'not_found'),
  });
  app.openapi(route, async (c) => {
    const { workspaceId } = c.get('principal');
    const view = await getComputation(pool, { workspaceId, kind, ...c.req.valid('param') });
    return c.json({ data: { [surface.one]: toComputationResponse(view) } }, 200);
  });
}
