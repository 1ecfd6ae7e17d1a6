import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { requireOwner } from '../../../access/index.ts';
import { deleteChannel, outlastPosts } from '../../../alerts/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, DELETED, deletedSchema, SIGNED_IN } from '../../schemas.ts';
import { channelParamsSchema } from './schema.ts';

const route = createRoute({
  method: 'delete',
  path: '/alert-channels/{channelId}',
  operationId: 'deleteAlertChannel',
  tags: ['Alerts'],
  summary: 'Delete an alert channel',
  description: 'What still waits for it is given up: the app has those alerts. For owners.',
  security: SIGNED_IN,
  request: { params: channelParamsSchema },
  responses: answers({ 200: dataOf('Deleted.', deletedSchema) }, 'not_found'),
});

export function registerDeleteChannel(app: OpenAPIHono<ApiEnv>, { pool, secretBox }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireOwner(principal);
    const { actor, workspaceId } = principal;
    const { channelId } = c.req.valid('param');
    await inTransaction(pool, async (tx) => await deleteChannel(tx, secretBox, { workspaceId, channelId, actor }));
    await outlastPosts(pool, channelId);
    return c.json(DELETED, 200);
  });
}
