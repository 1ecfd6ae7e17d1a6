import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { disconnectSource } from '../../../pipeline/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, DELETED, deletedSchema, idParam, SIGNED_IN, spaceParamsSchema } from '../../schemas.ts';

const route = createRoute({
  method: 'delete',
  path: '/spaces/{spaceId}/sources/{sourceId}',
  operationId: 'disconnectSourceFromSpace',
  tags: ['Spaces'],
  summary: 'Disconnect a source from a space',
  description: 'Its events go into the space no more. What is there stays.',
  security: SIGNED_IN,
  request: { params: spaceParamsSchema.extend({ sourceId: idParam('sourceId', 'src_01h455vb4pex5vsknk084sn02q') }) },
  responses: answers({ 200: dataOf('Disconnected.', deletedSchema) }, 'not_found'),
});

export function registerDisconnectSource(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const { spaceId, sourceId } = c.req.valid('param');
    await inTransaction(pool, async (tx) => {
      await disconnectSource(tx, { workspaceId, sourceId, spaceId, actor });
    });
    return c.json(DELETED, 200);
  });
}
