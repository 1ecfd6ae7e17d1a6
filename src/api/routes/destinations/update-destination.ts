import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember, requireOwner } from '../../../access/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { editDestination, outlastSends } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN } from '../../schemas.ts';
import { startTaskNow } from '../../start-task.ts';
import { signalTasks } from '../../signal-tasks.ts';
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
  description:
    'What is given is changed; maxSyncs by owners only. Nothing goes out as it was before any more; a sync under way goes on under what there is now, or is cancelled where it is switched off. Switched on it catches up at once.',
  security: SIGNED_IN,
  request: { params: destinationParamsSchema, body: jsonBody(updateDestinationSchema) },
  responses: answers(
    { 200: dataOf('The destination, changed.', z.object({ destination: destinationSchema })) },
    'not_found',
    'too_large',
  ),
});

export function registerUpdateDestination(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { name, ...patch } = c.req.valid('json');
    if (patch.maxSyncs !== undefined) requireOwner(principal);
    const { destinationId } = c.req.valid('param');
    const { view, made, open } = await inTransaction(
      deps.pool,
      async (tx) =>
        await editDestination(tx, deps.destinations, {
          ...patch,
          // Segment's SDK sends null for a name that it does not change.
          name: name ?? undefined,
          workspaceId: principal.workspaceId,
          destinationId,
          actor: principal.actor,
        }),
    );
    await signalTasks(deps, open);
    for (const taskId of made) await startTaskNow(deps, taskId);
    await outlastSends(deps.pool, { destinationId });
    return c.json({ data: { destination: toDestinationResponse(view) } }, 200);
  });
}
