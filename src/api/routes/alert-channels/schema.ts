import { z } from '@hono/zod-openapi';
import type { ChannelRow } from '../../../alerts/index.ts';
import { showAddress } from '../../../security/index.ts';
import { idParam, timestampSchema } from '../../schemas.ts';

export const channelParamsSchema = z.object({ channelId: idParam('channelId', 'chn_01h455vb4pex5vsknk084sn02q') });

export const channelUrlSchema = z.string().min(1).max(2_000, 'An address has at most 2,000 characters.');

/** A channel without its signing secret, which is shown once, when it is made. */
export const channelSchema = z
  .object({
    id: z.string(),
    kind: z.literal('webhook'),
    name: z.string(),
    url: z
      .string()
      .describe('Its path and query are masked where they may be a secret; written back it stays as it is.'),
    enabled: z.boolean(),
    createdAt: timestampSchema,
  })
  .openapi('AlertChannel');

export function toChannelResponse(row: ChannelRow): z.infer<typeof channelSchema> {
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    url: showAddress(row.url),
    enabled: row.enabled,
    createdAt: row.created_at.toISOString(),
  };
}
