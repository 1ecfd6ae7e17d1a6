import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireOwner } from '../../../access/index.ts';
import { listWriteKeys, outlastAppends, revokeWriteKey } from '../../../pipeline/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, DELETED, deletedSchema, SIGNED_IN } from '../../schemas.ts';
import { sourceParamsSchema } from './schema.ts';

const route = createRoute({
  method: 'delete',
  path: '/sources/{sourceId}/writekey/{writeKey}',
  operationId: 'removeWriteKeyFromSource',
  tags: ['Sources'],
  summary: 'Remove a write key',
  description: 'For good: nothing that it lets in is stored after the answer. For owners.',
  security: SIGNED_IN,
  request: {
    params: sourceParamsSchema.extend({
      writeKey: z
        .string()
        .min(1)
        .max(200)
        .openapi({ param: { name: 'writeKey', in: 'path' }, description: 'The key itself, or its id.' }),
    }),
  },
  responses: answers({ 200: dataOf('Removed.', deletedSchema) }, 'not_found'),
});

export function registerRemoveWriteKey(app: OpenAPIHono<ApiEnv>, { pool, secretBox }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireOwner(principal);
    const { workspaceId, actor } = principal;
    const { sourceId, writeKey } = c.req.valid('param');
    await inTransaction(pool, async (tx) => {
      const keys = await listWriteKeys(tx, secretBox, { workspaceId, sourceId });
      const writeKeyId = keys.find((key) => key.writeKey === writeKey)?.id ?? writeKey;
      await revokeWriteKey(tx, secretBox, { workspaceId, sourceId, writeKeyId, actor });
    });
    await outlastAppends(pool);
    return c.json(DELETED, 200);
  });
}
