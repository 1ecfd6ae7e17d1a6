import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { deleteSource, outlastAppends } from '../../../pipeline/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, DELETED, deletedSchema, SIGNED_IN } from '../../schemas.ts';
import { sourceParamsSchema } from './schema.ts';

const route = createRoute({
  method: 'delete',
  path: '/sources/{sourceId}',
  operationId: 'deleteSource',
  tags: ['Sources'],
  summary: 'Delete a source',
  description: 'Nothing of it is stored after the answer. What it has sent stays.',
  security: SIGNED_IN,
  request: { params: sourceParamsSchema },
  responses: answers({ 200: dataOf('Deleted.', deletedSchema) }, 'not_found'),
});

export function registerDeleteSource(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const { sourceId } = c.req.valid('param');
    await inTransaction(pool, async (tx) => {
      await deleteSource(tx, { workspaceId, sourceId, actor });
    });
    await outlastAppends(pool);
    return c.json(DELETED, 200);
  });
}
