import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { listRejectedRows, readTask } from '../../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../../deps.ts';
import { answers, dataOf, paginationQuerySchema, paginationSchema, SIGNED_IN } from '../../../schemas.ts';
import { taskNotFound } from '../get-task.ts';
import { rejectedRowSchema, taskParamsSchema, toRejectedRowResponse } from './rejected-rows-schema.ts';
import { rejectedReasonSchema } from '../tasks-schema.ts';

const route = createRoute({
  method: 'get',
  path: '/tasks/{taskId}/rejected-rows',
  operationId: 'listRejectedRows',
  tags: ['Tasks'],
  summary: 'List the rejected rows of a sync',
  description:
    "Rows that the destination refused for good, each with the destination's answer, in the order of the sync's changes. A run has none.",
  security: SIGNED_IN,
  request: { params: taskParamsSchema, query: paginationQuerySchema },
  responses: answers(
    {
      200: dataOf(
        'A page.',
        z.object({
          rejected: z.array(rejectedRowSchema),
          reasons: z.array(rejectedReasonSchema).describe('The most frequent answers to the first 10,000 of them.'),
          pagination: paginationSchema,
        }),
      ),
    },
    'not_found',
  ),
});

export function registerListRejectedRows(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const { workspaceId } = c.get('principal');
    const { taskId } = c.req.valid('param');
    const { 'pagination[cursor]': cursor, 'pagination[count]': count } = c.req.valid('query');
    const task = await readTask(pool, { workspaceId, taskId });
    if (task === null) throw taskNotFound(taskId);
    const { rows, pagination } = await listRejectedRows(pool, { workspaceId, taskId, cursor, count });
    return c.json(
      {
        data: {
          rejected: rows.map(toRejectedRowResponse),
          reasons: task.rejectedReasons,
          pagination: { ...pagination, totalEntries: task.rejectedRows },
        },
      },
      200,
    );
  });
}
