import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { createAccessToken, requireMayCreateToken } from '../../../access/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, nameSchema, SIGNED_IN, timestampSchema } from '../../schemas.ts';
import { roleSchema } from './schema.ts';

const route = createRoute({
  method: 'post',
  path: '/access-tokens',
  operationId: 'createAccessToken',
  tags: ['Access tokens'],
  summary: 'Create an access token',
  description:
    'The answer has the token, once: only a hash of it is kept. It ends when whoever made it is no owner of the workspace any more. For owners; a support user who has signed in makes tokens of its own role, which end after twelve hours, or with that session.',
  security: SIGNED_IN,
  request: { body: jsonBody(z.object({ name: nameSchema, role: roleSchema }).strict()) },
  responses: answers(
    {
      201: dataOf(
        'The token.',
        z.object({
          accessToken: z.object({
            id: z.string(),
            name: z.string(),
            role: roleSchema,
            token: z.string(),
            expiresAt: timestampSchema.nullable(),
          }),
        }),
      ),
    },
    'too_large',
  ),
});

export function registerCreateAccessToken(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    const { name, role } = c.req.valid('json');
    requireMayCreateToken(principal, role);
    const { id, token, expiresAt } = await inTransaction(
      pool,
      async (tx) =>
        await createAccessToken(tx, {
          workspaceId: principal.workspaceId,
          name,
          role,
          actor: principal.actor,
          sessionHash: role === 'support' ? principal.sessionHash : undefined,
        }),
    );
    return c.json(
      { data: { accessToken: { id, name, role, token, expiresAt: expiresAt?.toISOString() ?? null } } },
      201,
    );
  });
}
