import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { listSpaces } from '../../../access/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, pageOf, paginationQuerySchema, paginationSchema, SIGNED_IN } from '../../schemas.ts';
import { spaceSchema, toSpaceResponse } from './schema.ts';

const route = createRoute({
  method: 'get',
  path: '/spaces',
  operationId: 'listSpaces',
  tags: ['Spaces'],
  summary: 'List spaces',
  security: SIGNED_IN,
  request: { query: paginationQuerySchema },
  responses: answers({
    200: dataOf('A page.', z.object({ spaces: z.array(spaceSchema), pagination: paginationSchema })),
  }),
});

export function registerListSpaces(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const spaces = await listSpaces(pool, c.get('principal').workspaceId);
    const { rows, pagination } = pageOf(spaces, c.req.valid('query'));
    return c.json({ data: { spaces: rows.map(toSpaceResponse), pagination } }, 200);
  });
}
