import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../../access/index.ts';
import { inTransaction } from '../../../../store/index.ts';
import { redriveRejected } from '../../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../../schemas.ts';
import { startTaskNow } from '../../../start-task.ts';
import { taskParamsSchema } from './rejected-rows-schema.ts';
import { taskSchema } from '../tasks-schema.ts';
import { readBack } from '../read-back.ts';

const route = createRoute({
  method: 'post',
  path: '/tasks/{taskId}/redrive',
  operationId: 'redriveRejectedRows',
  tags: ['Tasks'],
  summary: 'Send the rejected rows of a sync again',
  description:
    'These alone, by a sync of its own, as they are now: a row that the destination has had since, or that nobody needs any more, is left out.',
  security: SIGNED_IN,
  request: { params: taskParamsSchema },
  responses: answers(
    {
      201: dataOf(
        'The sync that sends them.',
        z.object({ task: taskSchema, rows: z.int().describe('Rejected rows that it takes.') }),
      ),
    },
    'not_found',
    'conflict',
  ),
});

export function registerRedrive(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const address = { workspaceId, taskId: c.req.valid('param').taskId };
    const { taskId, rows } = await inTransaction(deps.pool, async (tx) => await redriveRejected(tx, address, actor));
    await startTaskNow(deps, taskId);
    return c.json({ data: { task: await readBack(deps, workspaceId, taskId), rows } }, 201);
  });
}
