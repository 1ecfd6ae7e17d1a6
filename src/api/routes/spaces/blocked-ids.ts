import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireOwner } from '../../../access/index.ts';
import { getBlockedIds, setBlockedIds, type BlockedIds } from '../../../pipeline/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, jsonBody, SIGNED_IN, spaceParamsSchema } from '../../schemas.ts';

const MAX_VALUES = 200;

const valueSchema = z
  .string()
  .trim()
  .min(1, 'A value, such as null or anonymous.')
  .max(512, 'At most 512 characters, as an id has.')
  .refine((value) => !value.includes('\0') && !/\p{Cs}/u.test(value), 'No NUL, and no half of a surrogate pair.');

const blockedIdsSchema = z
  .object({
    values: z
      .array(z.string())
      .describe(
        'Compared without case and surrounding spaces, quotes or brackets. "0" stands for all that is zeros and dashes.',
      ),
    isDefault: z.boolean().describe('Whether it is the list of a space that has none of its own.'),
  })
  .openapi('BlockedIds');

const responseSchema = z.object({ blockedIds: blockedIdsSchema });

const getRoute = createRoute({
  method: 'get',
  path: '/spaces/{spaceId}/blocked-ids',
  operationId: 'getBlockedIds',
  tags: ['Spaces'],
  summary: 'Get the ids that identify nobody',
  description:
    'Values that are no id in this space, whatever field they come in: userId, anonymousId, previousId or groupId. An event that has one is kept under its other id, with a warning.',
  security: SIGNED_IN,
  request: { params: spaceParamsSchema },
  responses: answers({ 200: dataOf('The list.', responseSchema) }, 'not_found'),
});

const putRoute = createRoute({
  method: 'put',
  path: '/spaces/{spaceId}/blocked-ids',
  operationId: 'replaceBlockedIds',
  tags: ['Spaces'],
  summary: 'Replace the ids that identify nobody',
  description:
    'Owners only. It holds for events that are loaded from then on; profiles that were merged by such an id before stay as they are.',
  security: SIGNED_IN,
  request: {
    params: spaceParamsSchema,
    body: jsonBody(
      z
        .object({
          values: z
            .array(valueSchema)
            .max(MAX_VALUES, `At most ${MAX_VALUES} values.`)
            .nullable()
            .describe('The whole list; null for the default one.'),
        })
        .strict(),
    ),
  },
  responses: answers({ 200: dataOf('The list, replaced.', responseSchema) }, 'not_found', 'too_large'),
});

export function registerBlockedIds(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(getRoute, async (c) => {
    const blockedIds = await getBlockedIds(pool, c.get('principal').workspaceId, c.req.valid('param').spaceId);
    return c.json({ data: { blockedIds: toResponse(blockedIds) } }, 200);
  });
  app.openapi(putRoute, async (c) => {
    const principal = c.get('principal');
    requireOwner(principal);
    const { workspaceId, actor } = principal;
    const { spaceId } = c.req.valid('param');
    const { values } = c.req.valid('json');
    const blockedIds = await inTransaction(
      pool,
      async (tx) => await setBlockedIds(tx, { workspaceId, spaceId, values, actor }),
    );
    return c.json({ data: { blockedIds: toResponse(blockedIds) } }, 200);
  });
}

function toResponse({ values, isDefault }: BlockedIds): z.infer<typeof blockedIdsSchema> {
  return { values: [...values], isDefault };
}
