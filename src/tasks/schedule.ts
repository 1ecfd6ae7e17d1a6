import { ScheduleAlreadyRunning, ScheduleOverlapPolicy, type Client } from '@temporalio/client';
import { takeDueComputations } from '../compute/index.ts';
import { inTransaction, type PostgresPool } from '../store/index.ts';
import { createTask } from './create-task.ts';
import { TASK_QUEUE, type TaskStarter } from './dispatch.ts';

const DUE_BATCH = 200;
// A task this young is being started by whoever wrote it.
const UNDISPATCHED_AFTER = '2 seconds';
// A task is open for so long without anyone having looked whether its workflow is still there.
const UNSEEN_AFTER = '10 minutes';

/**
 * Makes the Temporal schedules, of a beat every `everySeconds` and of the hourly clean-up, or sets them so where they are there.
 * A workflow that can't go on ends by itself after a while: a schedule skips all that would follow.
 */
export async function ensureSchedule(temporal: Client, everySeconds: number): Promise<void> {
  await putSchedule(temporal, 'scheduler', 'scheduleTasks', everySeconds * 1000, 5 * 60_000);
  await putSchedule(temporal, 'clean-up', 'cleanUp', 60 * 60_000, 30 * 60_000);
}

async function putSchedule(
  temporal: Client,
  name: string,
  workflowType: string,
  everyMs: number,
  workflowRunTimeout: number,
): Promise<void> {
  const scheduleId = `trailmark-${name}`;
  const spec = { intervals: [{ every: everyMs }] };
  const action = {
    type: 'startWorkflow' as const,
    workflowType,
    workflowId: name,
    taskQueue: TASK_QUEUE,
    args: [],
    workflowRunTimeout,
  };
  const policies = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 minute' as const };
  try {
    await temporal.schedule.create({ scheduleId, spec, action, policies });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await temporal.schedule.getHandle(scheduleId).update((previous) => ({ ...previous, spec, action, policies }));
  }
}

/**
 * One beat: writes a run for every computation that is due, and starts the workflows of all tasks that have none: those that
 * were just written, and those that lost theirs (terminated, or gone with Temporal's data). A task whose start fails stays for
 * the next beat; the first such error is thrown after the others were tried.
 */
export async function scheduleDueTasks(
  pool: PostgresPool,
  startTask: TaskStarter,
): Promise<{ created: number; started: number }> {
  let created = 0;
  for (;;) {
    const due = await inTransaction(pool, async (tx) => {
      const computations = await takeDueComputations(tx, DUE_BATCH);
      for (const computation of computations) {
        const taskId = await createTask(tx, {
          workspaceId: computation.workspaceId,
          spaceId: computation.spaceId,
          computationId: computation.id,
          kind: 'run',
          reason: computation.reason,
        });
        if (taskId !== null) created++;
      }
      return computations.length;
    });
    if (due < DUE_BATCH) break;
  }
  return { created, started: await startMissing(pool, startTask) };
}

async function startMissing(pool: PostgresPool, startTask: TaskStarter): Promise<number> {
  const { rows } = await pool.query<{ id: string }>(
    `select id from tasks
     where status = 'pending' and dispatched_at is null
       and (reason in ('scheduled', 'created', 'edited') or created_at < now() - $1::interval)
     order by created_at limit 500`,
    [UNDISPATCHED_AFTER],
  );
  const unseen = await pool.query<{ id: string }>(
    `select id from tasks
     where ended_at is null and dispatched_at < now() - $1::interval
     order by dispatched_at limit 50`,
    [UNSEEN_AFTER],
  );
  const results = await Promise.allSettled([...rows, ...unseen.rows].map(async ({ id }) => await startTask(id)));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return rows.length;
}
