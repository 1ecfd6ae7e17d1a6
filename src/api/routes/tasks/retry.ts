import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { retryTask } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, optionalJsonBody, SIGNED_IN } from '../../schemas.ts';
import { startTaskNow } from '../../start-task.ts';
import { taskParamsSchema } from './rejected-rows/rejected-rows-schema.ts';
import { taskSchema } from './tasks-schema.ts';
import { readBack } from './read-back.ts';

const route = createRoute({
  method: 'post',
  path: '/tasks/{taskId}/retry',
  operationId: 'retryTask',
  tags: ['Tasks'],
  summary: 'Retry a failed or cancelled task from one of its steps',
  description:
    'By a new task, which takes over what the steps before left, and inside deliver how far it came. Refused where something newer has taken its place, and after seven days.',
  security: SIGNED_IN,
  request: {
    params: taskParamsSchema,
    body: optionalJsonBody(
      z
        .object({
          fromStep: z
            .string()
            .min(1)
            .max(50)
            .optional()
            .describe('Left away: the first step without a checkpoint.')
            .openapi({ example: 'deliver' }),
        })
        .strict(),
    ),
  },
  responses: answers(
    { 201: dataOf('The new task.', z.object({ task: taskSchema })) },
    'not_found',
    'conflict',
    'too_large',
  ),
});

export function registerRetryTask(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const address = { workspaceId, taskId: c.req.valid('param').taskId };
    const { fromStep } = c.req.valid('json');
    const taskId = await inTransaction(deps.pool, async (tx) => await retryTask(tx, address, { actor, fromStep }));
    await startTaskNow(deps, taskId);
    return c.json({ data: { task: await readBack(deps, workspaceId, taskId) } }, 201);
  });
}
