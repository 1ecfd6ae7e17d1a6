import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { readLeaving } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, paginationQuerySchema, paginationSchema, SIGNED_IN } from '../../schemas.ts';
import { taskParamsSchema } from './rejected-rows/rejected-rows-schema.ts';
import { guardSchema } from './tasks-schema.ts';

const route = createRoute({
  method: 'get',
  path: '/tasks/{taskId}/leaving',
  operationId: 'listLeaving',
  tags: ['Tasks'],
  summary: 'List who leaves an audience, or loses the value of a computed trait, by a run',
  description:
    'What a run that waits for approval would do to the members or values, and who would leave or lose theirs. It is known once the run has compared what it computed with what is live, and kept for some days after its end.',
  security: SIGNED_IN,
  request: { params: taskParamsSchema, query: paginationQuerySchema },
  responses: answers(
    {
      200: dataOf(
        'A page.',
        z.object({
          guard: guardSchema,
          leaving: z.array(
            z.object({
              profile: z.int(),
              userId: z.string().describe('Empty where the profile has none.'),
              anonymousId: z.string().describe('Empty where the profile has none.'),
            }),
          ),
          pagination: paginationSchema,
        }),
      ),
    },
    'not_found',
    'conflict',
  ),
});

export function registerListLeaving(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const { 'pagination[cursor]': cursor, 'pagination[count]': count } = c.req.valid('query');
    const { guard, leaving, pagination } = await readLeaving(deps, {
      workspaceId: c.get('principal').workspaceId,
      taskId: c.req.valid('param').taskId,
      cursor,
      count,
    });
    return c.json({ data: { guard, leaving, pagination: { ...pagination, totalEntries: guard.exited } } }, 200);
  });
}
