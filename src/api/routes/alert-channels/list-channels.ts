import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireOwner } from '../../../access/index.ts';
import { listChannels } from '../../../alerts/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, pageOf, paginationQuerySchema, paginationSchema, SIGNED_IN } from '../../schemas.ts';
import { channelSchema, toChannelResponse } from './schema.ts';

const route = createRoute({
  method: 'get',
  path: '/alert-channels',
  operationId: 'listAlertChannels',
  tags: ['Alerts'],
  summary: 'List alert channels',
  description: "Oldest first. For owners: a hook's address is often a secret of its own.",
  security: SIGNED_IN,
  request: { query: paginationQuerySchema },
  responses: answers({
    200: dataOf('A page.', z.object({ channels: z.array(channelSchema), pagination: paginationSchema })),
  }),
});

export function registerListChannels(app: OpenAPIHono<ApiEnv>, { pool, secretBox }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireOwner(principal);
    const channels = await listChannels(pool, secretBox, principal.workspaceId);
    const { rows, pagination } = pageOf(channels, c.req.valid('query'));
    return c.json({ data: { channels: rows.map(toChannelResponse), pagination } }, 200);
  });
}
