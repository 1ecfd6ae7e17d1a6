import { Worker, type NativeConnection, type WorkerOptions } from '@temporalio/worker';
import type { Activities } from '../../activities/index.ts';
import { WAITING_ROOM, type TaskQueues, type WorkKind } from '../tasks/index.ts';

/** How much of each kind one worker does at once. */
export type Slots = Readonly<Record<WorkKind, number>>;

export interface WorkersOptions {
  connection: NativeConnection;
  namespace?: string;
  queues: TaskQueues;
  /** The kinds of work to take. */
  serve: readonly WorkKind[];
  slots: Slots;
  activities: Activities;
  /** The workflows, bundled or to be bundled. Only those who serve workflows load them. */
  workflows: Pick<WorkerOptions, 'workflowBundle'> | Pick<WorkerOptions, 'workflowsPath'>;
  /** Whatever is under way has so long to end by itself when the worker stops, in milliseconds. */
  graceMs: number;
  /** Names this build to Temporal, which then gives it work of its own version: see `trailmark deploy`. */
  buildId?: string | undefined;
}

/** The name of all workers together, of which each build is a version. */
export const DEPLOYMENT = 'trailmark';

// A workflow that is not cached is replayed when it goes on. Their histories are short, so that costs milliseconds; one that is
// cached costs up to a megabyte.
const CACHED_WORKFLOWS = 500;
// What a worker that was killed had cached goes on elsewhere after so long.
const STICKY_MS = 5_000;
// A heartbeat's answer is how a long step hears that it should stop: someone who cancels waits two seconds for it, not thirty.
const HEARTBEAT_MS = 1_000;

/** One worker for each kind of work, over one connection. */
export async function createWorkers(options: WorkersOptions): Promise<Worker[]> {
  return await Promise.all(options.serve.map(async (kind) => await Worker.create(optionsOf(kind, options))));
}

/**
 * Runs workers until `signal` is aborted; then they end in good order. One that fails takes the others with it, for a process that
 * does half of its work looks as if it did all of it.
 */
export async function runWorkers(workers: readonly Worker[], signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const stopped = new Promise<void>((resolve) =>
    stop.signal.addEventListener('abort', () => resolve(), { once: true }),
  );
  const onAbort = (): void => stop.abort();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) stop.abort();
  try {
    const ends = await Promise.allSettled(
      workers.map(async (worker) => await worker.runUntil(stopped).finally(() => stop.abort())),
    );
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function optionsOf(kind: WorkKind, options: WorkersOptions): WorkerOptions {
  const { slots, buildId } = options;
  const common: WorkerOptions = {
    connection: options.connection,
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
    taskQueue: options.queues[kind],
    activities: options.activities,
    shutdownGraceTime: options.graceMs,
    maxHeartbeatThrottleInterval: HEARTBEAT_MS,
    defaultHeartbeatThrottleInterval: HEARTBEAT_MS,
    ...(buildId === undefined
      ? {}
      : {
          workerDeploymentOptions: {
            version: { deploymentName: DEPLOYMENT, buildId },
            useWorkerVersioning: true,
            // A task backs off for an hour or waits days for an approval, and old builds should not have to run for so long.
            // Its state is in PostgreSQL, and the reconciler replaces a workflow that can't go on in a newer build.
            defaultVersioningBehavior: 'AUTO_UPGRADE',
          },
        }),
  };
  if (kind !== 'workflows') {
    // Which of them have a place is decided in the activities, where their workspaces are known.
    return { ...common, maxConcurrentActivityTaskExecutions: slots[kind] + WAITING_ROOM };
  }
  return {
    ...common,
    ...options.workflows,
    // Here are only local activities: the bookkeeping, at most one transaction of a workflow task at a time.
    enableNonLocalActivities: false,
    maxConcurrentWorkflowTaskExecutions: slots.workflows,
    maxConcurrentLocalActivityExecutions: slots.workflows,
    maxCachedWorkflows: CACHED_WORKFLOWS,
    stickyQueueScheduleToStartTimeout: STICKY_MS,
  };
}
