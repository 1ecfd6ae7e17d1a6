import { z } from '@hono/zod-openapi';
import type { TaskView } from '../../tasks/index.ts';
import { timestampSchema } from '../schemas.ts';

const attemptSchema = z
  .object({
    attempt: z.int(),
    startedAt: timestampSchema,
    endedAt: timestampSchema.nullable(),
    outcome: z.enum(['succeeded', 'failed', 'cancelled']).nullable().describe('null while it is under way.'),
    step: z.string().nullable().describe('The step that failed.'),
    code: z.string().nullable().describe('The stable code of the failure.'),
    failureClass: z.enum(['transient', 'hard']).nullable(),
    message: z.string().nullable(),
  })
  .openapi('Attempt');

const stepSchema = z
  .object({
    name: z.string(),
    startedAt: timestampSchema.nullable(),
    completedAt: timestampSchema.nullable().describe('Its checkpoint: a step that has one is never executed again.'),
    executions: z.int(),
    progress: z
      .object({ done: z.int(), total: z.int() })
      .nullable()
      .describe('Rows done of rows total, where the step counts rows.'),
  })
  .openapi('Step');

export const taskSchema = z
  .object({
    id: z.string(),
    spaceId: z.string(),
    computation: z.object({
      id: z.string(),
      kind: z.enum(['audience', 'computed_trait']),
      key: z.string(),
      name: z.string(),
    }),
    destination: z
      .object({ id: z.string(), name: z.string(), connectionId: z.string() })
      .nullable()
      .describe('null for a run.'),
    kind: z.enum(['run', 'sync']),
    reason: z.enum(['scheduled', 'created', 'edited', 'run_now', 'fan_out', 'catch_up']),
    status: z.enum(['pending', 'running', 'backing_off', 'succeeded', 'failed', 'cancelled']),
    attempt: z.int().describe('Attempts begun so far; 0 before the first.'),
    maxAttempts: z.int(),
    createdAt: timestampSchema,
    startedAt: timestampSchema.nullable(),
    endedAt: timestampSchema.nullable(),
    retryAt: timestampSchema.nullable(),
    result: z
      .record(z.string(), z.unknown())
      .nullable()
      .describe('Counts: members, entered, exited; delivered, rejected, skipped.'),
    rejectedRows: z.int().describe('Rows that the destination refused for good.'),
    attempts: z.array(attemptSchema),
    steps: z.array(stepSchema),
    truth: z
      .object({
        state: z.enum([
          'waiting',
          'running',
          'retrying',
          'succeeded',
          'recovered',
          'hard_failure',
          'made_good',
          'cancelled',
        ]),
        needsAction: z.boolean(),
        sentence: z.string(),
      })
      .describe('What is true of it now, whatever was said of it then.'),
  })
  .openapi('Task');

export type TaskResponse = z.infer<typeof taskSchema>;

/** A task as the API answers it: times in ISO 8601. */
export function toTaskResponse(task: TaskView): TaskResponse {
  return {
    ...task,
    createdAt: task.createdAt.toISOString(),
    startedAt: iso(task.startedAt),
    endedAt: iso(task.endedAt),
    retryAt: iso(task.retryAt),
    attempts: task.attempts.map((attempt) => ({
      ...attempt,
      startedAt: attempt.startedAt.toISOString(),
      endedAt: iso(attempt.endedAt),
    })),
    steps: task.steps.map((step) => ({
      ...step,
      startedAt: iso(step.startedAt),
      completedAt: iso(step.completedAt),
    })),
  };
}

function iso(time: Date | null): string | null {
  return time === null ? null : time.toISOString();
}
