import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import {
  computationKey,
  createComputation,
  getComputation,
  type ComputationKind,
} from '../../../computations/index.ts';
import { connectComputation } from '../../../connections/index.ts';
import { RequestError } from '../../../errors.ts';
import { isRecordedTrait } from '../../../profiles/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN, spaceParamsSchema } from '../../schemas.ts';
import { computationSchema, createComputationSchema, keyed, SURFACES, toComputationResponse } from './schema.ts';

export function registerCreateComputation(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const { pool, clickhouse, destinations: destinationDeps } = deps;
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'post',
    path: `/spaces/{spaceId}/${surface.path}`,
    operationId: `create${surface.Name}`,
    tags: [surface.tag],
    summary: `Create ${surface.words}`,
    description:
      'It is due at once. A definition that does not parse is refused with the place (data: offset, line, column), what was found and what was expected.',
    security: SIGNED_IN,
    request: { params: spaceParamsSchema, body: jsonBody(createComputationSchema) },
    responses: answers(
      { 201: dataOf('It.', keyed({ [surface.one]: computationSchema })) },
      'not_found',
      'conflict',
      'too_large',
    ),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const { spaceId } = c.req.valid('param');
    const { destinations, ...input } = c.req.valid('json');
    const keyIsRecorded = await isRecordedTrait(clickhouse, spaceId, computationKey(input));
    const view = await inTransaction(pool, async (tx) => {
      const { id } = await createComputation(tx, { workspaceId, spaceId, kind, ...input, keyIsRecorded }, actor);
      for (const [position, { destinationId, settings, secrets }] of (destinations ?? []).entries()) {
        await connectComputation(tx, destinationDeps, {
          workspaceId,
          computationId: id,
          destinationId,
          actor,
          audienceSettings: settings,
          secrets,
        }).catch((error: unknown) => {
          throw inDestinations(error, position);
        });
      }
      return await getComputation(tx, { workspaceId, spaceId, kind, id });
    });
    return c.json({ data: { [surface.one]: toComputationResponse(view) } }, 201);
  });
}

// What is wrong with one of the destinations is a fault of this body: its field says which of them it is.
function inDestinations(error: unknown, position: number): unknown {
  if (!(error instanceof RequestError)) return error;
  const field = error.field?.replace(/^audienceSettings/, 'settings') ?? 'destinationId';
  return new RequestError('invalid', error.code, error.message, {
    field: `destinations.${position}.${field}`,
    ...(error.data === undefined ? {} : { data: error.data }),
    cause: error,
  });
}
