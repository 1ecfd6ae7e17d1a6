import type { Client } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../logger.ts';
import type { PostgresPool } from '../../store/index.ts';
import type { TaskQueues, TaskStarter, TaskWaker } from '../scheduling/dispatch.ts';
import { noteReplaced, noteStuck, noteWorkflowEnded, type ReplaceReason } from './repair-task.ts';
import {
  OVERDUE_MS,
  readDispatched,
  readOverdue,
  readSuspects,
  readUnheard,
  readUnwanted,
  type SuspectRow,
  type UnwantedRow,
} from './open-tasks.ts';
import { listExecutedTasks, lookAtWorkflow, terminateWorkflow, type WorkflowState } from './workflow-state.ts';

export interface ReconcileDeps {
  pool: PostgresPool;
  temporal: Client;
  queues: TaskQueues;
  startTask: TaskStarter;
  wakeTask: TaskWaker;
  logger: Logger;
}

/** What one look came to. */
export interface Reconciled {
  /** Tasks whose workflow was replaced. */
  replaced: number;
  /** Tasks that were woken. */
  woken: number;
  /** Workflows that were ended, because they had no task to execute. */
  ended: number;
}

// A look mends a few at a time: where much is wrong at once it is something else that has to be mended, by people.
const MENDED_AT_A_TIME = 50;
const LOOKED_AT = 100;
const AT_ONCE = 10;
// What is just going on moves meanwhile; what was told to look has looked.
const PAUSE_MS = 2_000;
// The step of a workflow that is ended finds out at its next heartbeat.
const STEP_HEARS_MS = 3_000;
// A task that was woken and does not go on has its workflow replaced after so long.
const WOKEN_MS = 30_000;
// And one whose workflow was replaced is left alone for so long, if it left no sign of life since: what fails again and again
// would only make more of it. A workflow that someone else ended is missing for another reason each time.
const EPISODE_MS = 60 * 60_000;
const ENDED_ELSEWHERE_MS = 60_000;
/** How a workflow ends by itself. Another end is somebody's doing, or Temporal has lost it. */
const ENDS_BY_ITSELF: ReadonlySet<string> = new Set(['COMPLETED', 'FAILED']);
// A workflow without a task, where workers have so much to do that it has not looked for so long.
const BUSY_STRAY_MS = 10 * 60_000;

/**
 * One look for what the ways of tasks can't mend by themselves, because they were cut: tasks without a workflow, workflows
 * without a task, and tasks that should have gone on and do not. What it finds it mends, a few at a time, and writes an audit event
 * for each.
 *
 * It never acts on one sign alone. That a workflow is missing in visibility is checked on the workflow itself; one that waits for
 * a worker is not stuck, however long it has been waiting; one that seems to be is looked at a second time after a moment; and the
 * task's row must be as it was when it was looked at. Throws where PostgreSQL or Temporal can't be reached: the next look does it
 * again.
 */
export async function reconcileTasks(deps: ReconcileDeps): Promise<Reconciled> {
  const { pool, temporal, queues } = deps;
  const executed = await listExecutedTasks(temporal, queues.workflows);
  const dispatched = new Set(await readDispatched(pool));
  const orphans = await readUnwanted(
    pool,
    [...executed].filter((id) => !dispatched.has(id)),
    MENDED_AT_A_TIME,
  );
  const unheard = await readUnheard(pool, MENDED_AT_A_TIME);
  // They hear first, so that they have a moment to end or to stop by themselves.
  await forEach(deps, [...orphans.map(({ id }) => id), ...unheard], deps.wakeTask);

  const missing = [...dispatched].filter((id) => !executed.has(id));
  const suspects = [...(await readSuspects(pool, missing, LOOKED_AT)), ...(await readOverdue(pool, LOOKED_AT))];
  const found = await lookAt(deps, [...new Map(suspects.map((suspect) => [suspect.id, suspect])).values()]);
  const idle = found.filter(({ suspect, state }) => state.is === 'idle' && isOverdue(suspect));
  if (orphans.length > 0 || idle.length > 0) await sleep(PAUSE_MS);
  const ended = await endOrphans(deps, orphans);
  const stuck = await lookAgain(deps, idle);
  const gone = found.filter(({ state }) => state.is === 'missing' || state.is === 'failing');
  return {
    replaced: await replaceWorkflows(deps, [...gone, ...stuck].flatMap(replacementOf).slice(0, MENDED_AT_A_TIME)),
    woken: await wakeStuck(deps, stuck.filter(isToBeWoken).slice(0, MENDED_AT_A_TIME)),
    ended,
  };
}

interface Found {
  suspect: SuspectRow;
  state: WorkflowState;
}

interface Replacement extends Found {
  because: ReplaceReason;
  detail: string;
}

