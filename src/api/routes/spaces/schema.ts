import { z } from '@hono/zod-openapi';
import type { SpaceRow } from '../../../access/index.ts';
import { nameSchema } from '../../schemas.ts';

const capSchema = z.int('A whole number.').min(1, 'At least 1.').max(1_000, 'At most 1,000.');
const maxRunsSchema = capSchema.describe('Runs that are under way at once; what is over it waits for its turn.');
const maxBackfillsSchema = capSchema.describe('Of these, first runs, runs of edited definitions, and backfills.');

/** Space of Segment's Public API, and after it what Trailmark adds. */
export const spaceSchema = z
  .object({
    id: z.string(),
    slug: z.string(),
    name: z.string(),
    maxRuns: maxRunsSchema,
    maxBackfills: maxBackfillsSchema,
  })
  .openapi('Space');

export const updateSpaceSchema = z
  .object({
    name: nameSchema.optional(),
    maxRuns: maxRunsSchema.optional(),
    maxBackfills: maxBackfillsSchema.optional(),
  })
  .strict()
  .refine(
    (patch) => Object.values(patch).some((value) => value !== undefined),
    'Give at least one of name, maxRuns and maxBackfills.',
  );

export function toSpaceResponse(row: SpaceRow): z.infer<typeof spaceSchema> {
  return { id: row.id, slug: row.slug, name: row.name, maxRuns: row.max_runs, maxBackfills: row.max_backfills };
}
