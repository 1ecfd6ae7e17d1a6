import { z } from '@hono/zod-openapi';
import type { RejectedRow } from '../../../../tasks/index.ts';
import { idParam, timestampSchema } from '../../../schemas.ts';

export const taskParamsSchema = z.object({ taskId: idParam('taskId', 'tsk_01h455vb4pex5vsknk084sn02q') });

export const rejectedRowSchema = z
  .object({
    idx: z.int().describe('Its place among the changes of its sync.'),
    profile: z.int(),
    userId: z.string().describe('Empty where the profile has none.'),
    anonymousId: z.string().describe('Empty where the profile has none.'),
    value: z
      .string()
      .describe("What was sent, as JSON: true for a member, a computed trait's value; empty for nothing any more."),
    status: z.int().nullable().describe("The destination's HTTP status."),
    reason: z.string().describe("The destination's answer."),
    rejectedAt: timestampSchema,
    redrivenBy: z.string().nullable().describe('The sync that sent it again.'),
  })
  .openapi('RejectedRow');

/** A rejected row as the API answers it. */
export function toRejectedRowResponse(row: RejectedRow): z.infer<typeof rejectedRowSchema> {
  return { ...row, rejectedAt: row.rejectedAt.toISOString() };
}