async function lookAt(deps: ReconcileDeps, suspects: readonly SuspectRow[]): Promise<Found[]> {
  const found: Found[] = [];
  await forEach(deps, suspects, async (suspect) => {
    found.push({ suspect, state: (await lookAtWorkflow(deps.temporal, suspect.id)).state });
  });
  return found;
}

/** Those of them that are idle still, and left no sign of life in between. */
async function lookAgain(deps: ReconcileDeps, idle: readonly Found[]): Promise<Found[]> {
  const before = new Map(idle.map(({ suspect }) => [suspect.id, suspect]));
  const now = await readSuspects(deps.pool, [...before.keys()], before.size);
  const unmoved = now.filter((row) => isOverdue(row) && row.last_sign_at === before.get(row.id)?.last_sign_at);
  return (await lookAt(deps, unmoved)).filter(({ state }) => state.is === 'idle');
}

function isOverdue({ overdue_ms: overdueMs, held }: SuspectRow): boolean {
  return !held && overdueMs > OVERDUE_MS;
}

/** Why a workflow is to be replaced, if it is. */
function replacementOf({ suspect, state }: Found): Replacement[] {
  const { episode, episode_ms: sinceMs } = suspect;
  const leftAlone = (forMs: number): boolean => episode === 'replaced' && (sinceMs ?? 0) <= forMs;
  switch (state.is) {
    case 'missing':
      if (leftAlone(ENDS_BY_ITSELF.has(state.status) ? EPISODE_MS : ENDED_ELSEWHERE_MS)) return [];
      return [{ suspect, state, because: 'missing', detail: state.status }];
    case 'failing':
      return leftAlone(EPISODE_MS) ? [] : [{ suspect, state, because: 'failing', detail: state.because }];
    case 'idle':
      if (episode !== 'woken' || (sinceMs ?? 0) <= WOKEN_MS || isToBeWoken({ suspect })) return [];
      return [{ suspect, state, because: 'stuck', detail: 'it was woken and did not go on' }];
    default:
      return [];
  }
}

function isToBeWoken({ suspect }: Pick<Found, 'suspect'>): boolean {
  return suspect.episode === 'none' || (suspect.episode_ms ?? 0) > EPISODE_MS;
}

async function replaceWorkflows(deps: ReconcileDeps, replacements: readonly Replacement[]): Promise<number> {
  await forEach(deps, replacements, async ({ suspect, state, because }) => {
    if (state.is === 'missing') return;
    await terminateWorkflow(deps.temporal, suspect.id, state.runId, `replaced by the reconciler: ${because}`);
  });
  if (replacements.some(({ state }) => state.is === 'failing' && state.executing)) await sleep(STEP_HEARS_MS);
  let replaced = 0;
  await forEach(deps, replacements, async ({ suspect, because, detail }) => {
    if (!(await noteReplaced(deps.pool, suspect, because, detail))) return;
    replaced++;
    deps.logger.warn({ taskId: suspect.id, because, detail }, "a task's workflow is replaced");
    // It is written that the task is not dispatched: where this fails, the scheduler's tick does it.
    await deps.startTask(suspect.id);
  });
  return replaced;
}

async function wakeStuck(deps: ReconcileDeps, stuck: readonly Found[]): Promise<number> {
  let woken = 0;
  await forEach(deps, stuck, async ({ suspect }) => {
    if (!(await noteStuck(deps.pool, suspect))) return;
    woken++;
    deps.logger.warn({ taskId: suspect.id, overdueMs: suspect.overdue_ms }, 'a task does not go on, and is woken');
    await deps.wakeTask(suspect.id);
  });
  return woken;
}

/** Ends workflows that were told to look and are there still, although their task has ended or is not there. */
async function endOrphans(deps: ReconcileDeps, orphans: readonly UnwantedRow[]): Promise<number> {
  let ended = 0;
  await forEach(deps, orphans, async ({ id, ended_ms: endedMs }) => {
    const { state, startedFor } = await lookAtWorkflow(deps.temporal, id);
    if (state.is === 'missing') return;
    // It may be just about to look. Without a row it can look for ever.
    if (state.is === 'busy' && endedMs !== null && endedMs < BUSY_STRAY_MS) return;
    if (!(await terminateWorkflow(deps.temporal, id, state.runId, 'ended by the reconciler: no task to execute')))
      return;
    ended++;
    deps.logger.warn({ taskId: id }, 'a workflow without a task to execute is ended');
    await noteWorkflowEnded(deps.pool, id, startedFor);
  });
  return ended;
}

/** Some at once. That one can't be looked at or mended now must not keep the others from it: the next look tries again. */
async function forEach<T>(
  { logger }: Pick<ReconcileDeps, 'logger'>,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      await work(item).catch((err: unknown) =>
        logger.warn({ err }, 'a task could not be mended; the next look tries again'),
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
