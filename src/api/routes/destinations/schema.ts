import { z } from '@hono/zod-openapi';
import type { Definition, DestinationView } from '../../../destinations/index.ts';
import { idParam, nameSchema, timestampSchema } from '../../schemas.ts';

export const destinationParamsSchema = z.object({
  destinationId: idParam('destinationId', 'dst_01h455vb4pex5vsknk084sn02q'),
});

const jsonObjectSchema = z.record(z.string(), z.unknown());

/** What Segment's DestinationMetadataV1 says of a kind of destination, as far as Trailmark knows it. */
export const metadataSchema = z
  .object({ id: z.string(), slug: z.string(), name: z.string() })
  .openapi('DestinationMetadata');

const subscriptionSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    action: z.string(),
    trigger: z.string().describe('In Segment\'s destination filter language, such as type = "track".'),
    mapping: jsonObjectSchema,
    enabled: z.boolean(),
  })
  .openapi('Subscription');

const maxSyncsSchema = z
  .int('A whole number.')
  .min(1, 'At least 1.')
  .max(1_000, 'At most 1,000.')
  .describe('Syncs that are under way at once; what is over it waits for its turn.');

/** DestinationV1 of Segment's Public API, with a space in the place of its source, and its subscriptions. */
export const destinationSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    enabled: z.boolean(),
    metadata: metadataSchema,
    settings: jsonObjectSchema.describe('Secrets are masked.'),
    spaceId: z.string(),
    maxSyncs: maxSyncsSchema,
    subscriptions: z.array(subscriptionSchema),
    createdAt: timestampSchema,
    updatedAt: timestampSchema,
  })
  .openapi('Destination');

const subscriptionInputSchema = z
  .object({
    name: nameSchema.optional(),
    action: z.string().min(1).max(200).optional().describe('May be left away where there is one action only.'),
    trigger: z.string().min(1).max(5_000).optional(),
    mapping: jsonObjectSchema.optional().describe("Laid over the action's defaults; null takes a default away."),
    enabled: z.boolean().optional(),
  })
  .strict();

export const createDestinationSchema = z
  .object({
    spaceId: z.string().min(1).max(100),
    metadataId: z
      .string()
      .min(1)
      .max(200)
      .describe('Its kind: an id or slug of GET /catalog/destinations, such as webhook.'),
    name: nameSchema.optional(),
    enabled: z.boolean().optional(),
    settings: jsonObjectSchema.optional(),
    subscriptions: z
      .array(subscriptionInputSchema)
      .max(50, 'At most 50 subscriptions.')
      .optional()
      .describe('Left away: what the kind suggests for audiences and traits.'),
  })
  .strict();

export const updateDestinationSchema = z
  .object({
    name: nameSchema.nullable().optional(),
    enabled: z.boolean().optional(),
    settings: jsonObjectSchema
      .optional()
      .describe('Laid over what there is: null takes one away, a masked secret stays as it is.'),
    maxSyncs: maxSyncsSchema.optional(),
    subscriptions: z
      .array(subscriptionInputSchema.extend({ id: z.string().min(1).max(100).optional() }).strict())
      .max(50, 'At most 50 subscriptions.')
      .optional()
      .describe('All of them: takes the place of those that there are. With an id it changes that one.'),
  })
  .strict();

const fieldSchema = z
  .object({
    key: z.string(),
    label: z.string(),
    description: z.string(),
    type: z.string(),
    required: z.boolean(),
    secret: z.boolean(),
    multiple: z.boolean(),
    default: z.unknown().optional(),
    choices: z.array(z.object({ value: z.union([z.string(), z.number()]), label: z.string() })).optional(),
  })
  .openapi('DestinationField');

export const definitionSchema = z
  .object({
    ...metadataSchema.shape,
    description: z.string(),
    authentication: z.string(),
    settings: z.array(fieldSchema),
    actions: z.array(
      z.object({
        key: z.string(),
        name: z.string(),
        description: z.string(),
        fields: z.array(fieldSchema),
        batches: z.boolean(),
        defaultTrigger: z.string().nullable(),
      }),
    ),
    presets: z.array(
      z.object({ name: z.string(), action: z.string(), trigger: z.string(), mapping: jsonObjectSchema }),
    ),
    audiences: z
      .object({ created: z.boolean(), settings: z.array(fieldSchema) })
      .nullable()
      .describe('Whether an audience is made at the destination first, and its settings there.'),
  })
  .openapi('DestinationDefinition');

export function toDestinationResponse(view: DestinationView): z.infer<typeof destinationSchema> {
  const { slug, definitionName, ...destination } = view;
  return { ...destination, metadata: { id: slug, slug, name: definitionName } };
}

export function toDefinitionResponse(definition: Definition): z.infer<typeof definitionSchema> {
  return { id: definition.slug, ...definition };
}
