import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { RequestError } from '../../errors.ts';
import { readRejectedRows, readTask } from '../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { answers, dataOf, idParam, SIGNED_IN } from '../schemas.ts';
import { taskSchema, toTaskResponse } from './tasks-schema.ts';

const REJECTED_SHOWN = 100;

const route = createRoute({
  method: 'get',
  path: '/tasks/{taskId}',
  operationId: 'getTask',
  tags: ['Tasks'],
  summary: 'Get a task',
  description: 'One run or sync with its attempts, its steps and what is true of it now.',
  security: SIGNED_IN,
  request: { params: z.object({ taskId: idParam('taskId', 'tsk_01h455vb4pex5vsknk084sn02q') }) },
  responses: answers(
    {
      200: dataOf(
        'The task.',
        z.object({
          task: taskSchema,
          rejected: z
            .array(
              z.object({
                idx: z.int(),
                profile: z.number().int(),
                status: z.int().nullable().describe("The destination's HTTP status."),
                reason: z.string(),
              }),
            )
            .describe(`The first ${REJECTED_SHOWN} rows that the destination refused for good.`),
        }),
      ),
    },
    'not_found',
  ),
});

export function registerGetTask(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const { workspaceId } = c.get('principal');
    const { taskId } = c.req.valid('param');
    const task = await readTask(pool, { workspaceId, taskId });
    if (task === null) {
      throw new RequestError('not_found', 'task_not_found', `There is no task ${taskId} in this workspace.`, {
        field: 'taskId',
      });
    }
    const rejected = await readRejectedRows(pool, { workspaceId, taskId, limit: REJECTED_SHOWN });
    return c.json({ data: { task: toTaskResponse(task), rejected } }, 200);
  });
}
