import type { Logger } from '../../logger.ts';
import type { PostgresPool } from '../../store/index.ts';
import { admitTasks } from './admit-tasks.ts';
import type { TaskStarter } from './dispatch.ts';

export interface Admitter {
  /**
   * Lets tasks begin whose turn has come, as far as the caps allow, and starts their workflows. Whose turn it is does not depend
   * on who asks: of `taskIds`, some may have to wait. Says how many began (of `taskIds`, where they are given). A workflow that
   * can't be started is logged, and started by a later call without taskIds. Throws what PostgreSQL threw.
   */
  admit(taskIds?: readonly string[]): Promise<number>;
  /** Soon looks for tasks that can begin, because a place may have become free. Returns at once, and never throws. */
  requestAdmission(): void;
}

export interface RunningAdmitter extends Admitter {
  /**
   * Ends what was begun, and begins nothing more: what is admitted and not started is started by another process. Call it before
   * the pool is closed.
   */
  close(): Promise<void>;
}

// Ends of tasks come in bursts; one look serves them all. And looking must not take more than a part of the time.
const POKE_DELAY_MS = 50;
const POKE_REST = 4;
// Temporal answers a crowd of starts late, and each of them later than it may.
const STARTS_AT_ONCE = 20;
// A task this long admitted and not dispatched was left by someone who could not start it.
const UNDISPATCHED_AFTER = '2 seconds';
const UNDISPATCHED_BATCH = 500;

/** Tasks that were admitted, each with whether its workflow was started. */
type Started = ReadonlyMap<string, Promise<boolean>>;

/**
 * The door through which tasks begin: within the caps of spaces and destinations, at most `maxInFlight` of all workspaces
 * together, and fair between those. Each process has one.
 */
export function createAdmitter(deps: {
  pool: PostgresPool;
  startTask: TaskStarter;
  logger: Logger;
  maxInFlight: number;
}): RunningAdmitter {
  // The look that has not begun yet, and the end of all so far; that never rejects.
  let next: Promise<Started> | null = null;
  let last: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let restUntil = 0;
  let closed = false;
  // By the tasks' ids, so that none is started twice while it waits for its turn.
  const starting = new Map<string, Promise<boolean>>();
  const inTurn = takingTurns(STARTS_AT_ONCE);

  async function look(): Promise<Started> {
    const from = performance.now();
    const ids = await admitTasks(deps.pool, deps.maxInFlight);
    restUntil = performance.now() + POKE_REST * (performance.now() - from);
    return startAll(ids);
  }

  function startAll(ids: readonly string[]): Started {
    return new Map(ids.map((id) => [id, starting.get(id) ?? begin(id)]));
  }

  function begin(id: string): Promise<boolean> {
    const work = inTurn(async () => await start(id));
    starting.set(id, work);
    void work.finally(() => starting.delete(id));
    return work;
  }

  async function start(id: string): Promise<boolean> {
    if (closed) return false;
    try {
      await deps.startTask(id);
      return true;
    } catch (error) {
      deps.logger.warn({ taskId: id, err: error }, 'task not started yet; the scheduler will');
      return false;
    }
  }

  /** A look that begins after this call. Calls that come while one is under way share the one after it. */
  function lookFromNow(): Promise<Started> {
    if (next !== null) return next;
    const looking = last.then(async () => {
      next = null;
      return await look();
    });
    next = looking;
    last = looking.catch(() => undefined);
    return looking;
  }

  async function startUndispatched(): Promise<Started> {
    const { rows } = await deps.pool.query<{ id: string }>(
      `select id from tasks
       where ended_at is null and dispatched_at is null and admitted_at < now() - $1::interval
       order by admitted_at limit $2`,
      [UNDISPATCHED_AFTER, UNDISPATCHED_BATCH],
    );
    return startAll(rows.map(({ id }) => id));
  }

  return {
    admit: async (taskIds) => {
      const admitted = await lookFromNow();
      if (taskIds !== undefined) return await count(taskIds.flatMap((id) => admitted.get(id) ?? []));
      const left = await startUndispatched();
      return await count([...admitted.values(), ...left.values()]);
    },
    requestAdmission: () => {
      if (timer !== undefined || closed) return;
      timer = setTimeout(
        () => {
          timer = undefined;
          lookFromNow().catch((error: unknown) =>
            deps.logger.warn({ err: error }, 'no task admitted; the next look will'),
          );
        },
        Math.max(POKE_DELAY_MS, restUntil - performance.now()),
      );
      timer.unref();
    },
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await last;
      await Promise.all(starting.values());
    },
  };
}

async function count(started: readonly Promise<boolean>[]): Promise<number> {
  return (await Promise.all(started)).filter(Boolean).length;
}

/** Runs what it is given, so many at once; the others wait in the order in which they came. */
function takingTurns(atOnce: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running < atOnce) running++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
