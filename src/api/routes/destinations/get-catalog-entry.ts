import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { getDefinition } from '../../../destinations/index.ts';
import { RequestError } from '../../../errors.ts';
import type { ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { definitionSchema, toDefinitionResponse } from './schema.ts';

const route = createRoute({
  method: 'get',
  path: '/catalog/destinations/{destinationMetadataId}',
  operationId: 'getDestinationMetadata',
  tags: ['Destinations'],
  summary: 'Get one kind of destination',
  description: 'With its settings, its actions and their fields, and its presets.',
  security: SIGNED_IN,
  request: {
    params: z.object({
      destinationMetadataId: z
        .string()
        .min(1)
        .max(200)
        .openapi({ param: { name: 'destinationMetadataId', in: 'path' }, example: 'webhook' }),
    }),
  },
  responses: answers({ 200: dataOf('It.', z.object({ destinationMetadata: definitionSchema })) }, 'not_found'),
});

export function registerGetCatalogEntry(app: OpenAPIHono<ApiEnv>): void {
  app.openapi(route, (c) => {
    try {
      const definition = getDefinition(c.req.valid('param').destinationMetadataId);
      return c.json({ data: { destinationMetadata: toDefinitionResponse(definition) } }, 200);
    } catch (error) {
      if (!(error instanceof RequestError && error.code === 'destination_unknown')) throw error;
      // In a body it is an invalid value; here it is what was asked for, and is not there.
      throw new RequestError('not_found', error.code, error.message, { field: 'destinationMetadataId' });
    }
  });
}
