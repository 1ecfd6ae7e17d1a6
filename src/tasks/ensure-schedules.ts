import {
  ScheduleAlreadyRunning,
  ScheduleOverlapPolicy,
  type Client,
  type ScheduleOptions,
  type ScheduleOptionsStartWorkflowAction,
} from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { taskQueues, type TaskQueues } from './dispatch.ts';

const RECONCILE_EVERY_MS = 20_000;
const CLEAN_UP_EVERY_MS = 60 * 60_000;

interface Beat {
  name: string;
  workflowType: string;
  args: unknown[];
  everyMs: number;
  /** A workflow that can't go on ends by itself after a while: its schedule skips all that would follow. */
  runTimeoutMs: number;
}

export interface SchedulesOptions {
  /** The scheduler's beat. */
  everySeconds: number;
  queues?: TaskQueues;
}

/** Makes the Temporal schedules of the scheduler, the reconciler and the hourly clean-up, or sets them so where they are there. */
export async function ensureSchedules(temporal: Client, options: SchedulesOptions): Promise<void> {
  await forEachBeat(options, async (scheduleId, schedule) => {
    if (await createSchedule(temporal, scheduleId, schedule)) return;
    await temporal.schedule.getHandle(scheduleId).update((previous) => ({ ...previous, ...schedule }));
  });
}

/** Makes those schedules that are not there, and says which: a Temporal that lost its data has none. */
export async function restoreSchedules(temporal: Client, options: SchedulesOptions): Promise<string[]> {
  const made: string[] = [];
  await forEachBeat(options, async (scheduleId, schedule) => {
    if (await createSchedule(temporal, scheduleId, schedule)) made.push(scheduleId);
  });
  return made;
}

function beatsOf(queues: TaskQueues, everySeconds: number): Beat[] {
  return [
    {
      name: 'scheduler',
      workflowType: 'scheduleTasks',
      args: [],
      everyMs: everySeconds * 1000,
      runTimeoutMs: 5 * 60_000,
    },
    {
      name: 'reconciler',
      workflowType: 'reconcileTasks',
      args: [],
      everyMs: RECONCILE_EVERY_MS,
      runTimeoutMs: 5 * 60_000,
    },
    {
      name: 'clean-up',
      workflowType: 'cleanUp',
      args: [queues.compute],
      everyMs: CLEAN_UP_EVERY_MS,
      runTimeoutMs: 30 * 60_000,
    },
  ];
}

type Schedule = Pick<ScheduleOptions<ScheduleOptionsStartWorkflowAction<Workflow>>, 'spec' | 'action' | 'policies'>;

async function forEachBeat(
  options: SchedulesOptions,
  put: (scheduleId: string, schedule: Schedule) => Promise<void>,
): Promise<void> {
  const { queues = taskQueues() } = options;
  for (const beat of beatsOf(queues, options.everySeconds)) {
    const scheduleId = `${queues.workflows}-${beat.name}`;
    await put(scheduleId, {
      spec: { intervals: [{ every: beat.everyMs }] },
      action: {
        type: 'startWorkflow',
        workflowType: beat.workflowType,
        workflowId: scheduleId,
        taskQueue: queues.workflows,
        args: beat.args,
        workflowRunTimeout: beat.runTimeoutMs,
      },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 minute' },
    });
  }
}

/** False where it is there already. */
async function createSchedule(temporal: Client, scheduleId: string, schedule: Schedule): Promise<boolean> {
  try {
    await temporal.schedule.create({ scheduleId, ...schedule });
    return true;
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    return false;
  }
}
