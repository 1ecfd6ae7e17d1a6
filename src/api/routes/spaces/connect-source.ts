import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { connectSource } from '../../../pipeline/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN, spaceParamsSchema } from '../../schemas.ts';

const route = createRoute({
  method: 'post',
  path: '/spaces/{spaceId}/sources',
  operationId: 'connectSourceToSpace',
  tags: ['Spaces'],
  summary: 'Connect a source to a space',
  description: "From now on its events go into the space's profiles. Once more changes nothing.",
  security: SIGNED_IN,
  request: {
    params: spaceParamsSchema,
    body: jsonBody(z.object({ sourceId: z.string().min(1).max(100) }).strict()),
  },
  responses: answers(
    { 200: dataOf('Connected.', z.object({ spaceId: z.string(), sourceId: z.string() })) },
    'not_found',
    'too_large',
  ),
});

export function registerConnectSource(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const { spaceId } = c.req.valid('param');
    const { sourceId } = c.req.valid('json');
    await inTransaction(pool, async (tx) => {
      await connectSource(tx, { workspaceId, sourceId, spaceId, actor });
    });
    return c.json({ data: { spaceId, sourceId } }, 200);
  });
}
