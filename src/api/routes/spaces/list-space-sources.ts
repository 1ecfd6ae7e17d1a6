import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { listSpaceSources } from '../../../pipeline/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN, spaceParamsSchema } from '../../schemas.ts';

const route = createRoute({
  method: 'get',
  path: '/spaces/{spaceId}/sources',
  operationId: 'listSpaceSources',
  tags: ['Spaces'],
  summary: "List a space's sources",
  description: "Those whose events go into the space's profiles.",
  security: SIGNED_IN,
  request: { params: spaceParamsSchema },
  responses: answers(
    {
      200: dataOf(
        'All of them, oldest first.',
        z.object({
          sources: z.array(z.object({ id: z.string(), slug: z.string(), name: z.string(), enabled: z.boolean() })),
        }),
      ),
    },
    'not_found',
  ),
});

export function registerListSpaceSources(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const { workspaceId } = c.get('principal');
    const rows = await listSpaceSources(pool, workspaceId, c.req.valid('param').spaceId);
    const sources = rows.map(({ id, slug, name, enabled }) => ({ id, slug, name, enabled }));
    return c.json({ data: { sources } }, 200);
  });
}
