import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import type { ComputationKind } from '../../../computations/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { resumeConnection } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { startTaskNow } from '../../start-task.ts';
import { connectionParamsSchema } from './connections-schema.ts';
import { SURFACES } from '../computations/schema.ts';

export function registerResumeConnection(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'post',
    path: `/spaces/{spaceId}/${surface.path}/{id}/destinations/{destinationId}/resume`,
    operationId: `resume${surface.Name}Connection`,
    tags: [surface.tag],
    summary: `Send ${surface.words} to a destination again that was suspended`,
    description: 'Syncs are suspended after repeated hard failures. What the destination has missed is sent at once.',
    security: SIGNED_IN,
    request: { params: connectionParamsSchema },
    responses: answers(
      {
        200: dataOf(
          'Resumed.',
          z.object({
            taskId: z
              .string()
              .nullable()
              .describe('The sync that catches up; null where the destination has missed nothing.'),
          }),
        ),
      },
      'not_found',
      'conflict',
    ),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const address = { workspaceId, kind, ...c.req.valid('param') };
    const taskId = await inTransaction(deps.pool, async (tx) => await resumeConnection(tx, address, actor));
    if (taskId !== null) await startTaskNow(deps, taskId);
    return c.json({ data: { taskId } }, 200);
  });
}
