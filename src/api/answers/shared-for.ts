/**
 * Work whose result is shared: who asks while it runs waits for that run, and who asks within `ms` of its end gets what came of it. So
 * that what anyone may ask for costs the same however often it is asked for. A failure is shared as well.
 */
export function sharedFor<T>(ms: number, work: () => Promise<T>, nowMs: () => number = Date.now): () => Promise<T> {
  let shared: Promise<T> | undefined;
  let until = Number.POSITIVE_INFINITY;
  return async () => {
    if (shared !== undefined && nowMs() < until) return await shared;
    until = Number.POSITIVE_INFINITY;
    shared = work().finally(() => {
      until = nowMs() + ms;
    });
    return await shared;
  };
}
