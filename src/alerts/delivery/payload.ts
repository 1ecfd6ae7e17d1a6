import { z } from 'zod';

const alertDataSchema = z.object({
  id: z.string().describe('The alert. It is the same in every repetition of the message.'),
  workspaceId: z.string(),
  kind: z.enum(['transient_failure', 'hard_failure', 'recovery', 'notice']),
  decision: z.enum(['sent', 'released']),
  rule: z.string().describe('Why it was sent.'),
  title: z.string(),
  body: z.string(),
  auditEventId: z.string().describe('The event of the audit trail that it is about.'),
  taskId: z.string().nullable().describe('What belongs to one task is one thread.'),
  computationId: z.string().nullable(),
  attempts: z
    .array(
      z.object({
        attempt: z.number().int(),
        at: z.iso.datetime(),
        step: z.string().nullable(),
        code: z.string(),
        class: z.enum(['transient', 'hard']),
        message: z.string(),
      }),
    )
    .describe('Every failed attempt at the task up to then.'),
  createdAt: z.iso.datetime(),
  now: z
    .object({
      taskStatus: z.string(),
      attempts: z.number().int(),
      maxAttempts: z.number().int(),
      recoveredAt: z.iso.datetime().nullable(),
      latestTaskId: z.string(),
      latestTaskStatus: z.string(),
    })
    .nullable()
    .describe('How it is when the message is sent, which may be better than when the alert was written.'),
  closes: z
    .array(z.string())
    .describe('For a recovery: the alerts that were sent about its task, and are closed by it.'),
});

/** The body of a webhook, as Standard Webhooks has it: type, timestamp, data. */
export const alertWebhookSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('alert.sent'), timestamp: z.iso.datetime(), data: alertDataSchema }),
  z.object({
    type: z.literal('alert.released').describe('It was held, and no outcome came in time.'),
    timestamp: z.iso.datetime(),
    data: alertDataSchema,
  }),
  z.object({
    type: z.literal('alert.test').describe('Someone tries the channel.'),
    timestamp: z.iso.datetime(),
    data: z.object({ workspaceId: z.string(), channelId: z.string(), title: z.string() }),
  }),
]);

export type AlertWebhook = z.infer<typeof alertWebhookSchema>;
