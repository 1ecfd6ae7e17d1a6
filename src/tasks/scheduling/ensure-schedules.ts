import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
  type ScheduleDescription,
  type ScheduleOptions,
  type ScheduleOptionsStartWorkflowAction,
} from '@temporalio/client';
import { isDeepStrictEqual } from 'node:util';
import type { Workflow } from '@temporalio/common';
import { taskQueues, type TaskQueues } from './dispatch.ts';

const RECONCILE_EVERY_MS = 20_000;
const CATCH_UP_MS = 60_000;
const CLEAN_UP_EVERY_MS = 60 * 60_000;

interface Tick {
  name: string;
  workflowType: string;
  args: unknown[];
  everyMs: number;
  /** A workflow that can't go on ends by itself after a while: its schedule skips all that would follow. */
  runTimeoutMs: number;
}

export interface SchedulesOptions {
  /** The scheduler's tick. */
  everySeconds: number;
  queues?: TaskQueues;
}

/** Makes the Temporal schedules of the scheduler, the reconciler and the hourly clean-up, or sets them so where they are there. */
export async function ensureSchedules(temporal: Client, options: SchedulesOptions): Promise<void> {
  await restoreSchedules(temporal, options);
}

/** A schedule that is not as it has to be, or was not: `found` says in which respects. */
export interface ScheduleProblem {
  scheduleId: string;
  found: readonly string[];
}

/** Looks at the schedules, and changes nothing. They have no lock: whoever reaches Temporal may pause, change or delete them. */
export async function inspectSchedules(temporal: Client, options: SchedulesOptions): Promise<ScheduleProblem[]> {
  const problems: ScheduleProblem[] = [];
  await forEachTick(options, async (scheduleId, schedule) => {
    const found = await differencesOf(temporal, scheduleId, schedule);
    if (found.length > 0) problems.push({ scheduleId, found });
  });
  return problems;
}

/** Puts right what `inspectSchedules` finds, and says what that was. */
export async function restoreSchedules(temporal: Client, options: SchedulesOptions): Promise<ScheduleProblem[]> {
  const problems: ScheduleProblem[] = [];
  await forEachTick(options, async (scheduleId, schedule) => {
    const found = await differencesOf(temporal, scheduleId, schedule);
    if (found.length === 0) return;
    if (!(await createSchedule(temporal, scheduleId, schedule))) {
      await temporal.schedule.getHandle(scheduleId).update(() => ({ ...schedule, state: { paused: false } }));
    }
    problems.push({ scheduleId, found });
  });
  return problems;
}

/** In which respects a schedule of Temporal's is not the one that it has to be. */
async function differencesOf(temporal: Client, scheduleId: string, wanted: Schedule): Promise<string[]> {
  let found: ScheduleDescription;
  try {
    found = await temporal.schedule.getHandle(scheduleId).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return ['missing'];
    throw error;
  }
  const { spec, action, policies, state } = found;
  const same = (one: unknown, other: unknown): boolean => isDeepStrictEqual(one, other);
  const wantedEvery = wanted.spec.intervals?.map(({ every }) => [every, 0]);
  const differs: Record<string, boolean> = {
    paused: state.paused,
    'a number of actions left': state.remainingActions !== undefined,
    'another time': !same(
      spec.intervals?.map(({ every, offset }) => [every, offset ?? 0]),
      wantedEvery,
    ),
    'other bounds of its time':
      (spec.calendars?.length ?? 0) > 0 ||
      (spec.skip?.length ?? 0) > 0 ||
      (spec.jitter ?? 0) > 0 ||
      spec.startAt !== undefined ||
      spec.endAt !== undefined,
    'another workflow': action.workflowType !== wanted.action.workflowType,
    'another workflow id': action.workflowId !== wanted.action.workflowId,
    'another task queue': action.taskQueue !== wanted.action.taskQueue,
    'other arguments': !same(action.args ?? [], wanted.action.args ?? []),
    'another time limit': (action.workflowRunTimeout ?? 0) !== wanted.action.workflowRunTimeout,
    'another policy of overlaps': policies.overlap !== wanted.policies?.overlap,
    'another catch-up window': policies.catchupWindow !== CATCH_UP_MS,
    'a pause on failure': policies.pauseOnFailure,
  };
  return Object.entries(differs).flatMap(([name, is]) => (is ? [name] : []));
}

function ticksOf(queues: TaskQueues, everySeconds: number): Tick[] {
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

async function forEachTick(
  options: SchedulesOptions,
  put: (scheduleId: string, schedule: Schedule) => Promise<void>,
): Promise<void> {
  const { queues = taskQueues() } = options;
  for (const tick of ticksOf(queues, options.everySeconds)) {
    const scheduleId = `${queues.workflows}-${tick.name}`;
    await put(scheduleId, {
      spec: { intervals: [{ every: tick.everyMs }] },
      action: {
        type: 'startWorkflow',
        workflowType: tick.workflowType,
        workflowId: scheduleId,
        taskQueue: queues.workflows,
        args: tick.args,
        workflowRunTimeout: tick.runTimeoutMs,
      },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: CATCH_UP_MS },
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
