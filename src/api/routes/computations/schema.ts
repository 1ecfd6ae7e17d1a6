import { z } from '@hono/zod-openapi';
import {
  computationStatus,
  computationStatusLabel,
  COMPUTATION_STATUS_LABELS,
  COMPUTATION_STATUSES,
  KEY_PATTERN,
  MAX_GUARD_MEMBERS,
  MAX_INTERVAL_SECONDS,
  MIN_INTERVAL_SECONDS,
  type ComputationKind,
  type ComputationView,
} from '../../../computations/index.ts';
import { idParam, nameSchema, spaceParamsSchema, timestampSchema } from '../../schemas.ts';
import { audienceSettingsSchema, enteredSecretsSchema } from '../connections/connection-input-schema.ts';

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

export const definitionSchema = z
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

// What of it goes together, and what a cron expression may be, is for compute to say: it names the field and what would be right.
const scheduleSchema = z
  .object({
    intervalSeconds: z
      .int('A whole number of seconds.')
      .min(MIN_INTERVAL_SECONDS, `At least ${MIN_INTERVAL_SECONDS} seconds between runs.`)
      .max(MAX_INTERVAL_SECONDS, 'At most a year between runs.')
      .optional()
      .describe('Seconds between runs. Give this or cron.'),
    cron: z
      .string()
      .max(200, 'A cron expression has at most 200 characters.')
      .optional()
      .describe(
        'Minute, hour, day of month, month and day of week; a sixth field in front is seconds. Give this or intervalSeconds.',
      )
      .openapi({ example: '0 9 * * MON-FRI' }),
    timeZone: z
      .string()
      .max(100, 'A name of the IANA list, such as Europe/Berlin.')
      .optional()
      .describe(
        'The IANA time zone of cron; UTC if not given. What falls into an hour that is skipped or comes twice is run once.',
      )
      .openapi({ example: 'Europe/Berlin' }),
    jitterSeconds: z
      .int('A whole number of seconds.')
      .min(0, 'At least 0 seconds: no jitter.')
      .optional()
      .describe(
        'Each run begins up to so many seconds after its slot, at random. Less than what lies between two slots.',
      ),
  })
  .strict()
  .openapi({ oneOf: [{ required: ['intervalSeconds'] }, { required: ['cron'] }] });

const guardSchema = z
  .object({
    share: z
      .number('A share such as 0.5, or null for no guard.')
      .gt(0, 'More than 0: a run that removes nobody needs no approval.')
      .max(1, 'At most 1: all members.')
      .nullable()
      .optional()
      .describe('A run that would remove more than this share of the members asks first; null is off.'),
    minMembers: z
      .int('A whole number of members.')
      .min(0, 'At least 0.')
      .max(MAX_GUARD_MEMBERS, `At most ${MAX_GUARD_MEMBERS}.`)
      .optional()
      .describe('With no more members than this it is not guarded.'),
  })
  .strict()
  .nullable()
  .describe(
    'When a run stops before it commits, and asks; of a computed trait, its values are its members. null is off.',
  );

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
      .enum(COMPUTATION_STATUS_LABELS)
      .describe(
        'The status as people read it. Paused, and Awaiting Approval, are held back by people or wait for them; Preparing is Backfilling before its first run has begun.',
      ),
    disabledReason: z.string().nullable().describe('Why the system disabled it; null where a person did, or nobody.'),
    pausedAt: timestampSchema.nullable(),
    definitionVersion: z.int(),
    schedule: z.object({
      intervalSeconds: z.int().nullable().describe('null where it runs by cron.'),
      cron: z.string().nullable(),
      timeZone: z.string().nullable(),
      jitterSeconds: z.int(),
      nextSlotAt: timestampSchema.describe('The next slot of the schedule.'),
      nextRunAt: timestampSchema.describe(
        'When the next run is due: behind its slot by jitter, or at once after an edit.',
      ),
    }),
    guard: z
      .object({ share: z.number().nullable(), minMembers: z.int() })
      .nullable()
      .describe('When a run stops before it commits, and asks.'),
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
        suspendedAt: timestampSchema.nullable().describe('Since when the system sends nothing more to it.'),
        suspendedReason: z.string().nullable(),
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
    schedule: scheduleSchema.default(HOURLY).describe('When it is run; every hour if not given.'),
    guard: guardSchema.optional(),
    destinations: z
      .array(
        z
          .object({
            destinationId: z.string().min(1).max(100),
            settings: audienceSettingsSchema.optional(),
            secrets: enteredSecretsSchema.optional(),
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
      guard: guardSchema.optional(),
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
    'Give at least one of name, description, enabled, definition, schedule and guard.',
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
    disabledReason: view.disabled_reason,
    pausedAt: view.paused_at?.toISOString() ?? null,
    definitionVersion: view.definition_version,
    schedule: {
      intervalSeconds: view.schedule_interval_seconds,
      cron: view.schedule_cron,
      timeZone: view.schedule_time_zone,
      jitterSeconds: view.schedule_jitter_seconds,
      nextSlotAt: view.next_slot_at.toISOString(),
      nextRunAt: view.next_run_at.toISOString(),
    },
    guard: { share: view.guard_share, minMembers: view.guard_min_members },
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
      syncedAt: isoOf(connection.synced_at),
      suspendedAt: isoOf(connection.suspended_at),
      suspendedReason: connection.suspended_reason,
    })),
  };
}

function isoOf(text: string | null): string | null {
  return text === null ? null : new Date(text).toISOString();
}
