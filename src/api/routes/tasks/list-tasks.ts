import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { listTasks } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, paginationSchema, SIGNED_IN } from '../../schemas.ts';
import { taskSchema, toTaskResponse } from './tasks-schema.ts';
import { historyQuerySchema, toTaskFilters } from './history-query-schema.ts';

const route = createRoute({
  method: 'get',
  path: '/tasks',
  operationId: 'listTasks',
  tags: ['Tasks'],
  summary: 'List tasks',
  description:
    'The history of runs and syncs of the whole workspace, newest first: each with its attempts, how long every step took, rows in, rows out and what was rejected, and why.',
  security: SIGNED_IN,
  request: {
    query: historyQuerySchema.extend({
      spaceId: z.string().min(1).max(100).optional(),
      computationId: z.string().min(1).max(100).optional(),
    }),
  },
  responses: answers({
    200: dataOf('A page.', z.object({ tasks: z.array(taskSchema), pagination: paginationSchema })),
  }),
});

export function registerListTasks(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const { spaceId, computationId, ...query } = c.req.valid('query');
    const { tasks, pagination } = await listTasks(deps.pool, {
      workspaceId: c.get('principal').workspaceId,
      spaceId,
      computationId,
      ...toTaskFilters(query),
    });
    return c.json({ data: { tasks: tasks.map((task) => toTaskResponse(task, deps)), pagination } }, 200);
  });
}
