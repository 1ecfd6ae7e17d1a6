import { readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/**
 * How long a thread has been on a processor since it began, in milliseconds; null where the operating system does not tell (it is no
 * Linux, or the thread has ended). `systemId` is the thread's there.
 */
export function processorMs(systemId: number | null): number | null {
  if (systemId === null) return null;
  try {
    const [nanoseconds] = readFileSync(`/proc/self/task/${systemId}/schedstat`, 'utf8').split(' ');
    const ms = Number(nanoseconds) / 1e6;
    return Number.isFinite(ms) ? ms : null;
  } catch {
    return null;
  }
}

/** Leaves a thread what nobody else wants of the processors. It can't be taken back without rights that the program should not have. */
export function stepBack(systemId: number | null): void {
  if (systemId === null) return;
  try {
    setPriority(systemId, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended meanwhile.
  }
}
