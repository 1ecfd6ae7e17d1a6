import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { outlastAppends, updateSource } from '../../../pipeline/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, nameSchema, SIGNED_IN } from '../../schemas.ts';
import { noSettingsSchema, readSourceResponse, sourceParamsSchema, sourceSchema } from './schema.ts';

const route = createRoute({
  method: 'patch',
  path: '/sources/{sourceId}',
  operationId: 'updateSource',
  tags: ['Sources'],
  summary: 'Change a source',
  description: 'Its name, and whether it takes events: nothing of a disabled one is stored after the answer.',
  security: SIGNED_IN,
  request: {
    params: sourceParamsSchema,
    body: jsonBody(
      z.object({ name: nameSchema.optional(), enabled: z.boolean().optional(), settings: noSettingsSchema }).strict(),
    ),
  },
  responses: answers(
    { 200: dataOf('The source, changed.', z.object({ source: sourceSchema })) },
    'not_found',
    'too_large',
  ),
});

export function registerUpdateSource(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const { sourceId } = c.req.valid('param');
    const { name, enabled } = c.req.valid('json');
    const source = await inTransaction(deps.pool, async (tx) => {
      const changed = await updateSource(tx, { workspaceId, sourceId, actor, name, enabled });
      return await readSourceResponse(tx, deps, principal, changed);
    });
    if (enabled === false) await outlastAppends(deps.pool);
    return c.json({ data: { source } }, 200);
  });
}
