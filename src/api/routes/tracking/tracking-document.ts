import { z, type OpenAPIHono } from '@hono/zod-openapi';
import { EVENT_TYPES, type EventType } from '../../../pipeline/index.ts';
import type { ApiEnv } from '../../deps.ts';

const idSchema = z.string().max(512);
const objectSchema = z.record(z.string(), z.unknown());

const messageSchema = z
  .looseObject({
    messageId: z.string().max(100).optional().describe('Made up where it is missing. A second one is left out.'),
    userId: idSchema.optional().describe('This or anonymousId is required.'),
    anonymousId: idSchema.optional(),
    event: z.string().optional().describe('Of a track call, which needs it.'),
    name: z.string().optional().describe('Of a page or screen call.'),
    properties: objectSchema.optional(),
    traits: objectSchema.optional().describe('Of an identify or group call; null takes a trait away.'),
    groupId: idSchema.optional().describe('Of a group call, which needs it.'),
    previousId: idSchema.optional().describe('Of an alias call, which needs it and userId.'),
    context: objectSchema.optional(),
    integrations: objectSchema.optional(),
    timestamp: z.string().optional().describe('When it happened, ISO 8601.'),
    sentAt: z
      .string()
      .optional()
      .describe("When it was sent, by the same clock: what the client's clock is corrected by."),
    writeKey: z.string().optional().describe('Instead of Basic authentication.'),
  })
  .openapi('TrackingMessage');

const refusedSchema = z.array(
  z.object({ index: z.number().int(), messageId: z.string().nullable(), field: z.string(), message: z.string() }),
);

const warningsSchema = z.array(
  z.object({
    index: z.number().int(),
    messageId: z.string(),
    code: z.string(),
    field: z.string(),
    message: z.string(),
  }),
);

const takenSchema = z.object({
  success: z.literal(true),
  refused: refusedSchema.optional().describe('The messages of a batch that were not taken, and why.'),
  warnings: warningsSchema
    .optional()
    .describe('What was taken in another way than it says: a time in the future, say, as the time of its arrival.'),
});

const problemSchema = z
  .object({
    success: z.literal(false),
    message: z.string(),
    field: z.string().optional(),
    refused: refusedSchema.optional(),
  })
  .openapi('TrackingProblem');

const SUMMARIES: Record<EventType, string> = {
  track: 'Record that somebody did something',
  identify: 'Say who somebody is, with traits',
  page: 'Record that somebody saw a page',
  screen: 'Record that somebody saw a screen',
  group: 'Say which account somebody belongs to, with its traits',
  alias: 'Say that two ids are one person',
};

/** Writes the tracking calls into the API's document. Their bodies are not checked by these schemas but by src/pipeline. */
export function describeTracking(app: OpenAPIHono<ApiEnv>): void {
  for (const type of EVENT_TYPES) describe(app, type, SUMMARIES[type], messageSchema);
  const batchSchema = z.looseObject({
    batch: z.array(messageSchema.extend({ type: z.enum(EVENT_TYPES) })),
    sentAt: z.string().optional(),
    context: objectSchema.optional().describe("Of each message, under the message's own."),
    integrations: objectSchema.optional(),
    writeKey: z.string().optional(),
  });
  describe(app, 'batch', 'Send many messages', batchSchema);
  describe(app, 'import', 'Send many messages of the past', batchSchema);
}

function describe(app: OpenAPIHono<ApiEnv>, name: string, summary: string, schema: z.ZodType): void {
  const problem = (description: string) => ({
    description,
    content: { 'application/json': { schema: problemSchema } },
  });
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: `/v1/${name}`,
    operationId: `send${name.charAt(0).toUpperCase()}${name.slice(1)}`,
    tags: ['Tracking'],
    summary,
    description: 'At most 32 KB a message and 500 KB a body, which may be gzip.',
    security: [{ writeKey: [] }, {}],
    request: { body: { required: true, content: { 'application/json': { schema } } } },
    responses: {
      200: {
        description: 'The messages are in the event log.',
        content: { 'application/json': { schema: takenSchema } },
      },
      400: problem('Nothing was taken: the body is malformed or too large, or every message is refused.'),
      401: problem('The write key is missing or unknown.'),
      403: problem('The source is disabled.'),
      429: problem(
        "Too many write keys from this address were nobody's: this one is too. A valid one is never refused for it.",
      ),
      503: problem('The events could not be written: send them again.'),
    },
  });
}
