import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireOwner } from '../../../access/index.ts';
import { outlastPosts, updateChannel } from '../../../alerts/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, nameSchema, SIGNED_IN } from '../../schemas.ts';
import { channelParamsSchema, channelSchema, channelUrlSchema, toChannelResponse } from './schema.ts';

const route = createRoute({
  method: 'patch',
  path: '/alert-channels/{channelId}',
  operationId: 'updateAlertChannel',
  tags: ['Alerts'],
  summary: 'Change an alert channel',
  description: 'What is given is changed. Switched off, it gets nothing any more. For owners.',
  security: SIGNED_IN,
  request: {
    params: channelParamsSchema,
    body: jsonBody(
      z
        .object({ name: nameSchema.optional(), url: channelUrlSchema.optional(), enabled: z.boolean().optional() })
        .strict(),
    ),
  },
  responses: answers(
    { 200: dataOf('The channel, changed.', z.object({ channel: channelSchema })) },
    'not_found',
    'too_large',
  ),
});

export function registerUpdateChannel(app: OpenAPIHono<ApiEnv>, { pool, secretBox }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireOwner(principal);
    const channel = await inTransaction(
      pool,
      async (tx) =>
        await updateChannel(tx, secretBox, {
          workspaceId: principal.workspaceId,
          channelId: c.req.valid('param').channelId,
          actor: principal.actor,
          ...c.req.valid('json'),
        }),
    );
    await outlastPosts(pool, channel.id);
    return c.json({ data: { channel: toChannelResponse(channel) } }, 200);
  });
}
