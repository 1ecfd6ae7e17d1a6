import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { getComputation, type ComputationKind } from '../../../computations/index.ts';
import { readOverview, type TaskView } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN, wholeNumberQuery } from '../../schemas.ts';
import { taskSchema, toTaskResponse } from '../tasks/tasks-schema.ts';
import { computationParamsSchema, computationSchema, keyed, SURFACES, toComputationResponse } from './schema.ts';

const querySchema = z.object({
  limit: wholeNumberQuery({
    max: 50,
    default: 10,
    description: 'How many runs, and how many syncs of each destination, at most.',
  }),
});

export function registerGetOverview(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const { pool } = deps;
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'get',
    path: `/spaces/{spaceId}/${surface.path}/{id}/overview`,
    operationId: `get${surface.Name}Overview`,
    tags: [surface.tag],
    summary: `Get the overview of ${surface.words}`,
    description:
      'Its status and size, the hard failures that stand, and its latest runs and syncs with every attempt and step, each with what is true of it now.',
    security: SIGNED_IN,
    request: { params: computationParamsSchema, query: querySchema },
    responses: answers(
      {
        200: dataOf(
          'The overview.',
          keyed({
            [surface.one]: computationSchema,
            hardFailures: z
              .array(taskSchema)
              .describe(
                'The latest outcome of its runs, and of its syncs to each destination, where it is a hard failure.',
              ),
            runs: z.array(taskSchema).describe('Newest first.'),
            syncs: z.array(taskSchema).describe('Newest first.'),
          }),
        ),
      },
      'not_found',
    ),
  });
  app.openapi(route, async (c) => {
    const { workspaceId } = c.get('principal');
    const params = c.req.valid('param');
    const view = await getComputation(pool, { workspaceId, kind, ...params });
    const overview = await readOverview(pool, {
      workspaceId,
      computationId: params.id,
      limit: c.req.valid('query').limit,
    });
    const toResponse = (task: TaskView) => toTaskResponse(task, deps);
    return c.json(
      {
        data: {
          [surface.one]: toComputationResponse(view),
          hardFailures: overview.hardFailures.map(toResponse),
          runs: overview.runs.map(toResponse),
          syncs: overview.syncs.map(toResponse),
        },
      },
      200,
    );
  });
}
