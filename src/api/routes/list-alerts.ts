import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { listAlerts } from '../../alerts/index.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { answers, dataOf, paginationQuerySchema, paginationSchema, SIGNED_IN, timestampSchema } from '../schemas.ts';

const kindSchema = z.enum(['transient_failure', 'hard_failure', 'recovery', 'notice']);
const decisionSchema = z.enum(['sent', 'held', 'folded', 'released', 'suppressed']);

const alertSchema = z
  .object({
    id: z.string(),
    workspaceId: z.string(),
    kind: kindSchema,
    decision: decisionSchema,
    rule: z.string().describe('The rule that decided.'),
    title: z.string(),
    body: z.string(),
    auditEventId: z.string(),
    taskId: z.string().nullable(),
    computationId: z.string().nullable(),
    attempts: z.array(
      z.object({
        attempt: z.int(),
        at: timestampSchema,
        step: z.string().nullable(),
        code: z.string(),
        class: z.enum(['transient', 'hard']),
        message: z.string(),
      }),
    ),
    createdAt: timestampSchema,
    decidedAt: timestampSchema,
    holdUntil: timestampSchema.nullable(),
    foldedInto: z.string().nullable().describe('The alert that carries this one.'),
    closedBy: z.string().nullable().describe('The recovery that closed what this alert opened.'),
    now: z
      .object({
        taskStatus: z.string(),
        attempts: z.int(),
        maxAttempts: z.int(),
        recoveredAt: timestampSchema.nullable(),
        latestTaskId: z.string(),
        latestTaskStatus: z.string().describe('A later run or sync may have succeeded since.'),
      })
      .nullable()
      .describe('How it is now, whatever the alert said then; null for an alert about no task.'),
  })
  .openapi('Alert');

const route = createRoute({
  method: 'get',
  path: '/alerts',
  operationId: 'listAlerts',
  tags: ['Alerts'],
  summary: 'List alerts',
  description: 'Newest first, whatever was decided about them: also what was held, folded or suppressed.',
  security: SIGNED_IN,
  request: {
    query: paginationQuerySchema.extend({
      decision: decisionSchema.optional(),
      kind: kindSchema.optional(),
      taskId: z.string().min(1).max(100).optional(),
      computationId: z.string().min(1).max(100).optional(),
    }),
  },
  responses: answers({
    200: dataOf('A page.', z.object({ alerts: z.array(alertSchema), pagination: paginationSchema })),
  }),
});

export function registerListAlerts(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const { 'pagination[cursor]': cursor, 'pagination[count]': count, ...filters } = c.req.valid('query');
    const page = await listAlerts(pool, { workspaceId: c.get('principal').workspaceId, cursor, count, ...filters });
    return c.json({ data: page }, 200);
  });
}
