import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { listSources } from '../../../pipeline/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, pageOf, paginationQuerySchema, paginationSchema, SIGNED_IN } from '../../schemas.ts';
import { readSourceResponses, sourceSchema } from './schema.ts';

const route = createRoute({
  method: 'get',
  path: '/sources',
  operationId: 'listSources',
  tags: ['Sources'],
  summary: 'List sources',
  description: 'Oldest first.',
  security: SIGNED_IN,
  request: { query: paginationQuerySchema },
  responses: answers({
    200: dataOf('A page.', z.object({ sources: z.array(sourceSchema), pagination: paginationSchema })),
  }),
});

export function registerListSources(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    const all = await listSources(deps.pool, principal.workspaceId);
    const { rows, pagination } = pageOf(all, c.req.valid('query'));
    const sources = await readSourceResponses(deps.pool, deps, principal, rows);
    return c.json({ data: { sources, pagination } }, 200);
  });
}
