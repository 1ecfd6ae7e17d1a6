import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireOwner } from '../../../access/index.ts';
import { testChannel } from '../../../alerts/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { channelParamsSchema } from './schema.ts';

const route = createRoute({
  method: 'post',
  path: '/alert-channels/{channelId}/tests',
  operationId: 'testAlertChannel',
  tags: ['Alerts'],
  summary: 'Test an alert channel',
  description: 'Sends a signed test message at once, and answers how the receiver took it. For owners.',
  security: SIGNED_IN,
  request: { params: channelParamsSchema },
  responses: answers(
    {
      200: dataOf(
        'How the receiver took it.',
        z.object({ delivered: z.boolean(), status: z.int().nullable(), error: z.string().nullable() }),
      ),
    },
    'not_found',
  ),
});

export function registerTestChannel(app: OpenAPIHono<ApiEnv>, { pool, secretBox, dispatcher }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireOwner(principal);
    const result = await testChannel(
      { pool, secretBox, dispatcher },
      { workspaceId: principal.workspaceId, channelId: c.req.valid('param').channelId },
    );
    return c.json({ data: result }, 200);
  });
}
