import type { Client } from '@temporalio/client';
import { inspectSchedules, taskQueues, WORK_KINDS, type TaskQueues, type WorkKind } from '../tasks/index.ts';
import { sayDuration, type HealthFinding } from './findings.ts';

const TIMEOUT_MS = 2_000;
/** A worker asks for work anew once a minute, for so long an answer without any is kept from it. */
const LONG_POLL_SECONDS = 70;
// TaskQueueType of Temporal's API, an enum that the client has no name for.
const WORKFLOW_QUEUE = 1;
const ACTIVITY_QUEUE = 2;

/** What Temporal tells of the work: whether each queue has a worker, and whether the schedules are as they have to be. */
export async function lookAtTemporal(
  temporal: Client,
  options: { queues?: TaskQueues; everySeconds: number | undefined },
): Promise<HealthFinding[]> {
  const { queues = taskQueues() } = options;
  try {
    return await temporal.withDeadline(Date.now() + TIMEOUT_MS, async () => {
      const found = await Promise.all([
        ...WORK_KINDS.map(async (kind) => await lookAtQueue(temporal, kind, queues[kind])),
        lookAtSchedules(temporal, queues, options.everySeconds),
      ]);
      return found.flat();
    });
  } catch (error) {
    return [
      {
        code: 'temporal_unreachable',
        severity: 'degraded',
        message: 'Temporal does not answer: nothing new is run or sent, and what comes in is kept.',
        remedy: 'Start it, or correct TEMPORAL_ADDRESS.',
        detail: (error as Error).message,
      },
    ];
  }
}

async function lookAtQueue(temporal: Client, kind: WorkKind, queue: string): Promise<HealthFinding[]> {
  const { pollers } = await temporal.workflowService.describeTaskQueue({
    namespace: temporal.options.namespace,
    taskQueue: { name: queue },
    // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- the enum is of a package that is not ours to load
    taskQueueType: kind === 'workflows' ? WORKFLOW_QUEUE : ACTIVITY_QUEUE,
  });
  const ages = (pollers ?? []).map(({ lastAccessTime: at }) => Date.now() / 1000 - Number(at?.seconds ?? 0));
  const youngest = Math.min(...ages);
  if (youngest <= LONG_POLL_SECONDS) return [];
  return [
    {
      code: 'no_worker',
      severity: 'degraded',
      message: `No worker takes work of the kind ${kind}: it waits, and is not lost.`,
      remedy: `Start one (trailmark worker, or trailmark worker --queues ${kind}), or look at the log of the one there is.`,
      detail: ages.length === 0 ? `nobody polls ${queue}` : `${queue} was last polled ${sayDuration(youngest)} ago`,
    },
  ];
}

async function lookAtSchedules(
  temporal: Client,
  queues: TaskQueues,
  everySeconds: number | undefined,
): Promise<HealthFinding[]> {
  // How often is known to who serves workflows, and noted by it when it looks after them: before that there are none.
  if (everySeconds === undefined) return [];
  const problems = await inspectSchedules(temporal, { everySeconds, queues });
  if (problems.length === 0) return [];
  return [
    {
      code: 'schedule_wrong',
      severity: 'degraded',
      message: 'Schedules in Temporal are not as they have to be.',
      remedy:
        'A worker that serves workflows puts that right within a minute. If it happens again, someone else reaches Temporal.',
      detail: problems.map(({ scheduleId, found }) => `${scheduleId}: ${found.join(', ')}`).join('; '),
    },
  ];
}
