import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { getComputation, type ComputationKind } from '../../../computations/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { editComputation, outlastSends } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { requireMember } from '../../../access/index.ts';
import { answers, dataOf, jsonBody, SIGNED_IN } from '../../schemas.ts';
import { signalTasks } from '../../signal-tasks.ts';
import {
  computationParamsSchema,
  computationSchema,
  keyed,
  SURFACES,
  toComputationResponse,
  updateComputationSchema,
} from './schema.ts';

export function registerUpdateComputation(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'patch',
    path: `/spaces/{spaceId}/${surface.path}/{id}`,
    operationId: `update${surface.Name}ForSpace`,
    tags: [surface.tag],
    summary: `Change ${surface.words}`,
    description:
      'What is given is changed. A new definition, and enabling, make it due at once; a run of the old definition that waits for approval is cancelled. Enabling forgets hard failures, and resumes what they suspended. A key can not be changed.',
    security: SIGNED_IN,
    request: { params: computationParamsSchema, body: jsonBody(updateComputationSchema) },
    responses: answers(
      { 200: dataOf('It, changed.', keyed({ [surface.one]: computationSchema })) },
      'not_found',
      'too_large',
    ),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const address = { workspaceId: principal.workspaceId, kind, ...c.req.valid('param') };
    const patch = c.req.valid('json');
    const { view, signalled } = await inTransaction(deps.pool, async (tx) => ({
      signalled: await editComputation(tx, address, patch, principal.actor),
      view: await getComputation(tx, address),
    }));
    await signalTasks(deps, signalled);
    if (patch.enabled === false || patch.name !== undefined) {
      await outlastSends(deps.pool, { computationId: address.id });
    }
    return c.json({ data: { [surface.one]: toComputationResponse(view) } }, 200);
  });
}
