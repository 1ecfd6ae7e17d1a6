import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../../access/index.ts';
import { DRY_RUN_SECONDS, dryRun, getComputation, type ComputationKind } from '../../../../computations/index.ts';
import { asksFirst } from '../../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN } from '../../../schemas.ts';
import { withExactNumbers } from '../../../answers/exact-answer.ts';
import { dryRunBodySchema, dryRuns, dryRunSchema, toDryRunResponse } from './dry-run-schema.ts';
import { computationParamsSchema, SURFACES } from '../schema.ts';

export function registerDryRun(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'post',
    path: `/spaces/{spaceId}/${surface.path}/{id}/dry-run`,
    operationId: `dryRun${surface.Name}`,
    tags: [surface.tag],
    summary: `See what another definition would change of ${surface.words}`,
    description: `Computes the definition as of now, compares it with what is live, and writes nothing down. A definition that is not valid is refused as in creating one; one that takes longer than ${DRY_RUN_SECONDS} s is stopped. One at a time in a workspace.`,
    security: SIGNED_IN,
    request: { params: computationParamsSchema, body: jsonBody(dryRunBodySchema) },
    responses: answers(
      {
        200: dataOf(
          'What it would change.',
          z.object({
            dryRun: dryRunSchema,
            asksForApproval: z
              .boolean()
              .describe('Whether the guard would stop such a run before its commit, and ask.'),
          }),
        ),
      },
      'not_found',
      'too_large',
    ),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId } = principal;
    const params = c.req.valid('param');
    const { definition } = c.req.valid('json');
    const computation = await getComputation(deps.pool, { workspaceId, kind, ...params });
    const found = await dryRuns.run(
      workspaceId,
      async () =>
        await dryRun(
          deps,
          {
            workspaceId,
            spaceId: params.spaceId,
            kind,
            definition,
            computation: {
              id: computation.id,
              key: computation.key,
              liveVersion: computation.live_version,
              liveAsOf: computation.live_as_of,
            },
          },
          { signal: c.req.raw.signal },
        ),
    );
    const { before, exited } = found;
    const asksForApproval = asksFirst(computation, {
      before,
      exited,
      exitedShare: before === 0 ? 0 : exited / before,
    });
    const answer = { data: { dryRun: toDryRunResponse(found), asksForApproval } };
    return withExactNumbers(c.json(answer, 200), answer);
  });
}
