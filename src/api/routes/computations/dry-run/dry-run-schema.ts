import { z } from '@hono/zod-openapi';
import type { DryRun } from '../../../../computations/index.ts';
import { OneAtATime } from '../../../middleware/one-at-a-time.ts';
import { timestampSchema } from '../../../schemas.ts';
import { definitionSchema } from '../schema.ts';

export const dryRunBodySchema = z.object({ definition: definitionSchema }).strict();

const examplesSchema = z.array(
  z.object({
    profile: z.int(),
    userId: z.string().describe('Empty where the profile has none.'),
    anonymousId: z.string().describe('Empty where the profile has none.'),
    before: z.unknown().describe("true for a member, a computed trait's value; null for none."),
    after: z.unknown(),
  }),
);

export const dryRunSchema = z
  .object({
    asOf: timestampSchema.describe('Events after it are not seen.'),
    comparedWith: z
      .object({ version: z.int(), asOf: timestampSchema.nullable() })
      .nullable()
      .describe('The live version; null where there is none, and everybody would enter.'),
    before: z.int().describe('Members, or profiles with a value, of the live version.'),
    after: z.int(),
    entered: z.int(),
    exited: z.int(),
    changed: z.int().describe('Of a computed trait: profiles whose value would be another.'),
    unchanged: z.int(),
    examples: z
      .object({ entered: examplesSchema, exited: examplesSchema, changed: examplesSchema })
      .describe('Up to 20 of each.'),
  })
  .openapi('DryRun');

/** What a dry run found, as the API answers it. */
export function toDryRunResponse(found: DryRun): z.infer<typeof dryRunSchema> {
  const { asOf, comparedWith } = found;
  return {
    ...found,
    asOf: asOf.toISOString(),
    comparedWith: comparedWith && { ...comparedWith, asOf: comparedWith.asOf?.toISOString() ?? null },
  };
}

/** Dry runs and previews of a workspace: each takes as much of ClickHouse as a run. */
export const dryRuns = new OneAtATime({
  code: 'dry_run_open',
  message: 'Another dry run or preview of this workspace is under way: one at a time. Wait for its answer.',
});
