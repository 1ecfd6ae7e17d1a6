import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import type { ComputationKind } from '../../../computations/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { forceRun } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { startTaskNow } from '../../start-task.ts';
import { readBack } from '../tasks/read-back.ts';
import { taskSchema } from '../tasks/tasks-schema.ts';
import { computationParamsSchema, SURFACES } from './schema.ts';

export function registerRunNow(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'post',
    path: `/spaces/{spaceId}/${surface.path}/{id}/runs`,
    operationId: `run${surface.Name}Now`,
    tags: [surface.tag],
    summary: `Run ${surface.words} now`,
    description:
      'Its schedule stays as it is; a run that is due already because the computation is new or edited is this one. Refused while a run of it is open, and while it is disabled or paused.',
    security: SIGNED_IN,
    request: { params: computationParamsSchema },
    responses: answers({ 201: dataOf('The run.', z.object({ task: taskSchema })) }, 'not_found', 'conflict'),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const address = { workspaceId, kind, ...c.req.valid('param') };
    const taskId = await inTransaction(
      deps.pool,
      async (tx) => await forceRun(tx, address, { actor, reason: 'run_now' }),
    );
    await startTaskNow(deps, taskId);
    return c.json({ data: { task: await readBack(deps, workspaceId, taskId) } }, 201);
  });
}
