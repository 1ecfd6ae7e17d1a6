import { z } from '@hono/zod-openapi';
import {
  computationStatus,
  computationStatusLabel,
  COMPUTATION_STATUSES,
  KEY_PATTERN,
  type ComputationKind,
  type ComputationView,
} from '../../../compute/index.ts';
import { idParam, nameSchema, spaceParamsSchema, timestampSchema } from '../../schemas.ts';

/** How the two kinds of computation appear in paths, answers and the document. */
export const SURFACES = {
  audience: {
    path: 'audiences',
    one: 'audience',
    many: 'audiences',
    tag: 'Audiences',
    Name: 'Audience',
    words: 'an audience',
  },
  computed_trait: {
    path: 'computed-traits',
    one: 'computedTrait',
    many: 'computedTraits',
    tag: 'Computed traits',
    Name: 'ComputedTrait',
    words: 'a computed trait',
  },
} as const satisfies Record<ComputationKind, object>;

export const computationParamsSchema = spaceParamsSchema.extend({
  id: idParam('id', 'aud_01h455vb4pex5vsknk084sn02q'),
});

const definitionSchema = z
  .object({
    type: z
      .enum(['USERS', 'ACCOUNTS', 'users', 'accounts'])
      .transform((type) => (type === 'USERS' || type === 'users' ? ('USERS' as const) : ('ACCOUNTS' as const)))
      .describe('What it is computed over, in either case.'),
    query: z
      .string()
      .min(1, "A query, such as event('Order Completed').count() >= 1.")
      .max(20_000, 'A query has at most 20,000 characters.')
      .describe("In Segment's query language."),
  })
  .strict();

const scheduleSchema = z
  .object({
    intervalSeconds: z
      .int('A whole number of seconds.')
      .min(10, 'At least 10 seconds between runs.')
      .max(31_536_000, 'At most a year between runs.'),
  })
  .strict();

const HOURLY = { intervalSeconds: 3_600 };

const keySchema = z
  .string()
  .regex(
    KEY_PATTERN,
    'Lower snake case: a letter, then letters, digits and _, at most 100 in all, such as big_spenders.',
  );

const descriptionSchema = z.string().max(2_000, 'A description has at most 2,000 characters.');

/** AudienceSummary and ComputedTraitSummary of Segment's Public API, and after them what Trailmark adds. */
export const computationSchema = z
  .object({
    id: z.string(),
    spaceId: z.string(),
    name: z.string(),
    description: z.string(),
    key: z.string(),
    enabled: z.boolean(),
    definition: z.object({ type: z.enum(['USERS', 'ACCOUNTS']), query: z.string() }),
    status: z.enum(COMPUTATION_STATUSES),
    createdBy: z.string(),
    updatedBy: z.string(),
    createdAt: timestampSchema,
    updatedAt: timestampSchema,
    statusLabel: z
      .enum([...COMPUTATION_STATUSES, 'Preparing'])
      .describe('The status as people read it: Preparing is Backfilling before its first run has begun.'),
    definitionVersion: z.int(),
    schedule: z.object({ intervalSeconds: z.int(), nextRunAt: timestampSchema }),
    size: z
      .int()
      .nullable()
      .describe('Members, or profiles with a value, of the live version; null before there is one.'),
    computedAsOf: timestampSchema.nullable().describe('The live version has seen the events until then.'),
    destinations: z.array(
      z.object({
        connectionId: z.string(),
        destinationId: z.string(),
        name: z.string(),
        slug: z.string(),
        enabled: z.boolean().describe('Whether the destination is switched on.'),
        inStep: z.boolean().describe('Whether it has acknowledged the live version.'),
        syncedAt: timestampSchema.nullable(),
      }),
    ),
  })
  .openapi('Computation');

export type ComputationResponse = z.infer<typeof computationSchema>;

/** An answer whose keys depend on the kind: `audience` and `audiences`, or `computedTrait` and `computedTraits`. */
export function keyed(shape: Record<string, z.ZodType>): z.ZodType<Record<string, unknown>> {
  return z.object(shape);
}

export const createComputationSchema = z
  .object({
    name: nameSchema,
    key: keySchema.optional().describe('Unique in its space, can not be changed; made from the name if not given.'),
    description: descriptionSchema.optional(),
    enabled: z.boolean().optional(),
    definition: definitionSchema,
    schedule: scheduleSchema.default(HOURLY).describe('How often it is run; every hour if not given.'),
    destinations: z
      .array(
        z
          .object({
            destinationId: z.string().min(1).max(100),
            settings: z.record(z.string(), z.unknown()).optional().describe('Settings of the audience there.'),
          })
          .strict(),
      )
      .max(50, 'At most 50 destinations.')
      .optional()
      .describe('Destinations that it is connected to at once.'),
  })
  .strict();

export const updateComputationSchema = z
  .strictObject(
    {
      name: nameSchema.optional(),
      description: descriptionSchema.optional(),
      enabled: z.boolean().optional(),
      definition: definitionSchema.optional(),
      schedule: scheduleSchema.optional(),
    },
    {
      error: (issue) =>
        issue.code === 'unrecognized_keys' && issue.keys.includes('key')
          ? "A key can't be changed. Create another computation with the new key."
          : undefined,
    },
  )
  .refine(
    (patch) => Object.values(patch).some((value) => value !== undefined),
    'Give at least one of name, description, enabled, definition and schedule.',
  );

/** A computation as the API answers it. */
export function toComputationResponse(view: ComputationView): ComputationResponse {
  return {
    id: view.id,
    spaceId: view.space_id,
    name: view.name,
    description: view.description,
    key: view.key,
    enabled: view.enabled,
    definition: { type: view.definition_type, query: view.definition_query },
    status: computationStatus(view),
    createdBy: view.created_by,
    updatedBy: view.updated_by,
    createdAt: view.created_at.toISOString(),
    updatedAt: view.updated_at.toISOString(),
    statusLabel: computationStatusLabel(view),
    definitionVersion: view.definition_version,
    schedule: { intervalSeconds: view.schedule_interval_seconds, nextRunAt: view.next_run_at.toISOString() },
    size: view.live_size,
    computedAsOf: view.live_as_of?.toISOString() ?? null,
    destinations: view.connections.map((connection) => ({
      connectionId: connection.id,
      destinationId: connection.destination_id,
      name: connection.destination_name,
      slug: connection.destination_slug,
      enabled: connection.enabled,
      inStep:
        view.live_version !== null &&
        connection.synced_version !== null &&
        connection.synced_version >= view.live_version,
      syncedAt: connection.synced_at === null ? null : new Date(connection.synced_at).toISOString(),
    })),
  };
}
