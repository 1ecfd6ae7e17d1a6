import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireTrailAccess } from '../../access/index.ts';
import { readAuditTrail } from '../../audit/index.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import {
  answers,
  dataOf,
  paginationQuerySchema,
  paginationSchema,
  SIGNED_IN,
  timeQuery,
  timestampSchema,
} from '../schemas.ts';

/** AuditEventV1 of Segment's Public API, and after resourceName what Trailmark adds. */
const auditEventSchema = z
  .object({
    id: z.string(),
    timestamp: timestampSchema,
    type: z.string(),
    actor: z.string().describe("The actor's id."),
    actorEmail: z.string().optional(),
    resourceId: z.string(),
    resourceType: z.string(),
    resourceName: z.string(),
    actorKind: z.enum(['user', 'token', 'support', 'system']),
    actorName: z.string(),
    spaceId: z.string().nullable(),
    outcome: z.enum(['success', 'failure']),
    details: z.record(z.string(), z.unknown()),
    before: z.unknown().optional().describe('The resource before the change, secrets masked.'),
    after: z.unknown().optional().describe('The resource after the change, secrets masked.'),
    taskId: z.string().nullable(),
    attempt: z.int().nullable(),
  })
  .openapi('AuditEvent');

const route = createRoute({
  method: 'get',
  path: '/audit-events',
  operationId: 'listAuditEvents',
  tags: ['Audit trail'],
  summary: 'List audit events',
  description:
    'A bounded reading: a time range and filters, newest first. Needs a Workspace Owner in a workspace on the business plan; otherwise the 403 says which of the two it is. Reading is audited itself.',
  security: SIGNED_IN,
  request: {
    query: paginationQuerySchema.extend({
      startTime: timeQuery('Events at or after it.'),
      endTime: timeQuery('Events before it.'),
      resourceId: z.string().min(1).max(200).optional(),
      resourceType: z.string().min(1).max(100).optional(),
      type: z.string().min(1).max(200).optional().describe('A name of the catalogue, or an alias, in any case.'),
      actor: z.string().min(1).max(320).optional().describe("An actor's id or email."),
    }),
  },
  responses: answers({
    200: dataOf('A page.', z.object({ events: z.array(auditEventSchema), pagination: paginationSchema })),
  }),
});

export function registerListAuditEvents(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireTrailAccess(principal);
    const { startTime, endTime, ...query } = c.req.valid('query');
    const page = await readAuditTrail(pool, principal.actor, {
      workspaceId: principal.workspaceId,
      startTime: startTime === undefined ? undefined : new Date(startTime),
      endTime: endTime === undefined ? undefined : new Date(endTime),
      resourceId: query.resourceId,
      resourceType: query.resourceType,
      type: query.type,
      actor: query.actor,
      cursor: query['pagination[cursor]'],
      count: query['pagination[count]'],
    });
    return c.json({ data: page }, 200);
  });
}
