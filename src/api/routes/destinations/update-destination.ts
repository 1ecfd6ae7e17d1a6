import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember, requireOwner } from '../../../access/index.ts';
import { updateDestination } from '../../../destinations/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN } from '../../schemas.ts';
import {
  destinationParamsSchema,
  destinationSchema,
  toDestinationResponse,
  updateDestinationSchema,
} from './schema.ts';

const route = createRoute({
  method: 'patch',
  path: '/destinations/{destinationId}',
  operationId: 'updateDestination',
  tags: ['Destinations'],
  summary: 'Change a destination',
  description: 'What is given is changed; maxSyncs by owners only.',
  security: SIGNED_IN,
  request: { params: destinationParamsSchema, body: jsonBody(updateDestinationSchema) },
  responses: answers(
    { 200: dataOf('The destination, changed.', z.object({ destination: destinationSchema })) },
    'not_found',
    'too_large',
  ),
});

export function registerUpdateDestination(app: OpenAPIHono<ApiEnv>, { pool, destinations }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { name, ...patch } = c.req.valid('json');
    if (patch.maxSyncs !== undefined) requireOwner(principal);
    const view = await inTransaction(
      pool,
      async (tx) =>
        await updateDestination(tx, destinations, {
          ...patch,
          // Segment's SDK sends null for a name that it does not change.
          name: name ?? undefined,
          workspaceId: principal.workspaceId,
          destinationId: c.req.valid('param').destinationId,
          actor: principal.actor,
        }),
    );
    return c.json({ data: { destination: toDestinationResponse(view) } }, 200);
  });
}
