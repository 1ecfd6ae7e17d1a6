import { z } from '@hono/zod-openapi';
import { idParam, timestampSchema } from '../../schemas.ts';
import { computationParamsSchema } from '../computations/schema.ts';

export const connectionParamsSchema = computationParamsSchema.extend({
  destinationId: idParam('destinationId', 'dst_01h455vb4pex5vsknk084sn02q'),
});

export const connectionSchema = z
  .object({
    id: z.string(),
    computationId: z.string(),
    destinationId: z.string(),
    destinationName: z.string(),
    slug: z.string(),
    audienceSettings: z.record(z.string(), z.unknown()),
    externalAudienceId: z.string().nullable().describe('The id that the destination gave the audience.'),
    syncedVersion: z.int().nullable(),
    syncedAt: timestampSchema.nullable(),
    createdAt: timestampSchema,
  })
  .openapi('Connection');
