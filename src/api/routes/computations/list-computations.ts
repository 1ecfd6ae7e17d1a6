import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { getSpace } from '../../../access/index.ts';
import { listComputations, type ComputationKind } from '../../../computations/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import {
  answers,
  dataOf,
  pageAfter,
  paginationQuerySchema,
  paginationSchema,
  readCursor,
  SIGNED_IN,
  spaceParamsSchema,
} from '../../schemas.ts';
import { computationSchema, keyed, SURFACES, toComputationResponse } from './schema.ts';

export function registerListComputations(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'get',
    path: `/spaces/{spaceId}/${surface.path}`,
    operationId: `list${surface.Name}s`,
    tags: [surface.tag],
    summary: `List ${surface.tag.toLowerCase()}`,
    description: 'Oldest first, each with its status, size and destinations.',
    security: SIGNED_IN,
    request: { params: spaceParamsSchema, query: paginationQuerySchema },
    responses: answers(
      {
        200: dataOf('A page.', keyed({ [surface.many]: z.array(computationSchema), pagination: paginationSchema })),
      },
      'not_found',
    ),
  });
  app.openapi(route, async (c) => {
    const { workspaceId } = c.get('principal');
    const { spaceId } = c.req.valid('param');
    const query = c.req.valid('query');
    const cursor = query['pagination[cursor]'];
    await getSpace(pool, workspaceId, spaceId);
    const { rows, total, ...neighbours } = await listComputations(pool, {
      workspaceId,
      spaceId,
      kind,
      afterId: readCursor(cursor),
      limit: query['pagination[count]'],
    });
    return c.json(
      {
        data: {
          [surface.many]: rows.map(toComputationResponse),
          pagination: pageAfter(cursor, neighbours, total),
        },
      },
      200,
    );
  });
}
