import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { getSpace } from '../../../access/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN, spaceParamsSchema } from '../../schemas.ts';
import { spaceSchema, toSpaceResponse } from './schema.ts';

const route = createRoute({
  method: 'get',
  path: '/spaces/{spaceId}',
  operationId: 'getSpace',
  tags: ['Spaces'],
  summary: 'Get a space',
  security: SIGNED_IN,
  request: { params: spaceParamsSchema },
  responses: answers({ 200: dataOf('The space.', z.object({ space: spaceSchema })) }, 'not_found'),
});

export function registerGetSpace(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const space = await getSpace(pool, c.get('principal').workspaceId, c.req.valid('param').spaceId);
    return c.json({ data: { space: toSpaceResponse(space) } }, 200);
  });
}
