import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { getComputation, type ComputationKind } from '../../../computations/index.ts';
import { listTasks } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, paginationSchema, SIGNED_IN } from '../../schemas.ts';
import { historyQuerySchema, toTaskFilters } from '../tasks/history-query-schema.ts';
import { taskSchema, toTaskResponse } from '../tasks/tasks-schema.ts';
import { computationParamsSchema, SURFACES } from './schema.ts';

export function registerListComputationTasks(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'get',
    path: `/spaces/{spaceId}/${surface.path}/{id}/tasks`,
    operationId: `list${surface.Name}Tasks`,
    tags: [surface.tag],
    summary: `List the runs and syncs of ${surface.words}`,
    description:
      'Its history, newest first: each task with its attempts, how long every step took, rows in, rows out and what was rejected, and why.',
    security: SIGNED_IN,
    request: { params: computationParamsSchema, query: historyQuerySchema },
    responses: answers(
      { 200: dataOf('A page.', z.object({ tasks: z.array(taskSchema), pagination: paginationSchema })) },
      'not_found',
    ),
  });
  app.openapi(route, async (c) => {
    const { workspaceId } = c.get('principal');
    const params = c.req.valid('param');
    await getComputation(deps.pool, { workspaceId, kind, ...params });
    const { tasks, pagination } = await listTasks(deps.pool, {
      workspaceId,
      computationId: params.id,
      ...toTaskFilters(c.req.valid('query')),
    });
    return c.json({ data: { tasks: tasks.map((task) => toTaskResponse(task, deps)), pagination } }, 200);
  });
}
