import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireOwner } from '../../../access/index.ts';
import { createWriteKey, getSource } from '../../../pipeline/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { readSourceResponse, sourceParamsSchema, sourceSchema } from './schema.ts';

const route = createRoute({
  method: 'post',
  path: '/sources/{sourceId}/writekey',
  operationId: 'createWriteKeyForSource',
  tags: ['Sources'],
  summary: 'Create a write key',
  description: 'A further one, to replace another without a gap. For owners.',
  security: SIGNED_IN,
  request: { params: sourceParamsSchema },
  responses: answers(
    { 201: dataOf('The source with all its write keys, the new one first.', z.object({ source: sourceSchema })) },
    'not_found',
  ),
});

export function registerCreateWriteKey(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireOwner(principal);
    const { workspaceId, actor } = principal;
    const { sourceId } = c.req.valid('param');
    const source = await inTransaction(deps.pool, async (tx) => {
      await createWriteKey(tx, deps.secretBox, { workspaceId, sourceId, actor });
      return await readSourceResponse(tx, deps, principal, await getSource(tx, workspaceId, sourceId));
    });
    return c.json({ data: { source } }, 201);
  });
}
