import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { getSpace, requireMember } from '../../../../access/index.ts';
import { DRY_RUN_SECONDS, dryRun, type ComputationKind } from '../../../../computations/index.ts';
import type { ApiDeps, ApiEnv } from '../../../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN, spaceParamsSchema } from '../../../schemas.ts';
import { withExactNumbers } from '../../../answers/exact-answer.ts';
import { dryRunBodySchema, dryRuns, dryRunSchema, toDryRunResponse } from './dry-run-schema.ts';
import { SURFACES } from '../schema.ts';

export function registerPreview(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'post',
    path: `/spaces/{spaceId}/${surface.path}/preview`,
    operationId: `preview${surface.Name}`,
    tags: [surface.tag],
    summary: `See what ${surface.words} would find before there is one`,
    description: `As a dry run that is compared with nothing: its size and examples, and nothing is written down. One that takes longer than ${DRY_RUN_SECONDS} s is stopped. One at a time in a workspace.`,
    security: SIGNED_IN,
    request: { params: spaceParamsSchema, body: jsonBody(dryRunBodySchema) },
    responses: answers(
      { 200: dataOf('What it would find.', z.object({ dryRun: dryRunSchema })) },
      'not_found',
      'too_large',
    ),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId } = principal;
    const { spaceId } = c.req.valid('param');
    const { definition } = c.req.valid('json');
    await getSpace(deps.pool, workspaceId, spaceId);
    const found = await dryRuns.run(
      workspaceId,
      async () =>
        await dryRun(deps, { workspaceId, spaceId, kind, definition, computation: null }, { signal: c.req.raw.signal }),
    );
    const answer = { data: { dryRun: toDryRunResponse(found) } };
    return withExactNumbers(c.json(answer, 200), answer);
  });
}
