import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { readSettings, setReducedNotifications, type AlertSettings } from '../../alerts/index.ts';
import { inTransaction } from '../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN, timestampSchema } from '../schemas.ts';

const settingsSchema = z
  .object({
    reducedNotifications: z
      .boolean()
      .describe('Alerts about failures that are tried again wait for the outcome. The trail has every failure anyway.'),
    reason: z.string().nullable(),
    expiresAt: timestampSchema.nullable(),
    updatedAt: timestampSchema,
  })
  .openapi('NotificationSettings');

const readRoute = createRoute({
  method: 'get',
  path: '/settings/notifications',
  operationId: 'getNotificationSettings',
  tags: ['Settings'],
  summary: 'Get the notification settings',
  security: SIGNED_IN,
  responses: answers({ 200: dataOf('The settings in force.', z.object({ notifications: settingsSchema })) }),
});

const changeRoute = createRoute({
  method: 'patch',
  path: '/settings/notifications',
  operationId: 'updateNotificationSettings',
  tags: ['Settings'],
  summary: 'Switch reduced notifications',
  description:
    'On: support only, with a reason. Off: support or an owner; what is held is released. Audited, and told to the workspace.',
  security: SIGNED_IN,
  request: {
    body: jsonBody(
      z
        .object({
          reducedNotifications: z.boolean(),
          reason: z.string().max(500, 'A reason has at most 500 characters.').optional(),
          expiresAt: z.iso
            .datetime({ offset: true, error: 'A time in ISO 8601, such as 2026-01-31T12:00:00Z, or null for no end.' })
            .nullable()
            .optional(),
        })
        .strict(),
    ),
  },
  responses: answers(
    { 200: dataOf('The settings in force now.', z.object({ notifications: settingsSchema })) },
    'too_large',
  ),
});

export function registerNotificationSettings(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(readRoute, async (c) => {
    const settings = await readSettings(pool, c.get('principal').workspaceId);
    return c.json({ data: { notifications: toSettingsResponse(settings) } }, 200);
  });
  app.openapi(changeRoute, async (c) => {
    const { reducedNotifications: enabled, reason, expiresAt } = c.req.valid('json');
    const settings = await inTransaction(
      pool,
      async (tx) =>
        await setReducedNotifications(tx, {
          principal: c.get('principal'),
          enabled,
          reason,
          expiresAt: expiresAt == null ? null : new Date(expiresAt),
        }),
    );
    return c.json({ data: { notifications: toSettingsResponse(settings) } }, 200);
  });
}

function toSettingsResponse(settings: AlertSettings): z.infer<typeof settingsSchema> {
  return {
    reducedNotifications: settings.reducedNotifications,
    reason: settings.reason,
    expiresAt: settings.expiresAt?.toISOString() ?? null,
    updatedAt: settings.updatedAt.toISOString(),
  };
}
