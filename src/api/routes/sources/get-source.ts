import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { getSource } from '../../../pipeline/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { readSourceResponse, sourceParamsSchema, sourceSchema } from './schema.ts';

const route = createRoute({
  method: 'get',
  path: '/sources/{sourceId}',
  operationId: 'getSource',
  tags: ['Sources'],
  summary: 'Get a source',
  security: SIGNED_IN,
  request: { params: sourceParamsSchema },
  responses: answers({ 200: dataOf('The source.', z.object({ source: sourceSchema })) }, 'not_found'),
});

export function registerGetSource(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    const source = await getSource(deps.pool, principal.workspaceId, c.req.valid('param').sourceId);
    return c.json({ data: { source: await readSourceResponse(deps.pool, deps, principal, source) } }, 200);
  });
}
