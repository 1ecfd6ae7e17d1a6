import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { createDestination } from '../../../destinations/index.ts';
import { RequestError } from '../../../errors.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN } from '../../schemas.ts';
import { createDestinationSchema, destinationSchema, toDestinationResponse } from './schema.ts';

const route = createRoute({
  method: 'post',
  path: '/destinations',
  operationId: 'createDestination',
  tags: ['Destinations'],
  summary: 'Create a destination',
  description: "Its settings are checked by its kind's schema, and kept encrypted.",
  security: SIGNED_IN,
  request: { body: jsonBody(createDestinationSchema) },
  responses: answers(
    { 201: dataOf('The destination.', z.object({ destination: destinationSchema })) },
    'not_found',
    'too_large',
  ),
});

export function registerCreateDestination(app: OpenAPIHono<ApiEnv>, { pool, destinations }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { metadataId, ...input } = c.req.valid('json');
    const view = await inTransaction(
      pool,
      async (tx) =>
        await createDestination(tx, destinations, {
          ...input,
          slug: metadataId,
          workspaceId: principal.workspaceId,
          actor: principal.actor,
        }),
    ).catch((error: unknown) => {
      throw asMetadataId(error);
    });
    return c.json({ data: { destination: toDestinationResponse(view) } }, 201);
  });
}

// The body names the kind as Segment does.
function asMetadataId(error: unknown): unknown {
  if (!(error instanceof RequestError && error.field === 'slug')) return error;
  return new RequestError(error.kind, error.code, error.message, { field: 'metadataId', cause: error });
}
