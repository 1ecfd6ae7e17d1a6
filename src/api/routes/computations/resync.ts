import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import type { ComputationKind } from '../../../computations/index.ts';
import { inTransaction } from '../../../store/index.ts';
import { requestResync } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, optionalJsonBody, SIGNED_IN } from '../../schemas.ts';
import { startTaskNow } from '../../start-task.ts';
import { computationParamsSchema, SURFACES } from './schema.ts';

const resyncSchema = z
  .object({
    connectionId: z.string(),
    destinationId: z.string(),
    destinationName: z.string(),
    taskId: z.string().nullable().describe('The sync that sends everything, where it could be made at once.'),
    after: z
      .enum(['open_sync', 'resume', 'enable'])
      .nullable()
      .describe('What it comes after, where none could be made at once: the next sync sends everything then.'),
  })
  .openapi('Resync');

export function registerResync(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'post',
    path: `/spaces/{spaceId}/${surface.path}/{id}/resync`,
    operationId: `resync${surface.Name}`,
    tags: [surface.tag],
    summary: `Send all of ${surface.words} again`,
    description:
      'Everything that is live, whatever the destination has acknowledged, and what it has that is not live any more: for a tool that lost what it was sent.',
    security: SIGNED_IN,
    request: {
      params: computationParamsSchema,
      body: optionalJsonBody(
        z
          .object({
            destinationIds: z
              .array(z.string().min(1).max(100))
              .min(1, 'At least one destination, or leave it away for all of them.')
              .max(50, 'At most 50 destinations.')
              .optional()
              .describe('Left away: all that it is connected to.'),
          })
          .strict(),
      ),
    },
    responses: answers(
      { 200: dataOf('Of each destination, what comes of it.', z.object({ destinations: z.array(resyncSchema) })) },
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
    const { destinationIds } = c.req.valid('json');
    const destinations = await inTransaction(
      deps.pool,
      async (tx) => await requestResync(tx, address, { actor, destinationIds }),
    );
    for (const { taskId } of destinations) if (taskId !== null) await startTaskNow(deps, taskId);
    return c.json({ data: { destinations } }, 200);
  });
}
