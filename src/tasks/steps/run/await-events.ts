import { setTimeout as wait } from 'node:timers/promises';
import { loaderWatermark } from '../../../pipeline/index.ts';
import { inTransaction } from '../../../store/index.ts';
import type { ActivityStepContext } from '../contract.ts';
import { lockForAttempt, StepWaits } from '../../attempts/checkpoints.ts';

/** How long a run waits for the events that came in before it, unless TaskDeps says another time. */
const DEFAULT_WAIT_FOR_EVENTS_MS = 60_000;

// A wait as short as this is not worth giving the worker back for.
const WAIT_IN_PLACE_MS = 2_000;
const LOOK_EVERY_MS = 100;
const LOOK_AGAIN_MS = 5_000;

/**
 * The moment as of which a run that was pinned at `asOf` computes. That is `asOf` itself, once all events that came in before it are in
 * ClickHouse: the loader is waited for, in place for a moment, then without a worker and without costing the attempt. Where it does
 * not get there in time, it is the moment until which they are: the run says so, rather than that nobody did anything since. A wait
 * without a worker is written down with its end, for people to see. Throws StepWaits.
 */
export async function awaitEvents(
  { deps, task, execution, signal }: Pick<ActivityStepContext, 'deps' | 'task' | 'execution' | 'signal'>,
  asOf: Date,
): Promise<{ asOf: Date; behind: boolean }> {
  // Who has waited without a worker goes on like that.
  const inPlaceUntil = performance.now() + (execution > 1 ? 0 : WAIT_IN_PLACE_MS);
  const waitMs = deps.waitForEventsMs ?? DEFAULT_WAIT_FOR_EVENTS_MS;
  for (;;) {
    const { now, until } = await loaderWatermark(deps.pool);
    if (until === null || until > asOf) return { asOf, behind: false };
    const leftMs = asOf.getTime() + waitMs - now.getTime();
    // The event at the watermark itself is not there yet.
    if (leftMs <= 0) return { asOf: new Date(until.getTime() - 1), behind: true };
    if (performance.now() >= inPlaceUntil) {
      await inTransaction(deps.pool, async (tx) => {
        await lockForAttempt(tx, task);
        await tx.query(`update tasks set waiting_for = 'events', waiting_until = $2 where id = $1`, [
          task.id,
          new Date(asOf.getTime() + waitMs),
        ]);
      });
      throw new StepWaits(Math.min(LOOK_AGAIN_MS, leftMs));
    }
    await wait(Math.min(LOOK_EVERY_MS, leftMs), undefined, { signal });
  }
}
