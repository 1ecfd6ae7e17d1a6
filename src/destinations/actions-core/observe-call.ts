import { observeRequest } from '../../metrics/index.ts';
import type { DeliveryStop, Refusal } from './outcome.ts';

/** How a call to a destination ended, as far as it went: taken, refused, or stopped for the reason of the stop. */
type CallEnd = { kind: 'answered' } | Refusal | { kind: 'stopped'; stop: DeliveryStop };

/** Calls a destination with this slug, and tells those who watch how long that took and how it ended. */
export async function observeCall<T extends CallEnd>(destination: string, call: () => Promise<T>): Promise<T> {
  const since = performance.now();
  const end = await call();
  observe({ destination, outcome: outcomeOf(end), seconds: (performance.now() - since) / 1_000 });
  return end;
}

/** A call to a destination that has ended. */
export type CallEnded = Parameters<typeof observeRequest>[0];

/** Tells those who watch of a call that ended, in another thread say. */
export const observeEnded = (call: CallEnded): void => observeRequest(call);

let observe = observeEnded;

/** Has calls told of by another way: a thread has nobody who watches. */
export function observeCallsBy(other: (call: CallEnded) => void): void {
  observe = other;
}

function outcomeOf(end: CallEnd): 'accepted' | 'refused' | 'rate_limited' | 'failed' | 'aborted' {
  if (end.kind === 'answered') return 'accepted';
  if (end.kind === 'refused') return 'refused';
  return end.stop.kind === 'withdrawn' ? 'aborted' : end.stop.kind;
}
