import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireOwner, revokeAccessToken } from '../../../access/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, DELETED, deletedSchema, idParam, SIGNED_IN } from '../../schemas.ts';

const route = createRoute({
  method: 'delete',
  path: '/access-tokens/{tokenId}',
  operationId: 'revokeAccessToken',
  tags: ['Access tokens'],
  summary: 'Revoke an access token',
  description: 'For good: it is refused from now on. For owners.',
  security: SIGNED_IN,
  request: { params: z.object({ tokenId: idParam('tokenId', 'tok_01h455vb4pex5vsknk084sn02q') }) },
  responses: answers({ 200: dataOf('Revoked.', deletedSchema) }, 'not_found'),
});

export function registerRevokeAccessToken(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireOwner(principal);
    await inTransaction(
      pool,
      async (tx) =>
        await revokeAccessToken(tx, {
          workspaceId: principal.workspaceId,
          tokenId: c.req.valid('param').tokenId,
          actor: principal.actor,
        }),
    );
    return c.json(DELETED, 200);
  });
}
