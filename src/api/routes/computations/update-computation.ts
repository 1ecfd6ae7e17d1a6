import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { getComputation, updateComputation, type ComputationKind } from '../../../compute/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { requireMember } from '../../../access/index.ts';
import { answers, dataOf, jsonBody, SIGNED_IN } from '../../schemas.ts';
import {
  computationParamsSchema,
  computationSchema,
  keyed,
  SURFACES,
  toComputationResponse,
  updateComputationSchema,
} from './schema.ts';

export function registerUpdateComputation(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'patch',
    path: `/spaces/{spaceId}/${surface.path}/{id}`,
    operationId: `update${surface.Name}ForSpace`,
    tags: [surface.tag],
    summary: `Change ${surface.words}`,
    description:
      'What is given is changed. A new definition, and enabling, make it due at once. A key can not be changed.',
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
    const view = await inTransaction(pool, async (tx) => {
      await updateComputation(tx, address, patch, principal.actor);
      return await getComputation(tx, address);
    });
    return c.json({ data: { [surface.one]: toComputationResponse(view) } }, 200);
  });
}
