import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireOwner } from '../../../access/index.ts';
import { createChannel } from '../../../alerts/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, nameSchema, SIGNED_IN } from '../../schemas.ts';
import { channelSchema, channelUrlSchema, toChannelResponse } from './schema.ts';

const route = createRoute({
  method: 'post',
  path: '/alert-channels',
  operationId: 'createAlertChannel',
  tags: ['Alerts'],
  summary: 'Create an alert channel',
  description: 'A webhook, signed as Standard Webhooks. The answer has its signing secret, once. For owners.',
  security: SIGNED_IN,
  request: { body: jsonBody(z.object({ name: nameSchema, url: channelUrlSchema }).strict()) },
  responses: answers(
    {
      201: dataOf(
        'The channel and its secret.',
        z.object({ channel: channelSchema, secret: z.string().describe('whsec_…, to check signatures by.') }),
      ),
    },
    'too_large',
  ),
});

export function registerCreateChannel(app: OpenAPIHono<ApiEnv>, { pool, secretBox }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireOwner(principal);
    const { name, url } = c.req.valid('json');
    const { channel, secret } = await inTransaction(
      pool,
      async (tx) =>
        await createChannel(tx, secretBox, { workspaceId: principal.workspaceId, name, url, actor: principal.actor }),
    );
    return c.json({ data: { channel: toChannelResponse(channel), secret } }, 201);
  });
}
