import { z } from '@hono/zod-openapi';
import type { SpaceRow } from '../../../access/index.ts';

/** Space of Segment's Public API. */
export const spaceSchema = z.object({ id: z.string(), slug: z.string(), name: z.string() }).openapi('Space');

export function toSpaceResponse({ id, slug, name }: SpaceRow): z.infer<typeof spaceSchema> {
  return { id, slug, name };
}
