import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { RequestError } from '../../../errors.ts';
import { readRejectedRows, readTask } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { rejectedRowSchema, taskParamsSchema, toRejectedRowResponse } from './rejected-rows/rejected-rows-schema.ts';
import { taskSchema, toTaskResponse } from './tasks-schema.ts';

const REJECTED_SHOWN = 100;

const route = createRoute({
  method: 'get',
  path: '/tasks/{taskId}',
  operationId: 'getTask',
  tags: ['Tasks'],
  summary: 'Get a task',
  description:
    'One run or sync with its attempts, what each of them executed, how far it is and what is true of it now. To a browser, which asks for HTML, it is a page.',
  security: SIGNED_IN,
  request: { params: taskParamsSchema },
  responses: answers(
    {
      200: dataOf(
        'The task.',
        z.object({
          task: taskSchema,
          rejected: z
            .array(rejectedRowSchema)
            .describe(`The first ${REJECTED_SHOWN} rows that the destination refused for good.`),
        }),
      ),
    },
    'not_found',
  ),
});

export function registerGetTask(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const { workspaceId } = c.get('principal');
    const { taskId } = c.req.valid('param');
    const task = await readTask(deps.pool, { workspaceId, taskId });
    if (task === null) throw taskNotFound(taskId);
    const rejected = await readRejectedRows(deps.pool, { workspaceId, taskId, limit: REJECTED_SHOWN });
    return c.json({ data: { task: toTaskResponse(task, deps), rejected: rejected.map(toRejectedRowResponse) } }, 200);
  });
}

export function taskNotFound(taskId: string): RequestError {
  return new RequestError('not_found', 'task_not_found', `There is no task ${taskId} in this workspace.`, {
    field: 'taskId',
  });
}
