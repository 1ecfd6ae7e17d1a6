import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireOwner } from '../../access/index.ts';
import { inTransaction } from '../../store/index.ts';
import { readTaskSettings, updateTaskSettings, type TaskSettings } from '../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN, timestampSchema } from '../schemas.ts';

const autoDisableAfterSchema = z
  .int('A whole number of hard failures, or null for never.')
  .min(1, 'At least 1, or null for never.')
  .max(1_000, 'At most 1,000, or null for never.')
  .nullable()
  .describe(
    'After so many hard failures in a row a computation is disabled, and syncs to a destination are suspended; null for never.',
  );

const settingsSchema = z
  .object({ autoDisableAfter: autoDisableAfterSchema, updatedAt: timestampSchema })
  .openapi('TaskSettings');

const readRoute = createRoute({
  method: 'get',
  path: '/settings/tasks',
  operationId: 'getTaskSettings',
  tags: ['Settings'],
  summary: 'Get the settings of tasks',
  security: SIGNED_IN,
  responses: answers({ 200: dataOf('The settings in force.', z.object({ tasks: settingsSchema })) }),
});

const changeRoute = createRoute({
  method: 'patch',
  path: '/settings/tasks',
  operationId: 'updateTaskSettings',
  tags: ['Settings'],
  summary: 'Change the settings of tasks',
  description: 'Owners only. What is disabled or suspended already stays so.',
  security: SIGNED_IN,
  request: { body: jsonBody(z.object({ autoDisableAfter: autoDisableAfterSchema }).strict()) },
  responses: answers({ 200: dataOf('The settings in force now.', z.object({ tasks: settingsSchema })) }, 'too_large'),
});

export function registerTaskSettings(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(readRoute, async (c) => {
    const settings = await readTaskSettings(pool, c.get('principal').workspaceId);
    return c.json({ data: { tasks: toResponse(settings) } }, 200);
  });
  app.openapi(changeRoute, async (c) => {
    const principal = c.get('principal');
    requireOwner(principal);
    const { workspaceId, actor } = principal;
    const { autoDisableAfter } = c.req.valid('json');
    const settings = await inTransaction(
      pool,
      async (tx) => await updateTaskSettings(tx, { workspaceId, autoDisableAfter, actor }),
    );
    return c.json({ data: { tasks: toResponse(settings) } }, 200);
  });
}

function toResponse(settings: TaskSettings): z.infer<typeof settingsSchema> {
  return { autoDisableAfter: settings.autoDisableAfter, updatedAt: settings.updatedAt.toISOString() };
}
