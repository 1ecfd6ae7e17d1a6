import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { findWorkspace, PLANS, type Principal } from '../../access/index.ts';
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
  app.openapi(route, async (c) => c.json(await readWorkspace(c.get('principal'), deps), 200));
  // The page at `/` leaves to this whoever does not want a page.
  app.get('/', async (c) => c.json(await readWorkspace(c.get('principal'), deps)));
}

async function readWorkspace(
  { workspaceId }: Principal,
  { pool }: ApiDeps,
): Promise<{ data: { workspace: z.infer<typeof workspaceSchema> } }> {
  const workspace = await findWorkspace(pool, workspaceId);
  if (workspace === undefined) throw new Error(`workspace ${workspaceId} of a principal is not there`);
  const { id, slug, name, plan } = workspace;
  return { data: { workspace: { id, slug, name, plan } } };
}
