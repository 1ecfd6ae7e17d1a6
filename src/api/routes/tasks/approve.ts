import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { approveRun } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { signalTasks } from '../../signal-tasks.ts';
import { taskParamsSchema } from './rejected-rows/rejected-rows-schema.ts';
import { taskSchema } from './tasks-schema.ts';
import { readBack } from './read-back.ts';

const route = createRoute({
  method: 'post',
  path: '/tasks/{taskId}/approve',
  operationId: 'approveRun',
  tags: ['Tasks'],
  summary: 'Let a run commit that would remove many members or values',
  description: 'A run that the guard stopped goes on from there.',
  security: SIGNED_IN,
  request: { params: taskParamsSchema },
  responses: answers(
    { 200: dataOf('The run, which goes on.', z.object({ task: taskSchema })) },
    'not_found',
    'conflict',
  ),
});

export function registerApproveRun(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const { taskId } = c.req.valid('param');
    await inTransaction(deps.pool, async (tx) => {
      await approveRun(tx, { workspaceId, taskId }, actor);
    });
    await signalTasks(deps, [taskId]);
    return c.json({ data: { task: await readBack(deps, workspaceId, taskId) } }, 200);
  });
}
