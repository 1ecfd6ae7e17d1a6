import { FairSlots, type Slot } from '../../fair-slots.ts';
import { observeSlotWait } from '../../metrics/index.ts';
import type { WorkKind } from './dispatch.ts';
import { queueOfStep, type StepName } from '../model/kinds.ts';
import { StepWaits } from '../attempts/checkpoints.ts';

/** The kinds of work that workspaces share a worker's slots for. */
export type SharedKind = Exclude<WorkKind, 'workflows'>;
export type SharedSlots = Readonly<Record<SharedKind, FairSlots>>;

/**
 * So many activities of a kind may wait in a worker for a slot, besides those that have one: about as many as there are in flight. What
 * waits in Temporal's queue is taken in its order, whosever it is; what waits here is not.
 */
export const WAITING_ROOM = 250;
/** After so long a step gives itself back to the queue: another worker may have a slot. */
const STEP_WAIT_MS = 30_000;
/** A try at an alert has to be over within half a minute. */
const ALERT_WAIT_MS = 10_000;

/** The slots of one worker: so many of each kind. */
export function createSharedSlots(slots: Readonly<Record<SharedKind, number>>): SharedSlots {
  return {
    compute: new FairSlots(slots.compute),
    deliver: new FairSlots(slots.deliver),
    alerts: new FairSlots(slots.alerts),
  };
}

/**
 * Waits for a slot for a long step, of the workspace that the task is of. Throws StepWaits where there is none for half a minute, and
 * what `signal` is aborted with.
 */
export async function takeStepSlot(
  slots: SharedSlots,
  execution: { taskId: string; workspaceId?: string | undefined; step: StepName },
  signal: AbortSignal,
): Promise<Slot> {
  // A workflow that an older version started says of no workspace: its task counts alone.
  const key = execution.workspaceId ?? execution.taskId;
  const slot = await takeSlot(slots, queueOfStep(execution.step), { key, maxWaitMs: STEP_WAIT_MS, signal });
  if (slot === null) throw new StepWaits(0);
  return slot;
}

/** Waits for a slot for a try at an alert; null where there is none for ten seconds. */
export async function takeAlertSlot(slots: SharedSlots, workspaceId: string): Promise<Slot | null> {
  return await takeSlot(slots, 'alerts', { key: workspaceId, maxWaitMs: ALERT_WAIT_MS });
}

async function takeSlot(
  slots: SharedSlots,
  kind: SharedKind,
  { key, maxWaitMs, signal }: { key: string; maxWaitMs: number; signal?: AbortSignal },
): Promise<Slot | null> {
  signal?.throwIfAborted();
  const since = performance.now();
  const giveUp = new AbortController();
  const abort = (): void => giveUp.abort();
  const timer = setTimeout(abort, maxWaitMs);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await slots[kind].take(key, giveUp.signal);
  } catch {
    signal?.throwIfAborted();
    return null;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    observeSlotWait(kind, (performance.now() - since) / 1_000);
  }
}
