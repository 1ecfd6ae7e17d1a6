import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { getComputation, type ComputationKind } from '../../../computations/index.ts';
import { updateConnection } from '../../../connections/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { outlastSends } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN } from '../../schemas.ts';
import { audienceSettingsSchema, enteredSecretsSchema } from './connection-input-schema.ts';
import { connectionParamsSchema, connectionSchema } from './connections-schema.ts';
import { SURFACES } from '../computations/schema.ts';

export function registerUpdateConnection(
  kind: ComputationKind,
  app: OpenAPIHono<ApiEnv>,
  { pool, destinations }: ApiDeps,
): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'patch',
    path: `/spaces/{spaceId}/${surface.path}/{id}/destinations/{destinationId}`,
    operationId: `update${surface.Name}Connection`,
    tags: [surface.tag],
    summary: `Change the settings of ${surface.words} at a destination`,
    security: SIGNED_IN,
    request: {
      params: connectionParamsSchema,
      body: jsonBody(z.object({ settings: audienceSettingsSchema, secrets: enteredSecretsSchema.optional() }).strict()),
    },
    responses: answers(
      { 200: dataOf('The connection, changed.', z.object({ connection: connectionSchema })) },
      'not_found',
      'too_large',
    ),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const { destinationId, ...params } = c.req.valid('param');
    const { settings, secrets } = c.req.valid('json');
    const connection = await inTransaction(pool, async (tx) => {
      const computation = await getComputation(tx, { workspaceId, kind, ...params });
      return await updateConnection(tx, destinations, {
        workspaceId,
        computationId: computation.id,
        destinationId,
        actor,
        audienceSettings: settings,
        secrets,
      });
    });
    await outlastSends(pool, { destinationId });
    return c.json({ data: { connection } }, 200);
  });
}
