import { z } from '@hono/zod-openapi';
import type { TaskView } from '../../../tasks/index.ts';
import type { ApiDeps } from '../../deps.ts';
import { temporalUrlOf } from '../../temporal-url.ts';
import { timestampSchema } from '../../schemas.ts';

export const taskKindSchema = z.enum(['run', 'sync']);

export const taskStatusSchema = z.enum([
  'pending',
  'running',
  'backing_off',
  'awaiting_approval',
  'succeeded',
  'failed',
  'cancelled',
]);

const rowsSchema = z.int().nullable();

const executionSchema = z
  .object({
    step: z.string(),
    execution: z.int().describe('1 for the first time that this step was begun, whatever the attempt.'),
    startedAt: timestampSchema,
    endedAt: timestampSchema.nullable(),
    durationMs: z.int().nullable(),
    outcome: z
      .enum(['completed', 'failed', 'interrupted'])
      .nullable()
      .describe(
        'null while it runs. Interrupted: by a pause, a wait or a worker that stopped or was lost; it goes on later.',
      ),
    code: z
      .string()
      .nullable()
      .describe('The stable code of the failure that ended it; `worker_lost` also where it was interrupted by that.'),
    rowsIn: rowsSchema.describe('Rows (profiles) that it took; null where the step does not count them.'),
    rowsOut: rowsSchema.describe('Rows that it gave: computed, changed, delivered.'),
    rejected: rowsSchema.describe('Rows that the destination refused for good.'),
  })
  .openapi('StepExecution');

const attemptSchema = z
  .object({
    attempt: z.int(),
    startedAt: timestampSchema,
    endedAt: timestampSchema.nullable(),
    durationMs: z.int().nullable(),
    outcome: z.enum(['succeeded', 'failed', 'cancelled']).nullable().describe('null while it is under way.'),
    step: z.string().nullable().describe('The step that failed.'),
    code: z.string().nullable().describe('The stable code of the failure.'),
    failureClass: z.enum(['transient', 'hard']).nullable(),
    message: z.string().nullable(),
    executions: z.array(executionSchema).describe('What it executed, in the order of beginning.'),
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

const progressSchema = z
  .object({
    step: z.string(),
    done: z.int(),
    total: z.int(),
    rowsPerSecond: z
      .number()
      .nullable()
      .describe('Over the execution under way; null while it is not known, and while nothing is executed.'),
    secondsLeft: z.int().nullable().describe('At that rate; null where there is none.'),
  })
  .openapi('Progress');

export const guardSchema = z
  .object({
    before: z.int().describe('Members of the live version.'),
    after: z.int().describe('Members of what the run has computed.'),
    entered: z.int(),
    exited: z.int(),
    exitedShare: z.number().describe('Of the members before, from 0 to 1.'),
  })
  .openapi('Guard');

export const rejectedReasonSchema = z
  .object({
    status: z.int().nullable().describe("The destination's HTTP status."),
    reason: z.string(),
    rows: z.int(),
  })
  .openapi('RejectedReason');

const truthSchema = z
  .object({
    state: z.enum([
      'waiting',
      'running',
      'retrying',
      'paused',
      'waiting_for_destination',
      'waiting_for_events',
      'awaiting_approval',
      'succeeded',
      'recovered',
      'hard_failure',
      'resolved_later',
      'cancelled',
    ]),
    needsAction: z.boolean(),
    sentence: z.string(),
  })
  .describe('What is true of it now, whatever was said of it then.');

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
    kind: taskKindSchema,
    reason: z.enum([
      'scheduled',
      'created',
      'edited',
      'run_now',
      'backfill',
      'fan_out',
      'catch_up',
      'resync',
      'redrive',
      'retry',
    ]),
    status: taskStatusSchema,
    attempt: z.int().describe('Attempts begun so far; 0 before the first.'),
    maxAttempts: z.int(),
    parentTaskId: z
      .string()
      .nullable()
      .describe('The run that a sync comes from, or the task that this one does again.'),
    createdAt: timestampSchema,
    admittedAt: timestampSchema.nullable().describe('When its turn came; null while it waits for it.'),
    startedAt: timestampSchema.nullable(),
    endedAt: timestampSchema.nullable(),
    durationMs: z.int().nullable().describe('From the beginning of its first attempt to its end, all waits included.'),
    retryAt: timestampSchema.nullable(),
    slotAt: timestampSchema.nullable().describe("The schedule's slot that a run is for."),
    lateMs: z.int().nullable().describe('How long after its slot it began to be.'),
    missedSlots: z.int().describe('Slots that went by before it while nothing ran: it is run once for all of them.'),
    waitingFor: z
      .enum(['rate_limit', 'circuit', 'events'])
      .nullable()
      .describe('What the step under way waits for, without costing an attempt.'),
    waitingUntil: timestampSchema
      .nullable()
      .describe('Until when; where it waits for events, until when at the latest.'),
    pausedAt: timestampSchema.nullable().describe('Since when its computation is paused; null once it has ended.'),
    guard: guardSchema.nullable().describe('What the guard asks about, of a run that it has stopped.'),
    approvedAt: timestampSchema.nullable(),
    approvedBy: z.string().nullable().describe('The id of whoever let it through the guard.'),
    cancelledBecause: z.enum(['asked', 'discarded', 'superseded', 'obsolete']).nullable(),
    progress: progressSchema.nullable().describe('How far the step under way is, where it counts rows.'),
    result: z
      .record(z.string(), z.unknown())
      .nullable()
      .describe('Counts: members, entered, exited; delivered, rejected, skipped.'),
    rejectedRows: z.int().describe('Rows that the destination refused for good.'),
    rejectedReasons: z
      .array(rejectedReasonSchema)
      .describe('Why: the most frequent answers to the first 10,000 of them, most rows first.'),
    attempts: z.array(attemptSchema),
    steps: z.array(stepSchema),
    truth: truthSchema,
    temporalUrl: z.string().nullable().describe("Its workflow in Temporal's own pages, where these are known."),
  })
  .openapi('Task');

export type TaskResponse = z.infer<typeof taskSchema>;

/** A task as the API answers it: times in ISO 8601, and the way to its workflow. */
export function toTaskResponse(task: TaskView, deps: Pick<ApiDeps, 'temporalUiUrl'>): TaskResponse {
  return {
    ...task,
    createdAt: task.createdAt.toISOString(),
    admittedAt: iso(task.admittedAt),
    startedAt: iso(task.startedAt),
    endedAt: iso(task.endedAt),
    retryAt: iso(task.retryAt),
    slotAt: iso(task.slotAt),
    waitingUntil: iso(task.waitingUntil),
    pausedAt: iso(task.pausedAt),
    approvedAt: iso(task.approvedAt),
    attempts: task.attempts.map((attempt) => ({
      ...attempt,
      startedAt: attempt.startedAt.toISOString(),
      endedAt: iso(attempt.endedAt),
      executions: attempt.executions.map((execution) => ({
        ...execution,
        startedAt: execution.startedAt.toISOString(),
        endedAt: iso(execution.endedAt),
      })),
    })),
    steps: task.steps.map((step) => ({
      ...step,
      startedAt: iso(step.startedAt),
      completedAt: iso(step.completedAt),
    })),
    temporalUrl: temporalUrlOf(task.id, deps),
  };
}

function iso(time: Date | null): string | null {
  return time === null ? null : time.toISOString();
}
