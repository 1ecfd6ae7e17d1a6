import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { listAccessTokens, requireOwner } from '../../../access/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, pageOf, paginationQuerySchema, paginationSchema, SIGNED_IN } from '../../schemas.ts';
import { accessTokenSchema, toAccessTokenResponse } from './schema.ts';

const route = createRoute({
  method: 'get',
  path: '/access-tokens',
  operationId: 'listAccessTokens',
  tags: ['Access tokens'],
  summary: 'List access tokens',
  description: 'Newest first, the revoked ones too. For owners.',
  security: SIGNED_IN,
  request: { query: paginationQuerySchema },
  responses: answers({
    200: dataOf('A page.', z.object({ accessTokens: z.array(accessTokenSchema), pagination: paginationSchema })),
  }),
});

export function registerListAccessTokens(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireOwner(principal);
    const tokens = await listAccessTokens(pool, principal.workspaceId);
    const { rows, pagination } = pageOf(tokens, c.req.valid('query'), 'newest first');
    return c.json({ data: { accessTokens: rows.map(toAccessTokenResponse), pagination } }, 200);
  });
}
