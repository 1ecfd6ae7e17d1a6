import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireOwner, updateSpace } from '../../../access/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN, spaceParamsSchema } from '../../schemas.ts';
import { spaceSchema, toSpaceResponse, updateSpaceSchema } from './schema.ts';

const route = createRoute({
  method: 'patch',
  path: '/spaces/{spaceId}',
  operationId: 'updateSpace',
  tags: ['Spaces'],
  summary: 'Change a space',
  description: 'Owners only. What is given is changed. A lower cap ends nothing that is under way.',
  security: SIGNED_IN,
  request: { params: spaceParamsSchema, body: jsonBody(updateSpaceSchema) },
  responses: answers(
    { 200: dataOf('The space, changed.', z.object({ space: spaceSchema })) },
    'not_found',
    'too_large',
  ),
});

export function registerUpdateSpace(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireOwner(principal);
    const { workspaceId, actor } = principal;
    const { spaceId } = c.req.valid('param');
    const patch = c.req.valid('json');
    const space = await inTransaction(
      pool,
      async (tx) => await updateSpace(tx, { ...patch, workspaceId, spaceId, actor }),
    );
    return c.json({ data: { space: toSpaceResponse(space) } }, 200);
  });
}
