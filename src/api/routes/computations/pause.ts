import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { getComputation, type ComputationKind } from '../../../computations/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { outlastSends, pauseComputation } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { signalTasks } from '../../signal-tasks.ts';
import { computationParamsSchema, computationSchema, keyed, SURFACES, toComputationResponse } from './schema.ts';

export function registerPause(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'post',
    path: `/spaces/{spaceId}/${surface.path}/{id}/pause`,
    operationId: `pause${surface.Name}`,
    tags: [surface.tag],
    summary: `Pause ${surface.words}`,
    description:
      'Its open tasks stay at their checkpoints, and it has no new ones. Events keep flowing. Nothing is lost: resume it, and it catches up.',
    security: SIGNED_IN,
    request: { params: computationParamsSchema },
    responses: answers(
      { 200: dataOf('Paused.', keyed({ [surface.one]: computationSchema })) },
      'not_found',
      'conflict',
    ),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const address = { workspaceId, kind, ...c.req.valid('param') };
    const openTasks = await inTransaction(deps.pool, async (tx) => await pauseComputation(tx, address, actor));
    await signalTasks(deps, openTasks);
    await outlastSends(deps.pool, { computationId: address.id });
    const computation = await getComputation(deps.pool, address);
    return c.json({ data: { [surface.one]: toComputationResponse(computation) } }, 200);
  });
}
