import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { findWorkspace, PLANS } from '../../access/index.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../schemas.ts';

const workspaceSchema = z
  .object({ id: z.string(), slug: z.string(), name: z.string(), plan: z.enum(PLANS) })
  .openapi('Workspace');

const route = createRoute({
  method: 'get',
  path: '/workspace',
  operationId: 'getWorkspace',
  tags: ['Workspace'],
  summary: 'Get the workspace',
  description:
    "The workspace of the token or session. Segment's Public API has it at `/`, and so has this one for whoever accepts JSON and not HTML there.",
  security: SIGNED_IN,
  responses: answers({ 200: dataOf('The workspace.', z.object({ workspace: workspaceSchema })) }),
});

export function registerGetWorkspace(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(route, async (c) => c.json(await readWorkspace(c, deps), 200));
}

/** What both `/workspace` and, for a program, `/` answer. */
export async function readWorkspace(
  c: Context<ApiEnv>,
  { pool }: ApiDeps,
): Promise<{ data: { workspace: z.infer<typeof workspaceSchema> } }> {
  const { workspaceId } = c.get('principal');
  const workspace = await findWorkspace(pool, workspaceId);
  if (workspace === undefined) throw new Error(`workspace ${workspaceId} of a principal is not there`);
  const { id, slug, name, plan } = workspace;
  return { data: { workspace: { id, slug, name, plan } } };
}
