import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { cancelTask, outlastSends } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, optionalJsonBody, SIGNED_IN } from '../../schemas.ts';
import { startTaskNow } from '../../start-task.ts';
import { signalTasks } from '../../signal-tasks.ts';
import { taskParamsSchema } from './rejected-rows/rejected-rows-schema.ts';
import { taskSchema } from './tasks-schema.ts';
import { readBack } from './read-back.ts';

const route = createRoute({
  method: 'post',
  path: '/tasks/{taskId}/cancel',
  operationId: 'cancelTask',
  tags: ['Tasks'],
  summary: 'Cancel a task',
  description:
    'What is under way is stopped, requests and queries with it. What a sync has delivered stays delivered: the next one sends the rest.',
  security: SIGNED_IN,
  request: {
    params: taskParamsSchema,
    body: optionalJsonBody(
      z
        .object({
          reason: z
            .string()
            .trim()
            .min(1, 'A reason has at least one character; leave it away where there is none.')
            .max(500, 'A reason has at most 500 characters.')
            .optional()
            .describe('Why, for those who read the trail.'),
        })
        .strict(),
    ),
  },
  responses: answers(
    { 200: dataOf('The task, cancelled.', z.object({ task: taskSchema })) },
    'not_found',
    'conflict',
    'too_large',
  ),
});

export function registerCancelTask(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const { taskId } = c.req.valid('param');
    const { reason } = c.req.valid('json');
    const made = await inTransaction(
      deps.pool,
      async (tx) => await cancelTask(tx, { workspaceId, taskId }, { actor, reason }),
    );
    await signalTasks(deps, [taskId]);
    for (const next of made) await startTaskNow(deps, next);
    await outlastSends(deps.pool, { taskId });
    return c.json({ data: { task: await readBack(deps, workspaceId, taskId) } }, 200);
  });
}
