import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { getComputation, type ComputationKind } from '../../../computations/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { resumeComputation } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { signalTasks } from '../../signal-tasks.ts';
import { computationParamsSchema, computationSchema, keyed, SURFACES, toComputationResponse } from './schema.ts';

export function registerResume(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'post',
    path: `/spaces/{spaceId}/${surface.path}/{id}/resume`,
    operationId: `resume${surface.Name}`,
    tags: [surface.tag],
    summary: `Resume ${surface.words}`,
    description: 'Its tasks go on where they were, and a slot of the schedule that it missed is run once.',
    security: SIGNED_IN,
    request: { params: computationParamsSchema },
    responses: answers(
      { 200: dataOf('Resumed.', keyed({ [surface.one]: computationSchema })) },
      'not_found',
      'conflict',
    ),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const address = { workspaceId, kind, ...c.req.valid('param') };
    const openTasks = await inTransaction(deps.pool, async (tx) => await resumeComputation(tx, address, actor));
    await signalTasks(deps, openTasks);
    const computation = await getComputation(deps.pool, address);
    return c.json({ data: { [surface.one]: toComputationResponse(computation) } }, 200);
  });
}
