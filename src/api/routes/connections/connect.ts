import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { getComputation, type ComputationKind } from '../../../computations/index.ts';
import { connectComputation } from '../../../connections/index.ts';
import { getDestination } from '../../../destinations/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { createTask } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN } from '../../schemas.ts';
import { startTaskNow } from '../../start-task.ts';
import { audienceSettingsSchema, enteredSecretsSchema } from './connection-input-schema.ts';
import { connectionSchema } from './connections-schema.ts';
import { computationParamsSchema, SURFACES } from '../computations/schema.ts';

export function registerConnect(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'post',
    path: `/spaces/{spaceId}/${surface.path}/{id}/destinations`,
    operationId: `connect${surface.Name}`,
    tags: [surface.tag],
    summary: `Connect ${surface.words} to a destination`,
    description: 'Of the same space. What is live is synced at once; after that every run is.',
    security: SIGNED_IN,
    request: {
      params: computationParamsSchema,
      body: jsonBody(
        z
          .object({
            destinationId: z.string().min(1).max(100),
            settings: audienceSettingsSchema.optional(),
            secrets: enteredSecretsSchema.optional(),
          })
          .strict(),
      ),
    },
    responses: answers(
      {
        201: dataOf(
          'The connection.',
          z.object({
            connection: connectionSchema,
            taskId: z.string().nullable().describe('The first sync; null where nothing is live yet.'),
          }),
        ),
      },
      'not_found',
      'conflict',
      'too_large',
    ),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const address = { workspaceId, kind, ...c.req.valid('param') };
    const { destinationId, settings, secrets } = c.req.valid('json');
    const made = await inTransaction(deps.pool, async (tx) => {
      const computation = await getComputation(tx, address);
      const connection = await connectComputation(tx, deps.destinations, {
        workspaceId,
        computationId: computation.id,
        destinationId,
        actor,
        audienceSettings: settings,
        secrets,
      });
      const destination = await getDestination(tx, deps.destinations, workspaceId, destinationId);
      const syncable = computation.enabled && computation.live_version !== null && destination.enabled;
      const taskId = syncable
        ? await createTask(tx, {
            workspaceId,
            spaceId: address.spaceId,
            computationId: computation.id,
            connectionId: connection.id,
            kind: 'sync',
            reason: 'catch_up',
          })
        : null;
      return { connection, taskId };
    });
    if (made.taskId !== null) await startTaskNow(deps, made.taskId);
    return c.json({ data: made }, 201);
  });
}
