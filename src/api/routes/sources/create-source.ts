import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember } from '../../../access/index.ts';
import { connectSource, createSource, updateSource } from '../../../pipeline/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, nameSchema, SIGNED_IN } from '../../schemas.ts';
import { HTTP_API, noSettingsSchema, sourceSchema, toSourceResponse } from './schema.ts';

const route = createRoute({
  method: 'post',
  path: '/sources',
  operationId: 'createSource',
  tags: ['Sources'],
  summary: 'Create a source',
  description: 'With its first write key, which the answer has.',
  security: SIGNED_IN,
  request: {
    body: jsonBody(
      z
        .object({
          slug: z.string().min(1).max(63),
          name: nameSchema.optional().describe('The slug if not given.'),
          enabled: z.boolean().optional(),
          metadataId: z
            .literal(HTTP_API, `The one kind of source there is: ${HTTP_API}.`)
            .optional()
            .describe('Its kind.'),
          settings: noSettingsSchema,
          spaceIds: z
            .array(z.string().min(1).max(100))
            .max(50, 'At most 50 spaces.')
            .optional()
            .describe('The spaces whose profiles its events go into.'),
        })
        .strict(),
    ),
  },
  responses: answers(
    { 201: dataOf('The source.', z.object({ source: sourceSchema })) },
    'not_found',
    'conflict',
    'too_large',
  ),
});

export function registerCreateSource(app: OpenAPIHono<ApiEnv>, { pool, secretBox }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId, actor } = principal;
    const { slug, name = slug, enabled = true, spaceIds = [] } = c.req.valid('json');
    const made = await inTransaction(pool, async (tx) => {
      const { source, writeKey } = await createSource(tx, secretBox, { workspaceId, slug, name, actor });
      for (const spaceId of spaceIds) await connectSource(tx, { workspaceId, sourceId: source.id, spaceId, actor });
      return {
        source: enabled ? source : await updateSource(tx, { workspaceId, sourceId: source.id, enabled, actor }),
        writeKey,
      };
    });
    const writeKeys = made.writeKey.writeKey === null ? [] : [made.writeKey.writeKey];
    return c.json({ data: { source: toSourceResponse(made.source, writeKeys, spaceIds) } }, 201);
  });
}
